import { describe, expect, test } from 'vitest'
import { apply } from '../../../coordinator/store/apply.ts'
import { emptyWorld, loadWorld, putNode } from '../../../coordinator/store/records.ts'
import type { Change, Decision, Observation, World } from '../../../coordinator/world.ts'
import type { Taint, TaintEffect } from '../../../shared/spec.ts'
import type { Hello, TaskObservation } from '../../../shared/wire/up.ts'
import { aStackSpec } from '../../build/spec.ts'
import { connectedBy } from '../../build/wire.ts'
import { aNode, anEngine, aService, aTaint, aTask, aVersion, aWorld, NOW, versionMap } from '../../build/world.ts'

const load = {
  cpuCoresUsed: 1,
  memoryBytesUsed: 1,
  memoryBytesTotal: 2,
  loadAverage1m: 0,
  diskBytesUsed: 0,
  diskBytesTotal: 1,
  diskReadBytesPerSecond: 0,
  diskWriteBytesPerSecond: 0,
  networkReceiveBytesPerSecond: 0,
  networkSendBytesPerSecond: 0,
}

function change(world: World, asked: Change) {
  return apply(world, { at: NOW, change: asked })
}
function observe(world: World, observation: Observation, at = NOW) {
  return apply(world, { at, observation })
}
function decided(world: World, decision: Decision) {
  return apply(world, { at: NOW, decision })
}

function hello(given: Partial<Hello> = {}): Observation {
  return connectedBy({ node: 'n1', instance: 'i2', ...given })
}

function statusOf(world: World) {
  return world.nodes.get('n1')?.status
}

function tasks(seen: Partial<TaskObservation>[], given: { full?: boolean; gone?: string[] } = {}): Observation {
  return {
    kind: 'tasks',
    node: 'n1',
    full: given.full ?? false,
    revision: 1,
    engine: anEngine(),
    tasks: seen.map((one) => ({ task: 'shop_web.1.a', spec: 's', attempt: 1, state: 'running', since: NOW, ...one })),
    gone: given.gone ?? [],
  }
}

function running() {
  return aWorld({ nodes: [aNode()], services: [aService()], tasks: [aTask()] })
}

describe('what is durable', () => {
  test('heartbeats leave no trace in the store and do not raise the revision', () => {
    const world = running()
    const writes = observe(world, { kind: 'heartbeat', node: 'n1', revision: 1, load, containers: [] })
    expect([writes, world.revision, world.nodes.get('n1')?.load]).toEqual([[], 1, load])
  })

  test('a task is written when its state, health, attempt or container changes, not when it is repeated', () => {
    const world = running()
    const first = observe(world, tasks([{ containerId: 'c0ffee', health: 'healthy' }]))
    const again = observe(world, tasks([{ containerId: 'c0ffee', health: 'healthy' }]))
    expect(first.map((write) => write.key)).toEqual([
      ['world', 'task', 'shop_web.1.a'],
      ['world', 'counters'],
    ])
    expect(again).toEqual([])
  })

  test('what was handed to the store does not change with the world afterwards', () => {
    const world = emptyWorld('berth-test')
    const writes = change(world, { kind: 'join-node', node: 'n1', keyFingerprint: 'k' })
    change(world, { kind: 'set-availability', node: 'n1', availability: 'drain' })
    expect(writes[0]).toMatchObject({ key: ['world', 'node', 'n1'], value: { availability: 'active' } })
  })

  test('a world that was never written to is empty and has the cluster’s name', () => {
    expect(loadWorld([], 'berth-test')).toEqual(emptyWorld('berth-test'))
  })

  test('what is set for the cluster comes back, and a store that does not know it yet gives what is usual', () => {
    const world = emptyWorld('berth-test')
    const writes = change(world, { kind: 'set-cluster', settings: { policy: 'binpack', rebalance: { auto: true } } })
    const stored = writes.filter((write) => 'value' in write)
    const policy = { policy: 'binpack', survive: 'nothing', preemption: true }
    expect(loadWorld(stored).settings).toEqual({ ...policy, rebalance: { auto: true, movesPerHour: 20 } })
    expect(loadWorld([]).settings).toMatchObject({ policy: 'spread', rebalance: { auto: false } })
  })

  test('a node of an older store comes back without taints and reserve, and promises what it has', () => {
    const { key, value } = putNode(aNode()) as { key: string[]; value: object }
    const older = Object.fromEntries(
      Object.entries(value).filter(([name]) => !['taints', 'reserve', 'overcommit'].includes(name)),
    )
    expect(loadWorld([{ key, value: older }]).nodes.get('n1')).toMatchObject({
      taints: [],
      reserve: { cpuCores: 0, memoryBytes: 0, diskBytes: 0 },
      overcommit: { cpu: 1, memory: 1, disk: 1 },
    })
  })
})

describe('an observation', () => {
  test('that is older than what is known is dropped', () => {
    const world = running()
    observe(world, tasks([{ attempt: 2, state: 'running' }]))
    observe(world, tasks([{ attempt: 1, state: 'restarting' }]))
    expect(world.tasks.get('shop_web.1.a')?.observed).toMatchObject({ attempt: 2, state: 'running' })
  })

  test('has its times turned from the host’s clock into ours', () => {
    const world = running()
    observe(world, hello({ at: NOW + 7_200_000 }))
    observe(world, tasks([{ since: NOW + 7_200_000, state: 'restarting', restartAt: NOW + 7_201_000 }]))
    expect(world.tasks.get('shop_web.1.a')?.observed).toMatchObject({ since: NOW, restartAt: NOW + 1_000 })
  })

  test('from a connection that has been closed since changes nothing', () => {
    const world = running()
    observe(world, { kind: 'disconnected', node: 'n1', instance: 'instance-of-n1', why: 'closed', goodbye: false })
    expect(observe(world, tasks([{ state: 'failed' }]))).toEqual([])
    expect(world.tasks.get('shop_web.1.a')?.observed.state).toBe('running')
  })

  test('that is complete and does not name a task begins it anew, or ends it when it should stop', () => {
    const world = running()
    observe(world, tasks([], { full: true }))
    expect(world.tasks.get('shop_web.1.a')?.observed).toMatchObject({
      state: 'assigned',
      attempt: 0,
      containerId: null,
    })
    decided(world, { kind: 'stop-task', task: 'shop_web.1.a', why: 'scaled to 0' })
    observe(world, tasks([], { full: true }))
    expect(world.tasks.get('shop_web.1.a')?.observed.state).toBe('stopped')
  })

  test('that a task has stopped is its end, whatever the agent still remembers of its attempts', () => {
    const stopping = aTask({ desired: 'stopped', observed: { attempt: 3 } })
    const running = aTask({ id: 'b', slot: 2, observed: { attempt: 3 } })
    const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: [stopping, running] })
    const forgetful = { spec: 's', attempt: 0, since: NOW, state: 'stopped' as const }
    const seen = [stopping, running].map(({ id }) => ({ ...forgetful, task: id }))
    observe(world, { kind: 'tasks', node: 'n1', full: false, revision: 1, engine: anEngine(), tasks: seen, gone: [] })
    expect(world.tasks.get(stopping.id)?.observed).toMatchObject({ state: 'stopped', attempt: 3 })
    expect(world.tasks.get(running.id)?.observed.state).toBe('running')
  })

  test('that is complete is believed also where the agent has lost count, or has forgotten that it had ended', () => {
    const counted = aTask({ observed: { attempt: 1, state: 'restarting' } })
    const done = aTask({ id: 'b', slot: 2, observed: { attempt: 1, state: 'completed' } })
    const seen = [counted, done].map(({ id }) => ({
      task: id,
      spec: 's',
      attempt: 1,
      since: NOW,
      state: 'running' as const,
    }))
    const said = (full: boolean) => {
      const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: structuredClone([counted, done]) })
      observe(world, { kind: 'tasks', node: 'n1', full, revision: 1, engine: anEngine(), tasks: seen, gone: [] })
      return [...world.tasks.values()].map(({ observed }) => observed.state)
    }
    expect(said(false)).toEqual(['restarting', 'completed'])
    expect(said(true)).toEqual(['running', 'running'])
  })

  test.each([
    ['running', { state: 'running', returned: true }],
    ['stopping', { state: 'completed' }],
  ] as const)(
    'of a task that had ended: what runs has come back, and what is being removed is as it was: %s',
    (state, is) => {
      const done = aTask({ observed: { attempt: 1, state: 'completed' } })
      const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: [done] })
      const seen = { task: done.id, spec: 's', attempt: 2, since: NOW, state }
      observe(world, {
        kind: 'tasks',
        node: 'n1',
        full: false,
        revision: 1,
        engine: anEngine(),
        tasks: [seen],
        gone: [],
      })
      const { observed } = world.tasks.get(done.id)!
      expect({ state: observed.state, returned: observed.returned }).toEqual({ returned: undefined, ...is })
    },
  )

  test('that is complete and does not name what has ended leaves it so, and believes what its agent says of it next', () => {
    const done = aTask({ observed: { attempt: 5, state: 'failed' } })
    const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: [done] })
    const said = (full: boolean, tasks: TaskObservation[]) =>
      observe(world, { kind: 'tasks', node: 'n1', full, revision: 1, engine: anEngine(), tasks, gone: [] })
    said(true, [])
    expect(world.tasks.get(done.id)?.observed.state).toBe('failed')
    said(false, [{ task: done.id, spec: 's', attempt: 1, since: NOW, state: 'running' }])
    expect(world.tasks.get(done.id)?.observed).toMatchObject({ state: 'running', attempt: 1, returned: true })
  })

  test('of an agent whose Engine is down proves nothing about tasks it does not name', () => {
    const world = running()
    observe(world, { ...tasks([], { full: true }), engine: anEngine({ state: 'down' }) } as Observation)
    expect(world.tasks.get('shop_web.1.a')?.observed.state).toBe('running')
  })

  test('of a task that is on another node, or unknown, changes nothing', () => {
    const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: [aTask({ node: 'n2' })] })
    expect(observe(world, tasks([{ state: 'failed' }, { task: 'nobody' }]))).toEqual([])
  })

  test('remembers when a task was first up', () => {
    const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: [aTask({ state: 'starting' })] })
    observe(world, tasks([{ health: 'starting' }]), NOW + 1)
    expect(world.tasks.get('shop_web.1.a')?.firstUpAt).toBe(null)
    observe(world, tasks([{ health: 'healthy' }]), NOW + 2)
    observe(world, tasks([{ health: 'unhealthy' }]), NOW + 3)
    expect(world.tasks.get('shop_web.1.a')?.firstUpAt).toBe(NOW + 2)
  })
})

describe('a connection', () => {
  test('that ends is not the end of the one that took its place', () => {
    const world = running()
    observe(world, hello())
    observe(world, { kind: 'disconnected', node: 'n1', instance: 'instance-of-n1', why: 'closed', goodbye: false })
    expect(world.nodes.get('n1')?.connection?.instance).toBe('i2')
  })

  test('that breaks off again before it was of use begins no new grace', () => {
    const world = running()
    const closed = (instance: string): Observation => {
      return { kind: 'disconnected', node: 'n1', instance, why: 'closed', goodbye: false }
    }
    observe(world, closed('instance-of-n1'), NOW)
    observe(world, hello(), NOW + 5_000)
    observe(world, closed('i2'), NOW + 10_000)
    expect(world.nodes.get('n1')?.status).toMatchObject({ name: 'disconnected', since: NOW })
  })

  test('whose agent knows a higher assignment raises ours above it: our store was restored from an older copy', () => {
    const world = running()
    const writes = observe(world, hello({ revision: 40 }))
    expect(world.nodes.get('n1')?.assignmentRevision).toBe(41)
    expect(writes).toContainEqual({ key: ['world', 'assignment', 'n1'], value: 41 })
  })

  test('begins by not being fully observed, until the agent has said everything', () => {
    const world = running()
    observe(world, hello())
    expect(world.nodes.get('n1')?.fullyObserved).toBe(false)
    observe(world, tasks([], { full: true }))
    expect(world.nodes.get('n1')?.fullyObserved).toBe(true)
  })
})

describe('an assignment’s revision', () => {
  test('grows with each placement, stop and forgetting, and with nothing else', () => {
    const world = aWorld({ nodes: [aNode()], services: [aService()], tasks: [aTask({ id: 't', node: null })] })
    const revisions: number[] = []
    const note = () => revisions.push(world.nodes.get('n1')!.assignmentRevision)
    const why = { policy: 'spread', considered: 1, fitting: 1, score: {} }
    decided(world, { kind: 'hold-task', task: 't', refusals: [] })
    note()
    decided(world, { kind: 'place-task', task: 't', node: 'n1', why })
    note()
    decided(world, { kind: 'stop-task', task: 't', why: '' })
    decided(world, { kind: 'stop-task', task: 't', why: '' })
    note()
    decided(world, { kind: 'forget-task', task: 't', why: '' })
    note()
    expect(revisions).toEqual([1, 2, 3, 4])
  })
})

describe('versions', () => {
  const deploy = (world: World, image: string, replicas = 1, prune = false) =>
    change(world, { kind: 'deploy-stack', spec: aStackSpec('shop', { web: { image, replicas } }), prune })
  const web = (world: World) => world.services.get('shop_web')!

  test('a deployment of the same spec makes none', () => {
    const world = emptyWorld('berth-test')
    deploy(world, 'a')
    deploy(world, 'a')
    expect([web(world).version, world.stacks.get('shop')?.deployment]).toEqual([1, 2])
  })

  test('another count makes a version but no rollout', () => {
    const world = aWorld({ services: [aService({ spec: { image: 'a' } })] })
    deploy(world, 'a', 3)
    expect(web(world)).toMatchObject({ version: 2, rollout: { state: 'settled', version: 2 } })
  })

  test('another task makes a version and a rollout from the last that was settled, however many were tried since', () => {
    const world = aWorld({ services: [aService({ spec: { image: 'a' } })] })
    deploy(world, 'b')
    deploy(world, 'c')
    expect(web(world)).toMatchObject({ version: 3, rollout: { state: 'rolling', version: 3, from: 1 } })
  })

  test('a rollback goes to the newest version with another task, and its number is not used again', () => {
    const versions = versionMap(
      aVersion(1, { image: 'a' }),
      aVersion(2, { image: 'b' }),
      aVersion(3, { image: 'b', replicas: 2 }),
    )
    const world = aWorld({ services: [aService({ version: 3, versions })] })
    change(world, { kind: 'rollback-service', service: 'shop_web' })
    expect(web(world)).toMatchObject({ version: 1, rollout: { state: 'rolling-back', version: 1, failed: 3 } })
    deploy(world, 'c')
    expect(web(world).version).toBe(4)
  })

  test('a pruning deployment removes the services that it does not name', () => {
    const world = aWorld({ services: [aService({ spec: { image: 'a' } }), aService({ shortName: 'old' })] })
    deploy(world, 'a', 1, true)
    expect(world.services.get('shop_old')?.removing).toBe(true)
    expect(web(world).removing).toBe(false)
  })
})

describe('the times that an agent tells', () => {
  const restart = { state: 'restarting' as const }

  test.each([
    ['in the future', 4_000_000_000_000],
    ['beyond any date', 1e308],
  ])('%s become the time at which we heard of them', (_when, since) => {
    const world = running()
    observe(world, tasks([{ ...restart, since, healthSince: since }]))
    const { since: ours, healthSince } = world.tasks.get('shop_web.1.a')!.observed
    expect([ours, healthSince]).toEqual([NOW, NOW])
  })

  test('and the clock that it claims to have stay within what a date can hold', () => {
    const world = running()
    observe(world, hello({ at: 1e308 }))
    observe(world, tasks([{ ...restart, since: 0, restartAt: 1e308 }]))
    const node = world.nodes.get('n1')!
    const { since, restartAt } = world.tasks.get('shop_web.1.a')!.observed
    expect(() => [since, restartAt!, NOW + node.clockSkewMs].map((at) => new Date(at).toISOString())).not.toThrow()
  })
})

test('the grace of a node that was silent while nobody was heard begins with its new connection, not with the end of the old one', () => {
  const status = { name: 'disconnected', since: NOW - 60_000, why: 'silent', alone: true } as const
  const world = aWorld({ nodes: [aNode({ status })] })
  const why = 'the same agent connected again'
  observe(world, { kind: 'disconnected', node: 'n1', instance: 'instance-of-n1', why, goodbye: false })
  expect(statusOf(world)).toEqual({ ...status, why })
  observe(world, hello())
  expect(statusOf(world)).toEqual({ name: 'disconnected', since: NOW, why })
})

describe('an operator sets a node', () => {
  test('a taint takes the place of the one of its key and effect, and is removed with or without naming the effect', () => {
    const world = aWorld({
      nodes: [aNode({ taints: ['gpu=yes:no-schedule', 'gpu=yes:no-execute', 'old:no-schedule'] })],
    })
    const taint = (set: Taint[], remove: { key: string; effect?: TaintEffect }[]) => {
      change(world, { kind: 'taint-node', node: 'n1', set, remove })
      return world.nodes.get('n1')?.taints
    }
    const gpu = aTaint('gpu=some:no-schedule')
    const others = [aTaint('gpu=yes:no-execute'), aTaint('old:no-schedule')]
    expect(taint([gpu], [])).toEqual([...others, gpu])
    expect(taint([], [{ key: 'old', effect: 'no-execute' }])).toEqual([...others, gpu])
    expect(taint([], [{ key: 'gpu', effect: 'no-execute' }, { key: 'old' }])).toEqual([gpu])
  })

  test('of reserve and overcommit only what is named changes', () => {
    const world = aWorld({ nodes: [aNode({ reserve: { cpuCores: 1 }, overcommit: { cpu: 2 } })] })
    change(world, { kind: 'set-node', node: 'n1', reserve: { memoryBytes: 512 }, overcommit: { disk: 0.5 } })
    expect(world.nodes.get('n1')).toMatchObject({
      reserve: { cpuCores: 1, memoryBytes: 512, diskBytes: 0 },
      overcommit: { cpu: 2, memory: 1, disk: 0.5 },
    })
  })
})
