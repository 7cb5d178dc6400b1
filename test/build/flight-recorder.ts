/** A flight recorder over a folder and a store of its own, or over those of one that was killed. */
import { join } from 'node:path'
import type { NewEvent } from '../../coordinator/events.ts'
import { FlightRecorder } from '../../coordinator/incidents/flight-recorder.ts'
import type { Incident } from '../../coordinator/incidents/incident.ts'
import { createMemoryStore, type MemoryStore } from '../../coordinator/store/memory.ts'
import type { Write } from '../../coordinator/store/store.ts'
import type { World, WorldValue } from '../../coordinator/world.ts'
import { systemClock } from '../../shared/clock.ts'
import { aLogReader } from './log-reader.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { aNode, anEngine, aService, aTask, aWorld } from './world.ts'

const log = { info() {}, warn() {}, error() {}, debug() {} }
export const SECRET = 'hunter2-of-the-environment'
export const PLACED = { policy: 'binpack', considered: 3, fitting: 2, score: { tasksOfService: 1 } }

/** Twenty slots of one service on one node. */
export function twentySlots(): World {
  const spec = { task: { container: { environment: { PASSWORD: SECRET } } } } as never
  const tasks = Array.from({ length: 20 }, (_, index) => aTask({ slot: index + 1, reason: PLACED }))
  return aWorld({ nodes: [aNode()], services: [aService({ spec })], tasks })
}

type Given = { dir?: string; store?: MemoryStore; max?: { count: number; bytes: number } }

/** `events` and `writes`: what it told and asked to be stored. */
export async function aRecorder(given: Given = {}) {
  const dir = given.dir ?? join(await temporaryFolder(), 'incidents')
  const store = given.store ?? createMemoryStore()
  const logs = aLogReader()
  const events: NewEvent[] = []
  const writes: Write[] = []
  const recorder = new FlightRecorder({
    dir,
    logs: () => logs,
    store,
    tell: (event) => events.push(event),
    put: (write) => writes.push(write),
    // What is on its way has come.
    clock: { ...systemClock, sleep: () => Promise.resolve() },
    log,
    ...(given.max && { max: given.max }),
  })
  const listed = async () => (await recorder.list({ limit: 1_000 })).items
  return { dir, store, logs, events, writes, recorder, listed, world: twentySlots() }
}

/** As the loop does, with nothing going wrong. */
export function take(recorder: FlightRecorder, value: WorldValue, world: World): void {
  recorder.stored(recorder.value(value, world, 0))
}

/** The first incident, once its lines have been copied. */
export async function withLines(recorder: FlightRecorder): Promise<Incident> {
  for (;;) {
    const incident = await recorder.get(1).catch(() => null)
    if (incident?.lines.state === 'kept') return incident
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export function exit(slot: number, at: number, attempt = 1): WorldValue {
  const seen = {
    task: `shop_web.${slot}.a`,
    spec: 'x',
    attempt,
    state: 'restarting' as const,
    since: at,
    exitCode: 137,
  }
  const observation = { kind: 'tasks' as const, node: 'n1', full: false, revision: 1, engine: anEngine(), gone: [] }
  return { at, observation: { ...observation, tasks: [seen] } }
}
