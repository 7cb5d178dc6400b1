/**
 * How simulated containers live: how long they take to start and stop, which starts fail, when they crash, what they use. All of it
 * is drawn from one seed and from what the draw is about (this task's second start, that agent's first hour), never from an order
 * of events: so a run can be repeated though a thousand agents act side by side.
 */

/** From, to. */
export type Range = readonly [number, number]

export type Life = {
  seed: number
  startMs: Range
  stopMs: Range
  /** Share of starts that end with exit code 1 as soon as they have started; they are started again after `restartMs`. */
  startsFailing: number
  restartMs: Range
  /** How often a container that runs crashes, and an agent is started anew (its containers go on). */
  crashesPerHour: number
  agentRestartsPerHour: number
  agentAwayMs: Range
  /** What a container uses goes up and down with so long a day; each service has its own height and hour. */
  dayMs: number
  cpuCores: Range
  memoryBytes: Range
}

/** Containers that start at once and run for ever: what is measured is the coordinator alone. */
export const STEADY: Life = {
  seed: 1,
  startMs: [150, 150],
  stopMs: [50, 50],
  startsFailing: 0,
  restartMs: [100, 1_000],
  crashesPerHour: 0,
  agentRestartsPerHour: 0,
  agentAwayMs: [500, 3_000],
  dayMs: 24 * 3_600_000,
  cpuCores: [0.01, 0.2],
  memoryBytes: [3e7, 3e8],
}

/** As fleets are: slow and failing starts, crashes, agents that are upgraded, days that last ten minutes. */
export const LIFELIKE: Life = {
  ...STEADY,
  startMs: [100, 5_000],
  stopMs: [20, 2_000],
  startsFailing: 0.02,
  crashesPerHour: 0.2,
  agentRestartsPerHour: 0.5,
  dayMs: 600_000,
}

/** In [0, 1), the same for the same seed and words. */
export function draw(seed: number, ...about: (string | number)[]): number {
  let mixed = (seed ^ 0x9e3779b9) >>> 0
  const text = about.join('\n')
  // FNV-1a, then the finish of mulberry32: alike names must not have alike fates.
  for (let index = 0; index < text.length; index++) mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d)
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39)
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
}

/** Mostly near the lower end, now and then near the upper: as durations and sizes are. */
export function skewed([from, to]: Range, chance: number): number {
  return from <= 0 ? from + chance ** 3 * (to - from) : from * (to / from) ** (chance ** 3)
}

/** How long until something happens that happens so often, by the chance of it (exponential); null: never. */
export function waitMs(perHour: number, chance: number): number | null {
  return perHour === 0 ? null : (-Math.log(1 - chance) * 3_600_000) / perHour
}

/** What a task uses at a time: its service's height and hour, and a little of its own. */
export function usageAt(
  life: Life,
  service: string,
  task: string,
  at: number,
): { cpuCores: number; memoryBytes: number } {
  const { seed, dayMs } = life
  const hour = at / dayMs + draw(seed, service, 'hour')
  const swing = 1 + 0.8 * Math.sin(2 * Math.PI * hour)
  const own = 0.8 + 0.4 * draw(seed, task, Math.floor(at / 1000))
  return {
    cpuCores: skewed(life.cpuCores, draw(seed, service, 'cpu')) * swing * own,
    memoryBytes: Math.round(skewed(life.memoryBytes, draw(seed, service, 'memory')) * (0.9 + 0.1 * swing)),
  }
}
