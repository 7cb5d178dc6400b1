/** What was last heard of tasks on a lost node does not count any more. */
import { describe, expect, test } from 'vitest'
import { serviceProgress } from '../../../coordinator/api/progress.ts'
import { viewService } from '../../../coordinator/api/view-service.ts'
import { viewTask } from '../../../coordinator/api/view-task.ts'
import type { Service, Task } from '../../../coordinator/world.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const nodes = () => [
  aNode({ name: 'n1', status: { name: 'lost', since: NOW - 5_000, why: 'silent for 2.4 s' } }),
  aNode({ name: 'n2' }),
]
const worldOf = (service: Service, tasks: Task[]) => aWorld({ nodes: nodes(), services: [service], tasks })

describe('a task on a lost node', () => {
  const lost = aTask({ id: 'shop_web.1.a', slot: 1, node: 'n1' })

  test('is not counted beside the one that took its place', () => {
    const service = aService({ spec: { replicas: 2 } })
    const other = aTask({ id: 'shop_web.2.b', slot: 2, node: 'n2' })
    const coming = aTask({ id: 'shop_web.1.c', slot: 1, node: 'n2', state: 'starting' })
    const world = worldOf(service, [lost, other, coming])
    expect(viewService(world, service).counts).toMatchObject({ wanted: 2, running: 1, starting: 1 })
    expect(serviceProgress(world, service)).toMatchObject({ stage: 'going', good: 1 })
  })

  test('that nothing replaces, since its data is there, waits for its node and says so', () => {
    const service = aService({ homes: new Map([[1, 'n1']]) })
    const world = worldOf(service, [lost])
    expect(viewService(world, service).counts).toMatchObject({ wanted: 1, running: 0, waiting: 1 })
    const { stage, waits } = serviceProgress(world, service)
    expect(stage).toBe('waiting')
    expect(waits.map(({ message, nodes: where }) => [message, where])).toEqual([
      ['volume: the data is on n1', ['n1']],
      ['liveness: it is lost', ['n1']],
    ])
  })

  test('of a global service is not waited for', () => {
    const service = aService({ spec: { global: true } })
    const tasks = [aTask({ id: 'a', slot: 0, node: 'n1' }), aTask({ id: 'b', slot: 0, node: 'n2' })]
    expect(serviceProgress(worldOf(service, tasks), service)).toMatchObject({ stage: 'up', good: 1 })
  })

  test('is shown as what it was when its node was lost; one that has ended is as it is', () => {
    const service = aService()
    expect(viewTask(worldOf(service, [lost]), lost)).toMatchObject({ nodeLost: true, state: 'running' })
    const done = aTask({ node: 'n1', state: 'completed' })
    expect(viewTask(worldOf(service, [done]), done)).toMatchObject({ nodeLost: false, state: 'completed' })
  })
})
