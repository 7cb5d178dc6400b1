import { expect, test } from 'vitest'
import { eventsOf } from '../../../coordinator/decide/events.ts'
import { apply } from '../../../coordinator/store/apply.ts'
import type { Change, Observation, Rollout, World } from '../../../coordinator/world.ts'
import type { TaskObservation } from '../../../shared/wire/up.ts'
import { aHostLoad, aNode, anEngine, aService, aTaint, aTask, aWorld, NOW } from '../../build/world.ts'

const running = () => aWorld({ nodes: [aNode()], services: [aService()], tasks: [aTask()] })

function told(world: World, seen: Partial<TaskObservation>): string[] {
  const one = { task: 'shop_web.1.a', spec: 's', attempt: 1, state: 'running' as const, since: NOW, ...seen }
  const rest = { full: false, revision: 1, engine: anEngine(), gone: [] }
  const observation: Observation = { kind: 'tasks', node: 'n1', tasks: [one], ...rest }
  return eventsOf(world, { at: NOW, observation }).map(({ level, message }) => `${level}: ${message}`)
}

test('a container that ends is told with its exit code, once', () => {
  expect(told(running(), { state: 'restarting', exitCode: 137, oomKilled: true })).toEqual([
    'warning: shop_web.1.a on n1 exited 137 (out of memory) and is restarted',
  ])
})

test('what an agent repeats, or says late, is not news', () => {
  expect(told(running(), {})).toEqual([])
  expect(told(running(), { state: 'starting' })).toEqual([])
})

test('an unhealthy task is told with what its test said', () => {
  expect(told(running(), { health: 'unhealthy', healthMessage: 'GET /healthz → 500' })).toEqual([
    'warning: shop_web.1.a on n1 is unhealthy: GET /healthz → 500',
  ])
})

test('a task that waits is told once, however the figures change', () => {
  const refusals = [{ node: 'n1', check: 'memory' as const, figures: { neededBytes: 2, freeBytes: 1 } }]
  const decision = { kind: 'hold-task' as const, task: 'shop_web.1.a', refusals }
  const world = aWorld({ services: [aService()], tasks: [aTask({ node: null })] })
  expect(eventsOf(world, { at: NOW, decision })).toMatchObject([
    { kind: 'task-waiting', message: 'shop_web.1.a waits: no node can take it (memory)', service: 'shop_web' },
  ])
  const waiting = aWorld({ services: [aService()], tasks: [aTask({ node: null, waitsFor: refusals })] })
  expect(eventsOf(waiting, { at: NOW, decision })).toEqual([])
})

test('a rollout that goes back says from where, to where and why', () => {
  const why = '2 of 20 failed'
  const rollout: Rollout = { state: 'rolling-back', version: 6, failed: 7, startedAt: NOW, why, failures: [] }
  const decision = { kind: 'set-rollout', service: 'shop_web', rollout, wantedVersion: 6 } as const
  expect(eventsOf(running(), { at: NOW, decision })).toMatchObject([
    { level: 'warning', message: 'shop_web goes back from version 7 to 6: 2 of 20 failed' },
  ])
})

test('a lost node is told with why, and nothing when its status stays', () => {
  const lost = { name: 'lost', since: NOW, why: 'silent for 2.4 s' } as const
  const decision = { kind: 'set-node-status', node: 'n1', status: lost } as const
  expect(eventsOf(running(), { at: NOW, decision })).toMatchObject([
    { kind: 'node-lost', level: 'warning', message: 'n1 is lost: silent for 2.4 s', node: 'n1' },
  ])
  expect(eventsOf(aWorld({ nodes: [aNode({ status: lost })] }), { at: NOW, decision })).toEqual([])
})

test('a clock that is set while the connection lasts is told, once each way', () => {
  const world = running()
  const beat = (hostAt: number) => {
    const observation: Observation = {
      kind: 'heartbeat',
      node: 'n1',
      revision: 1,
      load: aHostLoad(),
      containers: [],
      hostAt,
    }
    const told = eventsOf(world, { at: NOW, observation }).map(({ level, message }) => `${level}: ${message}`)
    apply(world, { at: NOW, observation })
    return told
  }
  expect(beat(NOW + 2_000)).toEqual([])
  expect(beat(NOW + 7_200_000)).toEqual(["warning: the clock of n1 differs from the coordinator's by 7200 s"])
  expect(world.nodes.get('n1')?.clockSkewMs).toBe(7_200_000)
  expect(beat(NOW + 7_200_500)).toEqual([])
  expect(beat(NOW + 1_000)).toEqual(['info: the clock of n1 is right again'])
})

test("a notice is its node's word about its own tasks: what it says of another node's task is kept as its own", () => {
  const world = aWorld({ nodes: [aNode(), aNode({ name: 'n2' })], services: [aService()], tasks: [aTask()] })
  const from = (node: string) => {
    const notice = { kind: 'notice' as const, at: NOW, code: 'noted', message: 'look', task: 'shop_web.1.a' }
    return eventsOf(world, { at: NOW, observation: { kind: 'notice', node, notice } })
  }
  expect(from('n1')).toMatchObject([{ node: 'n1', task: 'shop_web.1.a', service: 'shop_web' }])
  expect(from('n2')).toEqual([{ at: NOW, level: 'warning', kind: 'noted', message: 'n2: look', node: 'n2' }])
})

test('what operators set is told in words', () => {
  const world = running()
  const told = (change: Change) => eventsOf(world, { at: NOW, change }).map(({ message }) => message)
  const set = [aTaint('gpu=yes:no-schedule'), aTaint('old:no-execute')]
  expect(told({ kind: 'taint-node', node: 'n1', set, remove: [{ key: 'slow' }] })).toEqual([
    'n1: taint gpu=yes:no-schedule, taint old:no-execute, taint slow removed',
  ])
  const reserve = { memoryBytes: 1024 }
  expect(told({ kind: 'set-node', node: 'n1', reserve, overcommit: { cpu: 1.5 } })).toEqual([
    'n1: reserve.memoryBytes 1024, overcommit.cpu 1.5',
  ])
  expect(told({ kind: 'set-cluster', settings: { policy: 'binpack', rebalance: { auto: true } } })).toEqual([
    'the cluster: policy binpack, rebalance.auto true',
  ])
})
