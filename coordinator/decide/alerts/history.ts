/** What alerts must remember of the past and the world does not: when containers ended, and how disks and memories filled. */
import type { Instant } from '../../../shared/clock.ts'
import type { Task, World } from '../../world.ts'
import { atOnce, type Steps } from '../steps.ts'

export type Sample = { at: Instant; bytes: number }

export type AlertHistory = {
  /** By task name (`shop_api.3`), which outlives the tasks that have it one after the other. */
  crashes: Map<string, { service: string; node: string | null; at: Instant[] }>
  /** Runs of each task that ended by themselves, as of the last look; of most tasks none did, and they are not in here. */
  endings: Map<string, number>
  /** Nodes whose tasks have been looked at: of one that is not in `endings` none had ended. */
  nodes: ReadonlySet<string>
  usage: Map<string, { disk: Sample[]; memory: Sample[] }>
}

export const CRASHES_KEPT = 20
const CRASH_KEPT_MS = 3_600_000
export const SAMPLE_EVERY_MS = 30_000
export const SAMPLES_KEPT = 60
/** Fewer say nothing of where it goes. */
const SAMPLES_MIN = 10

export function newAlertHistory(): AlertHistory {
  return { crashes: new Map(), endings: new Map(), nodes: new Set(), usage: new Map() }
}

/** The history with what the world shows now. A task that is new to it counts from here on. */
export function remember(history: AlertHistory, world: World, now: Instant): AlertHistory {
  return atOnce(rememberInSteps(history, world, now))
}

/** The same, to be interrupted; each node is looked at as it is then. */
export function* rememberInSteps(history: AlertHistory, world: World, now: Instant): Steps<AlertHistory> {
  const { crashes, endings, nodes } = yield* rememberCrashes(history, world, now)
  return { crashes, endings, nodes, usage: rememberUsage(history, world, now) }
}

/**
 * Most looks find nothing new: then the maps are the ones from before, not copies. Tasks are walked by node, and before its
 * agent has spoken nothing is known of a node's tasks: what it then tells is no news.
 */
function* rememberCrashes(
  { crashes, endings, nodes }: AlertHistory,
  world: World,
  now: Instant,
): Steps<Pick<AlertHistory, 'crashes' | 'endings' | 'nodes'>> {
  let nextEndings = endings
  let nextCrashes = withoutOld(crashes, now)
  const nextNodes = new Set<string>()
  for (const node of world.nodes.values()) {
    const isKnown = nodes.has(node.name)
    if (isKnown || node.fullyObserved) nextNodes.add(node.name)
    if (!node.fullyObserved) continue
    for (const task of world.tasksByNode.get(node.name) ?? []) {
      const count = endingsOf(task)
      if (count === 0 || task.desired !== 'running') continue
      const before = endings.get(task.id) ?? (isKnown || task.createdAt > now - CRASH_KEPT_MS ? 0 : count)
      if (endings.has(task.id) && count <= before) continue
      if (nextEndings === endings) nextEndings = new Map(endings)
      nextEndings.set(task.id, count)
      const added = count - before
      if (added <= 0) continue
      if (nextCrashes === crashes) nextCrashes = new Map(crashes)
      const unit = unitName(task)
      const times = Array.from({ length: Math.min(added, CRASHES_KEPT) }, () => now)
      const at = [...(nextCrashes.get(unit)?.at ?? []), ...times]
      nextCrashes.set(unit, { service: task.service, node: task.node, at: at.slice(-CRASHES_KEPT) })
    }
    yield
  }
  return { crashes: nextCrashes, endings: withoutGone(nextEndings, world), nodes: nextNodes }
}

function withoutOld(crashes: AlertHistory['crashes'], now: Instant): AlertHistory['crashes'] {
  const isOld = (at: Instant) => at <= now - CRASH_KEPT_MS
  if (![...crashes.values()].some(({ at }) => at.some(isOld))) return crashes
  const kept = [...crashes].map(
    ([unit, known]) => [unit, { ...known, at: known.at.filter((at) => !isOld(at)) }] as const,
  )
  return new Map(kept.filter(([, { at }]) => at.length > 0))
}

/** Not at each look: so many may be there in vain. */
const GONE_KEPT = 1_000

function withoutGone(endings: Map<string, number>, world: World): Map<string, number> {
  if (endings.size <= GONE_KEPT) return endings
  const kept = endings
    .entries()
    .filter(([task]) => world.tasks.has(task))
    .toArray()
  return kept.length + GONE_KEPT < endings.size ? new Map(kept) : endings
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
    const known = notAhead(usage.get(name), now) ?? { disk: [], memory: [] }
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

/** Of a clock that has been set back since nothing can be extrapolated. */
function notAhead<Usage extends { disk: Sample[] }>(usage: Usage | undefined, now: Instant): Usage | undefined {
  return (usage?.disk.at(-1)?.at ?? 0) > now ? undefined : usage
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
