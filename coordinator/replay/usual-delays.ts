/** How long tasks of a service took to come up and to go, as recorded: what a replayed task is assumed to take. */
import type { Segment } from '../journal/format.ts'
import type { ServiceName, TaskId } from '../world.ts'

export type UsualDelays = { startMs(service: ServiceName): number; stopMs(service: ServiceName): number }

/** For a service of which nothing was seen, when nothing at all was. */
const START_MS = 1_000
const STOP_MS = 1_000
/** Of one service so many are enough to know what is usual. */
const SAMPLES_MAX = 1_000

type Samples = Map<ServiceName, number[]>

export function usualDelays(segments: Iterable<Segment>): UsualDelays {
  const placed = new Map<TaskId, number>()
  const told = new Map<TaskId, number>()
  const starts: Samples = new Map()
  const stops: Samples = new Map()
  for (const { entries } of segments) {
    for (const entry of entries) {
      if ('decision' in entry) {
        if (entry.decision.kind === 'place-task') placed.set(entry.decision.task, entry.at)
        if (entry.decision.kind === 'stop-task') told.set(entry.decision.task, entry.at)
      } else if ('observation' in entry && entry.observation.kind === 'tasks') {
        for (const { task, state } of entry.observation.tasks)
          if (state === 'running') learn(starts, placed, task, entry.at)
        for (const task of entry.observation.gone) learn(stops, told, task, entry.at)
      }
    }
  }
  return { startMs: usual(starts, START_MS), stopMs: usual(stops, STOP_MS) }
}

function learn(samples: Samples, since: Map<TaskId, number>, task: TaskId, at: number): void {
  const from = since.get(task)
  if (from === undefined) return
  since.delete(task)
  const service = serviceOfTask(task)
  const known = samples.get(service)
  if (!known) samples.set(service, [at - from])
  else if (known.length < SAMPLES_MAX) known.push(at - from)
}

function usual(samples: Samples, otherwise: number): (service: ServiceName) => number {
  const medians = new Map([...samples].map(([service, values]) => [service, median(values)]))
  const overall = medians.size === 0 ? otherwise : median([...medians.values()])
  return (service) => medians.get(service) ?? overall
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

/** An id is `SERVICE.SLOT.NUMBER`. */
function serviceOfTask(task: TaskId): ServiceName {
  return task.split('.').slice(0, -2).join('.')
}
