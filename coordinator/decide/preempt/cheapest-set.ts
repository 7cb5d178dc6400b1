/**
 * The cheapest set of tasks on one node whose leaving makes enough room: a covering knapsack in as many dimensions as are
 * short, solved by depth-first branch and bound. Tasks that are alike form a kind, and of a kind those that lose least go
 * first, so that what branches is how many of each kind. The bound on how many more are needed is exact in each dimension
 * alone: the largest that are left, until they cover it (Martello and Toth, Knapsack Problems, 1990, ch. 2 and 3).
 */
import { type Cost, compareCosts, NO_COST } from './cost.ts'

/** Tasks that differ only in what is lost with them. */
export type Kind = {
  service: string
  isHomeBound: boolean
  priority: number
  /** What each of them holds of what is short, in the order of `Problem.short`. */
  amounts: readonly number[]
  /** Work lost with each, least first. */
  lostMs: readonly number[]
}

export type Problem = {
  kinds: readonly Kind[]
  /** How much is missing, per dimension. None: what is in the way is not an amount, only `isEnough` can tell. */
  short: readonly number[]
  /** How many more of a service may go. */
  budgetOf(service: string): number
  /** The last word: whether so many of each kind (in the order given) do. Asked only where the amounts do and the cost is the best. */
  isEnough(counts: readonly number[]): boolean
  /** What goes in any case, and is counted in the cost. */
  start: { cost: Cost; services: ReadonlySet<string> }
  /** Only what is cheaper than this is of interest. */
  cheaperThan: Cost | null
}

export type Found = { counts: number[]; cost: Cost }

/** Beyond so many steps on one node the best set found so far is taken: it does, and none of it could stay. */
export const STEPS_MAX = 50_000

/** Null: there is none (cheaper than asked). `count.steps` grows by what it took. */
export function cheapestSet(problem: Problem, count: { steps: number }): Found | null {
  return new Search(problem, count).run()
}

class Search {
  readonly #problem: Problem
  readonly #count: { steps: number }
  readonly #stepsUntil: number
  readonly #order: readonly Kind[]
  readonly #givenIndex: readonly number[]
  /** Per dimension: the kinds (by position in #order), largest first. */
  readonly #largest: readonly number[][]
  /** From each position on: the lowest priority and the least loss that a further victim could have. */
  readonly #cheapestFrom: readonly { priority: number; lostMs: number; homeBound: number }[]
  readonly #taken: number[]
  readonly #takenOf = new Map<string, number>()
  #best: Found | null = null
  #bound: Cost | null

  constructor(problem: Problem, count: { steps: number }) {
    this.#problem = problem
    this.#count = count
    this.#stepsUntil = count.steps + STEPS_MAX
    this.#bound = problem.cheaperThan
    const indexes = problem.kinds.map((_, index) => index)
    indexes.sort((a, b) => compareKinds(problem.kinds[a]!, problem.kinds[b]!) || a - b)
    this.#givenIndex = indexes
    this.#order = indexes.map((index) => problem.kinds[index]!)
    this.#largest = problem.short.map((_, dimension) =>
      this.#order
        .map((_kind, position) => position)
        .sort((a, b) => this.#order[b]!.amounts[dimension]! - this.#order[a]!.amounts[dimension]!),
    )
    this.#cheapestFrom = cheapestFrom(this.#order)
    this.#taken = this.#order.map(() => 0)
  }

  run(): Found | null {
    this.#seed()
    this.#descend(0, [...this.#problem.short], this.#problem.start.cost, true)
    return this.#best
  }

  /** A good set to begin with: what covers most, then what turns out to be needless left out again, dearest first. */
  #seed(): void {
    const { short } = this.#problem
    const left = [...short]
    if (!isShort(left)) return
    while (isShort(left)) {
      const position = this.#coversMost(left)
      if (position === null) break
      this.#take(position, 1, left)
    }
    for (let position = this.#order.length - 1; position >= 0; position -= 1) {
      const { amounts } = this.#order[position]!
      while (this.#taken[position]! > 0 && left.every((short, index) => short + amounts[index]! <= ROUNDING)) {
        this.#take(position, -1, left)
      }
    }
    if (!isShort(left)) this.#offer(this.#cost())
    this.#clear()
  }

  #coversMost(left: readonly number[]): number | null {
    let best: number | null = null
    let bestCover = 0
    for (const [position, kind] of this.#order.entries()) {
      this.#count.steps += 1
      if (best !== null && kind.isHomeBound && !this.#order[best]!.isHomeBound) break
      if (this.#room(position) === 0) continue
      let cover = 0
      for (const [dimension, short] of left.entries()) {
        if (short > 0) cover += Math.min(short, kind.amounts[dimension]!) / this.#problem.short[dimension]!
      }
      if (cover <= bestCover) continue
      best = position
      bestCover = cover
    }
    return best
  }

  /** Chooses how many of the kind at `position` go, and goes on with the next. */
  #descend(position: number, left: number[], cost: Cost, isNew: boolean): void {
    this.#count.steps += 1
    if (this.#count.steps > this.#stepsUntil) return
    const covers = !isShort(left)
    if (covers && isNew && this.#offer(cost)) return
    if (position === this.#order.length || !this.#isPromising(position, left, cost)) return
    const kind = this.#order[position]!
    const most = Math.min(this.#room(position), covers ? kind.lostMs.length : mostUseful(kind, left))
    for (let take = most; take >= 0; take -= 1) {
      const further = left.map((short, dimension) => short - take * kind.amounts[dimension]!)
      this.#take(position, take)
      this.#descend(position + 1, further, this.#costWith(cost, kind, take), take > 0)
      this.#take(position, -take)
    }
  }

  /** Whether anything from `position` on could still be better than the best so far. */
  #isPromising(position: number, left: readonly number[], cost: Cost): boolean {
    const more = this.#moreNeeded(position, left)
    if (more === null) return false
    if (this.#bound === null) return true
    const { priority, lostMs, homeBound } = this.#cheapestFrom[position]!
    const atLeast: Cost = [
      cost[0] + more * homeBound,
      cost[1] + more,
      Math.max(cost[2], priority),
      cost[3] + more * priority,
      Math.max(cost[4], 1),
      cost[5] + more * lostMs,
    ]
    return compareCosts(atLeast, this.#bound) < 0
  }

  /** How many victims more, at least; null: all that are left are not enough. */
  #moreNeeded(position: number, left: readonly number[]): number | null {
    let most = 1
    for (const [dimension, short] of left.entries()) {
      if (short <= ROUNDING) continue
      let missing = short
      let count = 0
      for (const other of this.#largest[dimension]!) {
        this.#count.steps += 1
        if (other < position) continue
        const amount = this.#order[other]!.amounts[dimension]!
        const room = this.#room(other)
        if (amount <= 0) break
        if (room === 0) continue
        const takes = Math.min(room, Math.ceil((missing - ROUNDING) / amount))
        count += takes
        missing -= takes * amount
        if (missing <= ROUNDING) break
      }
      if (missing > ROUNDING) return null
      if (count > most) most = count
    }
    return most
  }

  /** Takes the set as the best when it is; whether it does for the task. */
  #offer(cost: Cost): boolean {
    // What costs as much as the best, or more, is not worth a question; nor is anything beyond it.
    if (this.#bound !== null && compareCosts(cost, this.#bound) >= 0) return true
    const counts = this.#taken.map(() => 0)
    for (const [position, taken] of this.#taken.entries()) counts[this.#givenIndex[position]!] = taken
    if (!this.#problem.isEnough(counts)) return false
    this.#best = { counts, cost }
    this.#bound = cost
    return true
  }

  // ---------------------------------------------------------------- what is taken

  /** How many more of the kind may go. */
  #room(position: number): number {
    const { service, lostMs } = this.#order[position]!
    const budget = this.#problem.budgetOf(service) - (this.#takenOf.get(service) ?? 0)
    return Math.max(0, Math.min(lostMs.length - this.#taken[position]!, budget))
  }

  #take(position: number, count: number, left?: number[]): void {
    if (count === 0) return
    const { service, amounts } = this.#order[position]!
    this.#taken[position]! += count
    this.#takenOf.set(service, (this.#takenOf.get(service) ?? 0) + count)
    if (left) for (const dimension of left.keys()) left[dimension]! -= count * amounts[dimension]!
  }

  #clear(): void {
    this.#taken.fill(0)
    this.#takenOf.clear()
  }

  #cost(): Cost {
    let cost = this.#problem.start.cost
    const services = new Set<string>()
    for (const [position, kind] of this.#order.entries()) {
      const take = this.#taken[position]!
      if (take === 0) continue
      cost = addedCost(cost, kind, take, !services.has(kind.service) && !this.#problem.start.services.has(kind.service))
      services.add(kind.service)
    }
    return cost
  }

  /** `take` of the kind have been taken already. */
  #costWith(cost: Cost, kind: Kind, take: number): Cost {
    if (take === 0) return cost
    const isFirst = this.#takenOf.get(kind.service) === take && !this.#problem.start.services.has(kind.service)
    return addedCost(cost, kind, take, isFirst)
  }
}

/** The cost with `take` more victims of the kind, those that lose least. */
export function addedCost(cost: Cost, kind: Kind, take: number, isNewService: boolean): Cost {
  let lostMs = cost[5]
  for (let index = 0; index < take; index += 1) lostMs += kind.lostMs[index] ?? 0
  return [
    cost[0] + (kind.isHomeBound ? take : 0),
    cost[1] + take,
    Math.max(cost[2], kind.priority),
    cost[3] + take * kind.priority,
    cost[4] + (isNewService ? 1 : 0),
    lostMs,
  ]
}

/** Sums of fractions of cores are inexact. */
export const ROUNDING = 1e-6

function isShort(left: readonly number[]): boolean {
  return left.some((short) => short > ROUNDING)
}

function mostUseful(kind: Kind, left: readonly number[]): number {
  let most = 0
  for (const [dimension, short] of left.entries()) {
    const amount = kind.amounts[dimension]!
    if (short > ROUNDING && amount > 0) most = Math.max(most, Math.ceil((short - ROUNDING) / amount))
  }
  return most
}

function compareKinds(a: Kind, b: Kind): number {
  return (
    Number(a.isHomeBound) - Number(b.isHomeBound) || a.priority - b.priority || (a.lostMs[0] ?? 0) - (b.lostMs[0] ?? 0)
  )
}

function cheapestFrom(order: readonly Kind[]): { priority: number; lostMs: number; homeBound: number }[] {
  const from = order.map(() => NOTHING_LEFT)
  let cheapest = NOTHING_LEFT
  for (let position = order.length - 1; position >= 0; position -= 1) {
    const { priority, lostMs, isHomeBound } = order[position]!
    cheapest = {
      priority: Math.min(cheapest.priority, priority),
      lostMs: Math.min(cheapest.lostMs, lostMs[0] ?? 0),
      homeBound: isHomeBound ? cheapest.homeBound : 0,
    }
    from[position] = cheapest
  }
  return from
}

const NOTHING_LEFT = { priority: Number.POSITIVE_INFINITY, lostMs: Number.POSITIVE_INFINITY, homeBound: 1 }

export const START = { cost: NO_COST, services: new Set<string>() }
