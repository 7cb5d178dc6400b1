import { describe, expect, test } from 'vitest'
import { decide } from '../../../coordinator/decide/decide.ts'
import { newMarks } from '../../../coordinator/decide/marks.ts'
import { defaultSettings } from '../../../coordinator/decide/settings.ts'
import {
  aCluster,
  agentOf,
  beat,
  type Cluster,
  change,
  crash,
  plugIn,
  restartCoordinator,
  run,
  running,
  say,
} from '../../build/cluster.ts'
import { aPort, aStackSpec, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const ONCE = { restart: { condition: 'none' as const } }
const PORT = { ports: [aPort(8080)] }
const HALF = { cpuCores: 2 }

/** One node, where the one task of `once` has failed for good, and what is deployed then has run for a while. */
function afterFailure(
  once: ServiceSpecGiven,
  then: Record<string, ServiceSpecGiven>,
): { cluster: Cluster; task: string } {
  const cluster = aCluster(['n1'])
  deploy(cluster, 'one', { once: { ...ONCE, ...once } })
  run(cluster, 5_000)
  const task = running(cluster, 'one_once')[0]!.id
  crash(cluster, 'n1', task, 'failed')
  beat(cluster)
  deploy(cluster, 'two', then)
  run(cluster, 5_000)
  return { cluster, task }
}

function deploy(cluster: Cluster, stack: string, services: Record<string, ServiceSpecGiven>): void {
  change(cluster, { kind: 'deploy-stack', spec: aStackSpec(stack, services), prune: false })
}

/** `docker start` by an operator, as the agent tells it. */
function startByHand(cluster: Cluster, task: string): void {
  const container = agentOf(cluster, 'n1').containers.get(task)!
  Object.assign(container, { state: 'running', attempt: container.attempt + 1, since: cluster.now })
  say(cluster, 'n1', false, [container], [])
}

const stops = (decisions: ReturnType<typeof beat>) => decisions.filter(({ kind }) => kind === 'stop-task')

describe('a task that had ended for good is started by an operator', () => {
  test('it is kept where its room is still free', () => {
    const { cluster, task } = afterFailure({ ...PORT, ...HALF }, { other: HALF })
    startByHand(cluster, task)
    expect(stops(beat(cluster))).toEqual([])
    run(cluster, 5_000)
    expect(running(cluster, 'one_once')).toMatchObject([{ id: task, observed: { returned: true } }])
  })

  test('its room is its own again: nobody else gets it', () => {
    const { cluster, task } = afterFailure(PORT, {})
    startByHand(cluster, task)
    beat(cluster)
    deploy(cluster, 'two', { other: PORT })
    run(cluster, 5_000)
    expect(running(cluster, 'two_other')).toEqual([])
    expect(running(cluster, 'one_once')).toHaveLength(1)
  })

  test.each([
    ['host port', PORT, 'host-port'],
    ['promised CPU', { cpuCores: 3 }, 'cpu'],
  ])('it gives way where its %s was given to another, is told why, and waits for its turn', (_what, need, check) => {
    const { cluster, task } = afterFailure(need, { other: need })
    expect(running(cluster, 'two_other')).toHaveLength(1)
    startByHand(cluster, task)
    expect(stops(beat(cluster))).toEqual([
      {
        kind: 'stop-task',
        task,
        why: `it runs again after it had ended, and its room on n1 was given to others (${check})`,
      },
    ])
    run(cluster, 10_000)
    expect(running(cluster, 'two_other')).toHaveLength(1)
    expect([...cluster.world.tasksWaiting]).toMatchObject([{ service: 'one_once', waitsFor: [{ check }] }])
    change(cluster, { kind: 'remove-stack', stack: 'two' })
    run(cluster, 10_000)
    expect(running(cluster, 'one_once')).toHaveLength(1)
  })

  test('of two that come back to room for one the older stays', () => {
    const cluster = aCluster(['n1'])
    deploy(cluster, 'one', { a: { ...ONCE, cpuCores: 3 } })
    run(cluster, 5_000)
    const [first] = running(cluster, 'one_a')
    crash(cluster, 'n1', first!.id, 'failed')
    deploy(cluster, 'one', { b: { ...ONCE, cpuCores: 3 } })
    run(cluster, 5_000)
    const [second] = running(cluster, 'one_b')
    crash(cluster, 'n1', second!.id, 'failed')
    beat(cluster)
    startByHand(cluster, first!.id)
    startByHand(cluster, second!.id)
    expect(stops(beat(cluster))).toMatchObject([{ task: second!.id }])
    run(cluster, 10_000)
    expect(running(cluster, 'one_a')).toMatchObject([{ id: first!.id }])
  })

  test('a coordinator that starts anew still knows that it had ended', () => {
    const { cluster, task } = afterFailure(PORT, {})
    startByHand(cluster, task)
    restartCoordinator(cluster)
    plugIn(cluster, 'n1')
    beat(cluster)
    expect(cluster.world.tasks.get(task)?.observed.returned).toBe(true)
  })
})

test('of two that come back to one node, and hold a port that only one of them can have, the older stays, whatever they are called', () => {
  const spec = PORT
  const services = ['a', 'b'].map((shortName) => aService({ shortName, spec }))
  const back = (service: string, createdAt: number) =>
    aTask({ id: `${service}.1.1`, service, createdAt, observed: { returned: true } })
  const tasks = [back('shop_a', NOW - 1_000), back('shop_b', NOW - 2_000)]
  const world = aWorld({ nodes: [aNode()], services, tasks })
  const { decisions } = decide(world, { ...newMarks(), all: true }, NOW, defaultSettings(NOW))
  expect(stops(decisions)).toMatchObject([{ task: 'shop_a.1.1' }])
})
