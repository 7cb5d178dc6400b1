/** A run by its seed: draws the plan and simulates it. Plans that fail are cut down to what is needed to fail. */
import { Chance } from './chance.ts'
import { type Item, type Plan, type PlanGiven, planFrom } from './plan.ts'
import { type Bend, type Outcome, type RunOptions, simulate } from './simulation.ts'

export type SeedOptions = PlanGiven & Partial<Omit<RunOptions, 'seed' | 'plan'>>

export function planOf(seed: number, given: PlanGiven = {}): Plan {
  return planFrom(new Chance(seed).of('plan'), given)
}

export function runSeed(seed: number, options: SeedOptions = {}): Promise<Outcome> {
  return simulate({ ...options, seed, plan: planOf(seed, options) })
}

/**
 * Fewer items that still break the same rule: halves, quarters and so on are left out in turn (Zeller's ddmin), for at most
 * `runsMax` runs.
 */
export async function shrink(seed: number, plan: Plan, rule: string, bend: Bend, runsMax = 200): Promise<Plan> {
  let { items } = plan
  let runs = 0
  for (let parts = 2; items.length > 1 && runs < runsMax; ) {
    const size = Math.ceil(items.length / parts)
    let isSmaller = false
    for (let from = 0; from < items.length && runs < runsMax; from += size) {
      const fewer: Item[] = [...items.slice(0, from), ...items.slice(from + size)]
      runs++
      const { violation } = await simulate({ seed, plan: { ...plan, items: fewer }, bend, traceLinesMax: 10 })
      if (violation?.rule !== rule) continue
      items = fewer
      parts = Math.max(2, parts - 1)
      isSmaller = true
      break
    }
    if (isSmaller) continue
    if (size === 1) break
    parts = Math.min(items.length, 2 * parts)
  }
  return { ...plan, items }
}
