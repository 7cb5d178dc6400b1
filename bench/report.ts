/** What a measure is, how it is judged and how it is printed. Shared by every bench. */

export type Unit = 'ms' | 's' | 'percent of a core' | 'MB' | 'count' | 'per second' | 'bytes' | 'ratio' | '× real time'

/** One figure, with what was measured beside it in the same run. */
export type Measure = {
  metric: string
  value: number
  unit: Unit
  /** By name: `raw` the limit, `swarm` the peer, … in the same unit. */
  beside?: Record<string, number>
  goal?: Goal
}

export type Goal =
  | { atMost: number }
  | { atLeast: number }
  /** At most so many times what was measured beside it, plus so much. */
  | { atMostTimes: number; of: string; plus?: number }

export type Bench = {
  /** One line for the list. */
  about: string
  /** Measures and reports; throws when it could not. Leaves nothing running. */
  run(bench: BenchContext): Promise<void>
}

export type BenchContext = {
  report(measure: Measure): void
  /** For people, while it runs; goes to stderr. */
  say(text: string): void
}

/** One line of `--json`. `ratio`: to the first of `beside`; null when there is none. `holds`: null without a goal. */
export type Line = {
  bench: string
  metric: string
  value: number
  unit: Unit
  beside: Record<string, number>
  ratio: number | null
  goal: string | null
  holds: boolean | null
}

export function lineOf(bench: string, { metric, value, unit, beside = {}, goal }: Measure): Line {
  const peer = Object.values(beside)[0]
  return {
    bench,
    metric,
    value: rounded(value),
    unit,
    beside: Object.fromEntries(Object.entries(beside).map(([name, figure]) => [name, rounded(figure)])),
    ratio: peer === undefined || peer === 0 ? null : rounded(value / peer),
    goal: goal === undefined ? null : goalText(goal, unit),
    holds: goal === undefined ? null : isReached(goal, value, beside),
  }
}

export function textOf({ metric, value, unit, beside, ratio, goal, holds }: Line): string {
  const peers = Object.entries(beside).map(([name, figure]) => `${name} ${figure}`)
  const parts = [
    `${metric.padEnd(44)} ${String(value).padStart(10)} ${unit}`,
    peers.length > 0 ? `beside ${peers.join(', ')}` : '',
    ratio === null ? '' : `ratio ${ratio}`,
    goal === null ? '' : `goal ${goal}: ${holds ? 'holds' : 'DOES NOT HOLD'}`,
  ]
  return parts.filter((part) => part !== '').join('   ')
}

export function isReached(goal: Goal, value: number, beside: Record<string, number>): boolean {
  if ('atMost' in goal) return value <= goal.atMost
  if ('atLeast' in goal) return value >= goal.atLeast
  const peer = beside[goal.of]
  if (peer === undefined) throw new Error(`the goal compares with ${goal.of}, which was not measured`)
  return value <= goal.atMostTimes * peer + (goal.plus ?? 0)
}

export function goalText(goal: Goal, unit: Unit): string {
  if ('atMost' in goal) return `≤ ${goal.atMost} ${unit}`
  if ('atLeast' in goal) return `≥ ${goal.atLeast} ${unit}`
  const factor = goal.atMostTimes === 1 ? goal.of : `${goal.atMostTimes} × ${goal.of}`
  return goal.plus === undefined ? `≤ ${factor}` : `≤ ${factor} + ${goal.plus} ${unit}`
}

/** Nearest rank. @throws Error without values */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('no values to take a quantile of')
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}

export const median = (values: readonly number[]) => quantile(values, 0.5)

/** Three figures that count, no more. */
function rounded(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3))
}
