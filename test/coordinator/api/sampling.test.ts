import { expect, test } from 'vitest'
import { viewTask } from '../../../coordinator/api/view-task.ts'
import { viewWhy } from '../../../coordinator/api/view-why.ts'
import type { ContainerLoad } from '../../../shared/load.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

function answers(given: Partial<ContainerLoad>) {
  const task = aTask({ id: 'a', node: 'n1' })
  const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: [task] })
  world.nodes.get('n1')!.containerLoads.set('a', { task: 'a', cpuCoresUsed: 1, memoryBytesUsed: 1, ...given })
  const nothing = { list: () => [], oldest: () => null, onEvent: () => () => {} }
  const { reasons } = viewWhy(world, nothing, 'a', NOW)
  const said = reasons.filter(({ kind }) => kind === 'sampling').map(({ message }) => message)
  return { sampling: viewTask(world, world.tasks.get('a')!).sampling, said }
}

test('a task says how often its load is read, and why', () => {
  expect(answers({ sampledEveryMs: 10_000, sampledBecause: 'calm' })).toEqual({
    sampling: { everyMs: 10_000, because: 'calm' },
    said: ['its load is read every 10 s: it is calm'],
  })
})

test('a task that is read less often than wanted says so', () => {
  expect(answers({ sampledEveryMs: 2345, sampledBecause: 'unhealthy', sampledWantedMs: 1000 })).toEqual({
    sampling: { everyMs: 2345, because: 'unhealthy', wantedMs: 1000 },
    said: ['its load is read every 2.3 s: it is unhealthy; 1 s is wanted, but its node has too many to read'],
  })
})

test('a task whose agent says nothing of it has nothing to say', () => {
  expect(answers({})).toEqual({ sampling: undefined, said: [] })
})
