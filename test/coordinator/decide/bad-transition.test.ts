import { expect, test } from 'vitest'
import { badTransitions } from '../../../coordinator/decide/bad-transition.ts'
import type { Rollout, WorldValue } from '../../../coordinator/world.ts'
import { badTransition } from '../../../shared/bad-transition.ts'
import { ENGINE_STOPPED } from '../../../shared/task-state.ts'
import { aNode, anEngine, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const running = { attempt: 1, state: 'running' as const, health: 'healthy' as const }

test('a task that ends with another code than 0 is an incident, whether it is restarted or not', () => {
  expect(badTransition(running, { attempt: 1, state: 'restarting', exitCode: 3 })).toBe('exit')
  expect(badTransition(running, { attempt: 1, state: 'failed', exitCode: 1 })).toBe('exit')
  expect(badTransition({ attempt: 1, state: 'starting' }, { attempt: 2, state: 'restarting', exitCode: 3 })).toBe(
    'exit',
  )
})

test('ending with 0 is none, nor is an Engine that stopped under the task', () => {
  expect(badTransition(running, { attempt: 1, state: 'completed', exitCode: 0 })).toBeNull()
  expect(badTransition(running, { attempt: 1, state: 'restarting', exitCode: 0 })).toBeNull()
  const stopped = { attempt: 1, state: 'restarting' as const, exitCode: 137, error: { code: ENGINE_STOPPED } }
  expect(badTransition(running, stopped)).toBeNull()
})

test('running out of memory is told from other ends, and so is a container that could not be started', () => {
  const killed = { attempt: 1, state: 'restarting' as const, exitCode: 137, oomKilled: true }
  expect(badTransition(running, killed)).toBe('out-of-memory')
  const refused = { attempt: 1, state: 'failed' as const, error: { code: 'image-not-found' } }
  expect(badTransition({ attempt: 1, state: 'pulling' }, refused)).toBe('error')
})

test('what an agent repeats is no news, and what is older than what is known is none either', () => {
  const failed = { attempt: 2, state: 'failed' as const, exitCode: 1 }
  expect(badTransition(failed, failed)).toBeNull()
  expect(badTransition({ attempt: 3, state: 'running' }, { attempt: 2, state: 'restarting', exitCode: 1 })).toBeNull()
})

test('becoming unhealthy is an incident once, and again in the next attempt', () => {
  const sick = { ...running, health: 'unhealthy' as const }
  expect(badTransition(running, sick)).toBe('unhealthy')
  expect(badTransition(sick, sick)).toBeNull()
  expect(badTransition(sick, { ...sick, attempt: 2 })).toBe('unhealthy')
})

const seen = { spec: 'x', attempt: 1, state: 'restarting' as const, since: NOW, exitCode: 3 }
const told = (task: string, node: string): WorldValue => ({
  at: NOW,
  observation: {
    kind: 'tasks',
    node,
    full: false,
    revision: 1,
    engine: anEngine(),
    tasks: [{ ...seen, task }],
    gone: [],
  },
})

test('of tasks that are to stop, and of those on other nodes, nothing is an incident', () => {
  const tasks = [aTask({ slot: 1 }), aTask({ slot: 2, desired: 'stopped' })]
  const world = aWorld({ nodes: [aNode(), aNode({ name: 'n2' })], services: [aService()], tasks })
  const kinds = (value: WorldValue) => badTransitions(world, value).map(({ kind }) => kind)
  expect(kinds(told('shop_web.1.a', 'n1'))).toEqual(['exit'])
  expect(kinds(told('shop_web.2.a', 'n1'))).toEqual([])
  expect(kinds(told('shop_web.1.a', 'n2'))).toEqual([])
})

test('a node is an incident when it is lost or without its Engine, not when it is merely away or lost still', () => {
  const world = aWorld({ nodes: [aNode(), aNode({ name: 'n2', status: { name: 'lost', since: NOW, why: 'quiet' } })] })
  const kinds = (node: string, name: 'lost' | 'disconnected' | 'engine-down') =>
    badTransitions(world, {
      at: NOW,
      decision: { kind: 'set-node-status', node, status: { name, since: NOW, why: 'quiet' } },
    }).map(({ kind }) => kind)
  expect(kinds('n1', 'lost')).toEqual(['node-lost'])
  expect(kinds('n1', 'engine-down')).toEqual(['engine-down'])
  expect(kinds('n1', 'disconnected')).toEqual([])
  expect(kinds('n2', 'lost')).toEqual([])
})

test('a node is an incident when it is back after it was lost, and when it is drained, once', () => {
  const lost = aNode({ name: 'n2', status: { name: 'lost', since: NOW - 42_000, why: 'quiet for 3 s' } })
  const world = aWorld({ nodes: [aNode(), lost, aNode({ name: 'n3', availability: 'drain' })] })
  const ready = (node: string): WorldValue => {
    return { at: NOW, decision: { kind: 'set-node-status', node, status: { name: 'ready', since: NOW } } }
  }
  expect(badTransitions(world, ready('n2'))).toEqual([
    { kind: 'node-back', at: NOW, node: 'n2', why: 'it was lost for 42 s, quiet for 3 s' },
  ])
  const drain = (node: string): WorldValue => {
    return { at: NOW, change: { kind: 'set-availability', node, availability: 'drain' } }
  }
  expect(badTransitions(world, drain('n1')).map(({ kind }) => kind)).toEqual(['node-drained'])
  expect(badTransitions(world, drain('n3'))).toEqual([])
  expect(badTransitions(world, drain('unknown'))).toEqual([])
})

test('a rollout is an incident when it is paused or goes back, once', () => {
  const common = { startedAt: NOW, failures: [], why: 'two failed' }
  const rolling: Rollout = { state: 'rolling', version: 2, from: 1, startedAt: NOW, failures: [] }
  const back: Rollout = { state: 'rolling-back', version: 1, failed: 2, ...common }
  const done: Rollout = {
    state: 'rolled-back',
    version: 1,
    failed: 2,
    finishedAt: NOW,
    failures: [],
    why: 'two failed',
  }
  const kinds = (before: Rollout, rollout: Rollout) =>
    badTransitions(aWorld({ services: [aService({ rollout: before })] }), {
      at: NOW,
      decision: { kind: 'set-rollout', service: 'shop_web', rollout, wantedVersion: 1 },
    }).map(({ kind }) => kind)
  expect(kinds(rolling, { state: 'paused', version: 2, from: 1, ...common })).toEqual(['rollout-failed'])
  expect(kinds(rolling, back)).toEqual(['rollout-failed'])
  expect(kinds(back, done)).toEqual([])
  expect(kinds(rolling, { state: 'settled', version: 2, finishedAt: NOW })).toEqual([])
})
