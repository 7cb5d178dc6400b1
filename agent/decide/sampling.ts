/**
 * How often each container is sampled, and why: those in trouble at full rate, calm ones slowly, all of them together within what
 * the host may spend. Pure: what is known of a container in, its pace out; the reading is agent/host/load-meter.ts.
 */
import type { Instant } from '../../shared/clock.ts'
import type { ContainerLoad, PaceReason } from '../../shared/load.ts'
import type { Sampling } from '../../shared/spec.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import type { Container } from './container.ts'

/** What the supervisor knows of a container that wants it looked at closely. */
export type Sign = Extract<PaceReason, 'starting' | 'restarted' | 'unhealthy' | 'stopping' | 'rollout'>
/** What its load shows of it. */
type Symptom = Extract<PaceReason, 'throttled' | 'near-limit' | 'changing'>

export type Pace = {
  everyMs: number
  because: PaceReason
  /** More often than `everyMs` where the host's budget allowed it no more. */
  wantedMs: number
  /** When it was last in trouble, in the clock that `now` is of; null: not since it is watched. */
  troubledAt: number | null
}

/** Trouble comes back: for so long after it nothing changes, and each step towards calm takes as long. */
export const SETTLE_MS = 30_000
/** One that runs for less than this may yet fail. */
export const YOUNG_MS = 60_000
/** Samples that a host spends a second on all its containers; at about 20 µs each under a hundredth of a core. */
export const SAMPLES_PER_SECOND_MAX = 400
/** However many there are, each is seen at least this often, unless its service asks for less. */
export const CALM_MS_MAX = 60_000

/** The sign of a container that runs, the most telling first. `now`: epoch milliseconds, as its start. */
export function signOf(
  container: Container,
  assigned: AssignedTask | null,
  attempt: number,
  rollouts: ReadonlySet<string>,
  now: Instant,
): Sign | null {
  if (assigned?.desired !== 'running') return 'stopping'
  if (container.health === 'unhealthy') return 'unhealthy'
  const isYoung = container.startedAt !== null && now - container.startedAt < YOUNG_MS
  if (isYoung) return attempt > 1 ? 'restarted' : 'starting'
  if (container.health === 'starting') return 'starting'
  return rollouts.has(assigned.service) ? 'rollout' : null
}

/** Services of which this node has been given tasks of more than one spec. */
export function servicesInRollout(tasks: readonly Pick<AssignedTask, 'service' | 'spec'>[]): Set<string> {
  const specs = new Map<string, string>()
  const found = new Set<string>()
  for (const { service, spec } of tasks) {
    if ((specs.get(service) ?? spec) !== spec) found.add(service)
    specs.set(service, spec)
  }
  return found
}

/**
 * The pace after a look. `before`, `loadBefore`: of the look before, null at the first. `now` never goes back. Trouble counts at
 * once; calm must last.
 */
export function paceAfter(
  before: Pace | null,
  sign: Sign | null,
  { loadBefore, load }: { loadBefore: ContainerLoad | null; load: ContainerLoad | null },
  sampling: Sampling,
  now: number,
): Pace {
  const { fullMs, calmMs } = sampling
  const trouble = sign ?? symptomOf(loadBefore, load)
  if (trouble !== null) return pace(fullMs, trouble, now)
  const troubledAt = before?.troubledAt ?? null
  // A rate takes two looks.
  if (load === null) return pace(fullMs, 'first-look', troubledAt)
  if (troubledAt === null) return pace(calmMs, 'calm', null)
  const stepsTowardsCalm = Math.floor((now - troubledAt) / SETTLE_MS)
  const everyMs = Math.min(calmMs, fullMs * 2 ** Math.min(stepsTowardsCalm, 16))
  const isSettled = stepsTowardsCalm > 0 && everyMs === calmMs
  return isSettled ? pace(calmMs, 'calm', null) : pace(everyMs, 'settling', troubledAt)
}

/**
 * The paces within the budget, in the same order. Calm ones give way first, up to CALM_MS_MAX; then what is left is shared evenly
 * among the others. Asking again changes nothing: it goes by what is wanted.
 */
export function withinBudget(paces: readonly Pace[], perSecondMax = SAMPLES_PER_SECOND_MAX): readonly Pace[] {
  const isWithin = perSecond(paces) <= perSecondMax
  if (isWithin && paces.every(({ everyMs, wantedMs }) => everyMs === wantedMs)) return paces
  const wanted = paces.map((each) => ({ ...each, everyMs: each.wantedMs }))
  if (isWithin) return wanted
  const [calm, close] = [wanted.filter(isCalm), wanted.filter((each) => !isCalm(each))]
  // Those that are in trouble keep at least half of it, whatever crowd of calm ones there is.
  const calmMost = Math.max(perSecondMax - perSecond(close), Math.min(perSecondMax / 2, perSecond(calm, CALM_MS_MAX)))
  const calmFactor = stretch(perSecond(calm), calmMost)
  const closeMost = perSecondMax - perSecond(calm) / calmFactor
  const closeFactor = stretch(perSecond(close), closeMost)
  const within = ({ wantedMs }: Pace, factor: number) => Math.ceil(wantedMs * factor - ROUNDING_MS)
  return wanted.map((each) => ({ ...each, everyMs: within(each, isCalm(each) ? calmFactor : closeFactor) }))
}

/** What is only a rounding error of the reckoning is no millisecond more. */
const ROUNDING_MS = 1e-6

/** By how much intervals grow so that `rate` becomes `most`. */
function stretch(rate: number, most: number): number {
  return rate > most ? rate / most : 1
}

/** What is told of it beside the load. */
export function toldOf({ everyMs, wantedMs, because }: Pace): Partial<ContainerLoad> {
  const isHeldBack = everyMs !== wantedMs
  return { sampledEveryMs: everyMs, sampledBecause: because, ...(isHeldBack && { sampledWantedMs: wantedMs }) }
}

function isCalm({ because }: Pace): boolean {
  return because === 'calm'
}

/** Samples a second; `everyMsMin`: none of them more often than this. */
function perSecond(paces: readonly Pace[], everyMsMin = 0): number {
  return paces.reduce((sum, { wantedMs }) => sum + 1000 / Math.max(wantedMs, everyMsMin), 0)
}

function pace(everyMs: number, because: PaceReason, troubledAt: number | null): Pace {
  return { everyMs, because, wantedMs: everyMs, troubledAt }
}

const THROTTLED_SHARE = 0.05
const NEAR_LIMIT_SHARE = 0.85
/** Both must be passed: a container that idles differently each time is calm. */
const CHANGE = { cpuCores: 0.1, cpuShare: 0.25, memoryBytes: 16 * 1024 * 1024, memoryShare: 0.1 }

function symptomOf(before: ContainerLoad | null, load: ContainerLoad | null): Symptom | null {
  if (load === null) return null
  if (load.memoryBytesLimit && load.memoryBytesUsed >= NEAR_LIMIT_SHARE * load.memoryBytesLimit) return 'near-limit'
  if ((load.cpuThrottledShare ?? 0) >= THROTTLED_SHARE) return 'throttled'
  return before !== null && isChanging(before, load) ? 'changing' : null
}

function isChanging(before: ContainerLoad, now: ContainerLoad): boolean {
  const cpu = Math.abs(now.cpuCoresUsed - before.cpuCoresUsed)
  const memory = Math.abs(now.memoryBytesUsed - before.memoryBytesUsed)
  return (
    (cpu >= CHANGE.cpuCores && cpu >= CHANGE.cpuShare * before.cpuCoresUsed) ||
    (memory >= CHANGE.memoryBytes && memory >= CHANGE.memoryShare * before.memoryBytesUsed)
  )
}
