import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import type { Marks } from '../../coordinator/decide/marks.ts'
import { marksOf, newMarks } from '../../coordinator/decide/marks.ts'
import { defaultSettings } from '../../coordinator/decide/settings.ts'
import { stalledMsSince } from '../../coordinator/decide/stalls.ts'
import { openEventLog } from '../../coordinator/events.ts'
import type { Incident } from '../../coordinator/incidents/incident.ts'
import { createLoop, type Judgement, type Loop, type LoopOptions } from '../../coordinator/loop.ts'
import { createMemoryStore, type MemoryStore } from '../../coordinator/store/memory.ts'
import { loadWorld, WORLD_PREFIX } from '../../coordinator/store/records.ts'
import type { Change, Decision, Observation, World } from '../../coordinator/world.ts'
import { systemClock } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { aFakeLog } from '../build/fake-core.ts'
import { aServiceSpec } from '../build/spec.ts'
import { connectedBy } from '../build/wire.ts'
import { anEngine } from '../build/world.ts'

const DEPLOY: Change = {
  kind: 'deploy-stack',
  spec: { name: 'shop', services: { web: aServiceSpec({ replicas: 2 }) } },
  prune: true,
}
const JOIN: Change = { kind: 'join-node', node: 'a', keyFingerprint: 'key-a' }

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** Judges as little as a loop needs: each wanted replica is a task on node `a`, `nobody` is refused. */
const simple: Judgement = {
  admit: (_world, change) =>
    change.kind === 'remove-node' && change.node === 'nobody'
      ? { ok: false, code: 'node-not-found', message: 'there is no node nobody' }
      : { ok: true },
  decide(world, marks) {
    const decisions: Decision[] = []
    let number = world.nextTaskNumber
    for (const service of world.services.values()) {
      if (!marks.all && !marks.services.has(service.name)) continue
      const spec = service.versions.get(service.version)!.spec
      const wanted = spec.mode.kind === 'replicated' ? spec.mode.replicas : 0
      for (let slot = (world.tasksByService.get(service.name)?.size ?? 0) + 1; slot <= wanted; slot++) {
        const task = `t${number++}`
        decisions.push({ kind: 'create-task', task, service: service.name, slot, version: service.version, why: '' })
        decisions.push({
          kind: 'place-task',
          task,
          node: 'a',
          why: { policy: 'only', considered: 1, fitting: 1, score: {} },
        })
      }
    }
    return { decisions, wakeAt: null }
  },
  marksOf,
  eventsOf: (_world, value) =>
    'change' in value ? [{ at: value.at, kind: value.change.kind, level: 'info', message: value.change.kind }] : [],
}

type Running = { loop: Loop; store: MemoryStore; told: string[][]; stop(): Promise<void>; ended: Promise<void> }

function start(given: Partial<LoopOptions> & { store?: MemoryStore } = {}): Running {
  const store = given.store ?? createMemoryStore()
  const loop = createLoop({
    store,
    world: loadWorld(store.range(WORLD_PREFIX), 'berth-test'),
    events: openEventLog(store),
    judgement: simple,
    settings: defaultSettings(systemClock.now()),
    clock: systemClock,
    log: aFakeLog(),
    checkTwice: true,
    ...given,
  })
  const told: string[][] = []
  loop.setDispatcher({ nodesChanged: (nodes) => told.push([...nodes]) })
  const stopping = new AbortController()
  const ended = loop.run(stopping.signal)
  ended.catch(() => {})
  const stop = async () => {
    stopping.abort()
    await ended.catch(() => {})
  }
  stops.push(stop)
  return { loop, store, told, stop, ended }
}

function connected(node: string, revision = 0): Observation {
  return connectedBy({ node, instance: 'i', revision, at: Date.now() }, Date.now())
}

/** A store whose flushes wait until they are let go. */
function gated(): { store: MemoryStore; open(): void; close(): void; waiting(): number } {
  const store = createMemoryStore()
  let isOpen = true
  const held: (() => void)[] = []
  return {
    store: {
      ...store,
      async transact(writes, compares) {
        if (!isOpen) await new Promise<void>((resolve) => held.push(resolve))
        return store.transact(writes, compares)
      },
    },
    open() {
      isOpen = true
      for (const go of held.splice(0)) go()
    },
    close() {
      isOpen = false
    },
    waiting: () => held.length,
  }
}

const until = async (condition: () => boolean) => {
  while (!condition()) await sleep(1)
}
const storedTasks = (store: MemoryStore) => [...store.range(['world', 'task'])].length

test('a change is answered once it and what it caused are stored, with the world’s revision', async () => {
  const { loop, store } = start()
  await loop.submit(JOIN)
  const revision = await loop.submit(DEPLOY)
  expect(revision).toBeGreaterThan(1)
  expect(storedTasks(store.copy())).toBe(2)
  expect([...loadWorld(store.range(WORLD_PREFIX)).tasks.values()].map((task) => task.node)).toEqual(['a', 'a'])
})

test('a change, its decisions and their events are one transaction', async () => {
  const gate = gated()
  const { loop } = start({ store: gate.store })
  await loop.submit(JOIN)
  let transactions = 0
  gate.store.watch([], () => transactions++)
  await loop.submit(DEPLOY)
  expect(transactions).toBe(1)
  expect(loop.events.list({ limit: 10 }).map((event) => event.kind)).toEqual(['join-node', 'deploy-stack'])
})

test('a refused change changes nothing and says why', async () => {
  const { loop, store } = start()
  await expect(loop.submit({ kind: 'remove-node', node: 'nobody' })).rejects.toMatchObject({
    code: 'node-not-found',
    message: 'there is no node nobody',
  })
  expect(loop.world.revision).toBe(0)
  expect([...store.range([])]).toEqual([])
})

test('nobody hears of anything before it is durable', async () => {
  const gate = gated()
  const { loop, told } = start({ store: gate.store })
  await loop.submit(JOIN)
  gate.close()
  const heard: string[] = []
  loop.events.onEvent((event) => heard.push(event.kind))
  loop.onBeat(() => heard.push('beat'))
  const answer = loop.submit(DEPLOY).then(() => heard.push('answer'))
  await until(() => gate.waiting() === 1)
  loop.whenDurable(() => heard.push('reader'))
  await sleep(20)
  expect(heard).toEqual([])
  expect(told).toEqual([])
  expect(loop.events.list({ limit: 10 }).map((event) => event.kind)).toEqual(['join-node'])
  gate.open()
  await answer
  expect(told).toEqual([['a']])
  expect(heard.sort()).toEqual(['answer', 'beat', 'deploy-stack', 'reader'])
})

test('while a flush is in flight nothing is decided, so what is read afterwards is what is stored', async () => {
  const gate = gated()
  const { loop, store } = start({ store: gate.store })
  await loop.submit(JOIN)
  gate.close()
  const first = loop.submit(DEPLOY)
  await until(() => gate.waiting() === 1)
  const second = loop.submit({ kind: 'scale-service', service: 'shop_web', replicas: 5 })
  await sleep(20)
  expect(loop.world.tasks.size).toBe(2)
  gate.open()
  await Promise.all([first, second])
  expect(storedTasks(store)).toBe(5)
})

test('a burst of changes makes one beat and one transaction', async () => {
  const store = createMemoryStore()
  let transactions = 0
  store.watch([], () => transactions++)
  const { loop } = start({ store })
  await Promise.all(
    Array.from({ length: 50 }, (_, number) =>
      loop.submit({ kind: 'join-node', node: `n${number}`, keyFingerprint: `k${number}` }),
    ),
  )
  expect(transactions).toBe(1)
  expect(loop.world.nodes.size).toBe(50)
})

test('a node that connects is told of its assignment after the beat, though nothing about it was written', async () => {
  const { loop, told } = start()
  await loop.submit(JOIN)
  loop.observe(connected('a'))
  await until(() => told.length > 0)
  expect(told).toEqual([['a']])
})

test('whoever holds a session of a node that is removed is told of it', async () => {
  const { loop, told } = start()
  await loop.submit(JOIN)
  told.length = 0
  await loop.submit({ kind: 'remove-node', node: 'a' })
  expect(told).toEqual([['a']])
})

test('heartbeats of ready nodes cause no beat and no write', async () => {
  let beats = 0
  const { loop, store } = start({
    judgement: {
      ...simple,
      decide(world, marks, now, settings) {
        beats++
        return simple.decide(world, marks, now, settings)
      },
    },
    checkTwice: false,
  })
  await loop.submit(JOIN)
  loop.observe(connected('a'))
  await sleep(20)
  loop.world.nodes.get('a')!.status = { name: 'ready', since: 0 }
  const before = { beats, writes: [...store.range([])] }
  for (let number = 0; number < 100; number++) loop.observe(aHeartbeat('a'))
  await sleep(20)
  expect({ beats, writes: [...store.range([])] }).toEqual(before)
})

test('deciding is asked for again at the instant it named, and told how long nobody could be heard', async () => {
  const asked: { now: number; stalledMs: number; marks: Marks }[] = []
  let wakeAt: number | null = null
  start({
    judgement: {
      ...simple,
      decide(_world, marks, now, { stalls }) {
        asked.push({ now, stalledMs: stalledMsSince(stalls, 0), marks })
        wakeAt ??= now + 30
        return { decisions: [], wakeAt: asked.length === 1 ? wakeAt : null }
      },
    },
    checkTwice: false,
  })
  await until(() => asked.length === 1)
  const blockedUntil = Date.now() + 900
  while (Date.now() < blockedUntil);
  await until(() => asked.length === 2)
  expect(asked[0]!.marks.all).toBe(true)
  expect(asked[1]!.marks).toEqual(newMarks())
  expect(asked[1]!.stalledMs).toBeGreaterThanOrEqual(500)
})

test('on a full disk a change is refused, the world goes back to what is stored, and what agents said stays', async () => {
  const { loop, store } = start()
  await loop.submit(JOIN)
  loop.observe(connected('a'))
  await until(() => loop.world.nodes.get('a')?.connection !== null)
  await sleep(10)
  const before = [...store.range([])]
  store.setFull(true)
  await expect(loop.submit(DEPLOY)).rejects.toMatchObject({ code: 'disk-full' })
  expect(loop.world.services.size).toBe(0)
  expect(loop.world.tasks.size).toBe(0)
  expect(loop.world.nodes.get('a')?.connection?.instance).toBe('i')
  expect([...store.range([])]).toEqual(before)
  expect(loop.events.list({ limit: 10 }).map((event) => event.kind)).toEqual(['join-node'])
  // Refused at once while it lasts, without touching the disk.
  await expect(loop.submit(DEPLOY)).rejects.toMatchObject({ code: 'disk-full' })
  store.setFull(false)
  const revision = await untilTaken(() => loop.submit(DEPLOY))
  expect(revision).toBeGreaterThan(0)
  expect(storedTasks(store)).toBe(2)
  const numbers = loop.events.list({ limit: 10 }).map((event) => event.number)
  expect(numbers).toEqual([1, 2])
})

test('a draft of what went bad is stored with it, and handed over once it is; on a full disk what agents told waits, what was decided goes', async () => {
  const stored: number[][] = []
  let next = 0
  const aDraft = (task: string | null) => ({ number: ++next, incident: { task } as Incident })
  const { loop, store } = start({
    flightRecorder: {
      value: (value) => {
        if (!('observation' in value) || value.observation.kind !== 'notice') {
          return 'change' in value ? [aDraft(null)] : []
        }
        return [aDraft('t1')]
      },
      stored: (drafts) => void (drafts.length > 0 && stored.push(drafts.map(({ number }) => number))),
    },
  })
  const draftsLeft = () => [...store.range(['incident', 'draft'])].map(({ key }) => key.at(-1))
  await loop.submit(JOIN)
  expect([draftsLeft(), stored]).toEqual([[1], [[1]]])

  store.setFull(true)
  const deployed = loop.submit(DEPLOY)
  loop.observe({ kind: 'notice', node: 'a', notice: { kind: 'notice', at: 0, code: 'c', message: 'm' } })
  await expect(deployed).rejects.toMatchObject({ code: 'disk-full' })
  expect([draftsLeft(), stored]).toEqual([[1], [[1]]])
  store.setFull(false)
  await until(() => stored.length === 2)
  expect([draftsLeft(), stored[1]]).toEqual([[1, 3], [3]])
  loop.put({ key: ['incident', 'draft', 3], delete: true })
  await untilTaken(() => loop.submit(DEPLOY))
  expect(draftsLeft()).toEqual([1, 4])
})

test('a node that was removed in vain, on a full disk, is as connected as before', async () => {
  const { loop, store } = start()
  await loop.submit(JOIN)
  loop.observe(connected('a'))
  await until(() => loop.world.nodes.get('a')?.connection !== null)
  store.setFull(true)
  await expect(loop.submit({ kind: 'remove-node', node: 'a' })).rejects.toMatchObject({ code: 'disk-full' })
  expect(loop.world.nodes.get('a')?.connection?.instance).toBe('i')
})

test('an agent that had seen a higher revision and connects as the disk fills is told a higher one still', async () => {
  const { loop, store } = start()
  await loop.submit(JOIN)
  store.setFull(true)
  // Nothing of the same batch is stored: neither the change nor that the revision was raised.
  const deployed = loop.submit(DEPLOY)
  loop.observe(connected('a', 7))
  await expect(deployed).rejects.toMatchObject({ code: 'disk-full' })
  expect(loop.world.nodes.get('a')?.assignmentRevision).toBeGreaterThan(7)
  store.setFull(false)
  await untilTaken(() => loop.submit(DEPLOY))
  expect(loadWorld(store.range(WORLD_PREFIX)).nodes.get('a')?.assignmentRevision).toBeGreaterThan(8)
})

test('that a task has stopped is known also after it was forgotten in vain, on a full disk', async () => {
  let forgotten = 0
  const { loop, store } = start({
    judgement: {
      ...simple,
      decide(world, marks, now, settings) {
        const stopped = [...world.tasks.values()].filter((task) => task.observed.state === 'stopped')
        forgotten += stopped.length
        if (stopped.length === 0) return simple.decide(world, marks, now, settings)
        return {
          decisions: stopped.map((task) => ({ kind: 'forget-task', task: task.id, why: 'stopped' })),
          wakeAt: null,
        }
      },
    },
  })
  await loop.submit(JOIN)
  loop.observe(connected('a'))
  await loop.submit(DEPLOY)
  const [task] = loop.world.tasks.keys()
  const seen = { task: task!, spec: 's', attempt: 1, state: 'stopped' as const, since: 0 }
  store.setFull(true)
  loop.observe({ kind: 'tasks', node: 'a', full: false, revision: 1, engine: anEngine(), tasks: [seen], gone: [] })
  await until(() => forgotten === 1 && loop.world.tasks.has(task!))
  expect(loop.world.tasks.get(task!)?.observed.state).toBe('stopped')
  store.setFull(false)
  await until(() => !loop.world.tasks.has(task!))
})

test('an agent that connects while the disk is full is told its stored assignment', async () => {
  const { loop, store, told } = start()
  await loop.submit(JOIN)
  store.setFull(true)
  await loop.submit(DEPLOY).catch(() => {})
  told.length = 0
  loop.observe(connected('a'))
  await until(() => told.length > 0)
  expect(told).toEqual([['a']])
})

test('one whose revision had to be raised for that is told only once the raised one is stored', async () => {
  const { loop, store, told } = start()
  await loop.submit(JOIN)
  store.setFull(true)
  await loop.submit(DEPLOY).catch(() => {})
  told.length = 0
  loop.observe(connected('a', 7))
  await sleep(10)
  expect(told).toEqual([])
  store.setFull(false)
  await until(() => told.length > 0)
  expect(loadWorld(store.range(WORLD_PREFIX)).nodes.get('a')?.assignmentRevision).toBeGreaterThan(7)
})

test('what agents said while the disk was full is stored once there is room', async () => {
  const { loop, store } = start()
  await loop.submit(JOIN)
  await loop.submit(DEPLOY)
  const task = [...loop.world.tasks.keys()][0]!
  loop.observe(connected('a'))
  await sleep(10)
  store.setFull(true)
  await loop.submit({ kind: 'scale-service', service: 'shop_web', replicas: 9 }).catch(() => {})
  loop.observe({
    kind: 'tasks',
    node: 'a',
    full: false,
    revision: 1,
    engine: anEngine(),
    tasks: [{ task, spec: 'x', attempt: 1, state: 'running', since: Date.now() }],
    gone: [],
  })
  store.setFull(false)
  await until(() => loadWorld(store.range(WORLD_PREFIX)).tasks.get(task)?.observed.state === 'running')
  expect(loop.world.tasks.size).toBe(2)
})

test('a store that fails otherwise ends the loop, and whoever waits is told', async () => {
  const store = createMemoryStore()
  const broken: MemoryStore = {
    ...store,
    transact: () => Promise.reject(new BerthError('failed', 'cannot write the store')),
  }
  const { loop, ended } = start({ store: broken })
  await expect(loop.submit(JOIN)).rejects.toMatchObject({ code: 'failed' })
  await expect(ended).rejects.toMatchObject({ code: 'failed' })
  await expect(loop.submit(JOIN)).rejects.toMatchObject({ code: 'unreachable' })
})

test('what was submitted before the stop is stored, what comes after is refused', async () => {
  const { loop, store, stop } = start()
  const before = loop.submit(JOIN)
  const stopped = stop()
  await before
  await stopped
  expect(store.get(['world', 'node', 'a'])).toBeDefined()
  await expect(loop.submit(DEPLOY)).rejects.toMatchObject({ code: 'unreachable' })
})

test('a new loop on the same store begins with the same world', async () => {
  const first = start()
  await first.loop.submit(JOIN)
  await first.loop.submit(DEPLOY)
  await first.stop()
  const second = start({ store: first.store.copy() })
  expect(lasting(second.loop.world)).toEqual(lasting(first.loop.world))
  expect(second.loop.events.list({ limit: 10 })).toEqual(first.loop.events.list({ limit: 10 }))
})

test('a decision that is made twice is a broken assumption', async () => {
  const restless: Judgement = {
    ...simple,
    decide: (world) => ({
      decisions: [...world.nodes.keys()].map((node) => ({
        kind: 'set-node-status' as const,
        node,
        status: { name: 'ready' as const, since: 0 },
      })),
      wakeAt: null,
    }),
    marksOf: newMarks,
  }
  const { loop, ended } = start({ judgement: restless })
  loop.submit(JOIN).catch(() => {})
  await expect(ended).rejects.toThrow('deciding twice')
})

function lasting(world: World) {
  const { cluster, revision, nextTaskNumber, nodes, stacks, services, tasks } = world
  return { cluster, revision, nextTaskNumber, nodes, stacks, services, tasks }
}

function aHeartbeat(node: string): Observation {
  return {
    kind: 'heartbeat',
    node,
    revision: 1,
    load: {
      cpuCoresUsed: 0,
      memoryBytesUsed: 0,
      memoryBytesTotal: 1,
      loadAverage1m: 0,
      diskBytesUsed: 0,
      diskBytesTotal: 1,
      diskReadBytesPerSecond: 0,
      diskWriteBytesPerSecond: 0,
      networkReceiveBytesPerSecond: 0,
      networkSendBytesPerSecond: 0,
    },
    containers: [],
  }
}

/** Tries again until the loop has noticed that there is room. */
async function untilTaken(submit: () => Promise<number>): Promise<number> {
  for (;;) {
    try {
      return await submit()
    } catch (error) {
      if ((error as BerthError).code !== 'disk-full') throw error
      await sleep(50)
    }
  }
}

// ---------------------------------------------------------------- turns

const MANY: Change = {
  kind: 'deploy-stack',
  spec: { name: 'many', services: { web: aServiceSpec({ replicas: 50 }) } },
  prune: true,
}
/** Resolves in the middle of a beat that has begun to apply what it decided. */
async function untilHalfDecided(loop: Loop): Promise<void> {
  // Turn by turn: a timer may come when all is decided.
  while (loop.world.tasks.size === 0) await turn()
  expect(loop.world.tasks.size).toBeLessThan(50)
}
const turn = () => new Promise<void>(systemClock.soon)

test('while a beat decides others have turns, and the world is changed by nobody else: what comes in waits for the end, in its order', async () => {
  const { loop, store } = start({ turnMs: 0 })
  await loop.submit(JOIN)
  const deployed = loop.submit(MANY)
  await untilHalfDecided(loop)
  const joined = loop.submit({ kind: 'join-node', node: 'b', keyFingerprint: 'key-b' })
  loop.observe(connected('b'))
  const refused = loop.submit({ kind: 'remove-node', node: 'nobody' })
  await turn()
  expect(loop.world.tasks.size, 'the beat is not over').toBeLessThan(50)
  expect(loop.world.nodes.has('b')).toBe(false)
  await expect(refused).rejects.toMatchObject({ code: 'node-not-found' })
  expect(loop.world.tasks.size).toBe(50)
  expect(loop.world.nodes.get('b')?.connection).not.toBeNull()
  expect(await joined).toBeGreaterThan(await deployed)
  expect(loadWorld(store.range(WORLD_PREFIX)).nodes.has('b')).toBe(true)
})

test('who wants to read assignments while a beat decides reads them once they are stored', async () => {
  const { loop, store } = start({ turnMs: 0 })
  await loop.submit(JOIN)
  const deployed = loop.submit(MANY)
  await untilHalfDecided(loop)
  const stored: number[] = []
  loop.whenDurable(() => stored.push(storedTasks(store)))
  expect(stored).toEqual([])
  await deployed
  expect(stored).toEqual([50])
})

test('who reads while a beat that changes nothing decides is called back when it is over', async () => {
  const { loop } = start({
    turnMs: 0,
    checkTwice: false,
    judgement: {
      ...simple,
      *decideInSteps(world, marks, now, settings) {
        for (let step = 0; step < 20; step++) yield
        return simple.decide(world, marks, now, settings)
      },
    },
  })
  await loop.submit(JOIN)
  loop.observe(connected('a'))
  await turn()
  let isCalled = false
  loop.whenDurable(() => {
    isCalled = true
  })
  await until(() => isCalled)
})

test('a judgement that fails in the middle ends the loop, and who came in meanwhile is refused', async () => {
  const failing: Judgement = {
    ...simple,
    *decideInSteps(world, marks, now, settings) {
      const isAsked = world.stacks.size > 0
      for (let step = 0; isAsked && step < 20; step++) yield
      if (isAsked) throw new Error('a broken assumption')
      return simple.decide(world, marks, now, settings)
    },
  }
  const { loop, ended } = start({ turnMs: 0, judgement: failing, checkTwice: false })
  await loop.submit(JOIN)
  const deployed = loop.submit(MANY)
  deployed.catch(() => {})
  while (!loop.world.stacks.has('many')) await turn()
  for (let passed = 0; passed < 5; passed++) await turn()
  const late = loop.submit({ kind: 'join-node', node: 'b', keyFingerprint: 'key-b' })
  await expect(late).rejects.toMatchObject({ code: 'unreachable' })
  await expect(deployed).rejects.toMatchObject({ code: 'unreachable' })
  await expect(ended).rejects.toThrow('a broken assumption')
})

test('a stop in the middle of a beat stores what it decides and what came in meanwhile', async () => {
  const { loop, store, stop } = start({ turnMs: 0 })
  await loop.submit(JOIN)
  const deployed = loop.submit(MANY)
  await untilHalfDecided(loop)
  const joined = loop.submit({ kind: 'join-node', node: 'b', keyFingerprint: 'key-b' })
  await stop()
  await Promise.all([deployed, joined])
  const stored = loadWorld(store.range(WORLD_PREFIX))
  expect([stored.tasks.size, stored.nodes.has('b')]).toEqual([50, true])
})

test('of more events in one beat than are kept only those that are kept are stored', async () => {
  const { loop, store } = start({ checkTwice: false })
  let writes = 0
  store.watch(['event'], (told) => {
    writes += told.length
  })
  for (let number = 0; number < 25_000; number++)
    loop.tell({ at: 1, kind: 'noise', level: 'info', message: `${number}` })
  await loop.submit(JOIN)
  const kept = [...store.range(['event'])]
  expect(kept.length).toBeLessThan(11_000)
  expect(writes).toBe(kept.length)
  expect(loop.events.list({ limit: 2 }).map((event) => event.message)).toEqual(['24999', 'join-node'])
})
