/** What alerts must remember of the past and the world does not: when containers ended, and how disks and memories filled. */
import type { Instant } from '../../../shared/clock.ts'
import type { Task, World } from '../../world.ts'

export type Sample = { at: Instant; bytes: number }

export type AlertHistory = {
  /** By task name (`shop_api.3`), which outlives the tasks that have it one after the other. */
  crashes: Map<string, { service: string; node: string | null; at: Instant[] }>
  /** Runs of each task that ended by themselves, as of the last look. */
  endings: Map<string, number>
  usage: Map<string, { disk: Sample[]; memory: Sample[] }>
}

export const CRASHES_KEPT = 20
const CRASH_KEPT_MS = 3_600_000
export const SAMPLE_EVERY_MS = 30_000
export const SAMPLES_KEPT = 60
/** Fewer say nothing of where it goes. */
const SAMPLES_MIN = 10

export function newAlertHistory(): AlertHistory {
  return { crashes: new Map(), endings: new Map(), usage: new Map() }
}

/** The history with what the world shows now. A task that is new to it counts from here on. */
export function remember(history: AlertHistory, world: World, now: Instant): AlertHistory {
  return { ...rememberCrashes(history, world, now), usage: rememberUsage(history, world, now) }
}

function rememberCrashes({ crashes, endings }: AlertHistory, world: World, now: Instant) {
  const nextEndings = new Map<string, number>()
  const nextCrashes: AlertHistory['crashes'] = new Map()
  for (const [unit, known] of crashes) {
    const at = known.at.filter((each) => each > now - CRASH_KEPT_MS)
    if (at.length > 0) nextCrashes.set(unit, { ...known, at })
  }
  for (const task of world.tasks.values()) {
    if (task.desired !== 'running') continue
    const before = endings.get(task.id)
    // Before its agent has spoken, nothing is known of a task: what it then tells is no news.
    const isSeen = task.node !== null && world.nodes.get(task.node)?.fullyObserved === true
    if (!isSeen) {
      if (before !== undefined) nextEndings.set(task.id, before)
      continue
    }
    const count = Math.max(endingsOf(task), before ?? 0)
    const added = count - (before ?? (task.createdAt > now - CRASH_KEPT_MS ? 0 : count))
    nextEndings.set(task.id, count)
    if (added <= 0) continue
    const unit = unitName(task)
    const at = [
      ...(nextCrashes.get(unit)?.at ?? []),
      ...Array.from({ length: Math.min(added, CRASHES_KEPT) }, () => now),
    ]
    nextCrashes.set(unit, { service: task.service, node: task.node, at: at.slice(-CRASHES_KEPT) })
  }
  return { crashes: nextCrashes, endings: nextEndings }
}

/** Runs that ended by themselves: not those that their Engine or host ended. */
function endingsOf({ observed: { attempt, interruptions, state } }: Task): number {
  const isBetween = state === 'restarting' || state === 'failed'
  return Math.max(0, attempt - 1 - interruptions) + (isBetween ? 1 : 0)
}

export function unitName({ service, slot, onlyNode, node }: Task): string {
  return slot === 0 ? `${service}@${onlyNode ?? node ?? '?'}` : `${service}.${slot}`
}

function rememberUsage({ usage }: AlertHistory, world: World, now: Instant): AlertHistory['usage'] {
  const next: AlertHistory['usage'] = new Map()
  for (const { name, load } of world.nodes.values()) {
    const known = usage.get(name) ?? { disk: [], memory: [] }
    const isDue = load !== null && now - (known.disk.at(-1)?.at ?? 0) >= SAMPLE_EVERY_MS
    next.set(
      name,
      isDue
        ? { disk: append(known.disk, now, load.diskBytesUsed), memory: append(known.memory, now, load.memoryBytesUsed) }
        : known,
    )
  }
  return next
}

function append(samples: Sample[], at: Instant, bytes: number): Sample[] {
  return [...samples, { at, bytes }].slice(-SAMPLES_KEPT)
}

/**
 * When all of `totalBytes` is used if it goes on as it went: where the line of least squares through the samples meets it.
 * Null: too few samples, or it does not grow.
 */
export function fullAt(samples: Sample[], totalBytes: number): Instant | null {
  const last = samples.at(-1)
  if (last === undefined || samples.length < SAMPLES_MIN) return null
  const meanAt = samples.reduce((sum, { at }) => sum + (at - last.at), 0) / samples.length
  const meanBytes = samples.reduce((sum, { bytes }) => sum + bytes, 0) / samples.length
  let covariance = 0
  let variance = 0
  for (const { at, bytes } of samples) {
    covariance += (at - last.at - meanAt) * (bytes - meanBytes)
    variance += (at - last.at - meanAt) ** 2
  }
  const bytesPerMs = variance === 0 ? 0 : covariance / variance
  // What would take more than a year is noise around a level.
  if (bytesPerMs <= totalBytes / (366 * 86_400_000)) return null
  return last.at + Math.max(0, totalBytes - last.bytes) / bytesPerMs
}
