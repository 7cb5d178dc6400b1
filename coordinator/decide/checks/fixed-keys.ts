/**
 * Numbers for all that the fixed checks read of a version: versions of one number are refused by the same nodes. What they
 * read is walked down a tree, a step for each value, so that asking for a number that was given before allocates nothing.
 */
import type { ServiceVersion } from '../../world.ts'

export class FixedKeys {
  #root = newStep()
  #steps = 0
  #keys = 0

  /** Each list goes behind its length, so that no two are taken for one. */
  of({ spec, refusedPlatforms, failing }: ServiceVersion): number {
    const { constraints, tolerations = NONE } = spec.placement
    const failed = failing?.nodes ?? NONE
    let step = this.#next(this.#root, spec.task.container.platform ?? null)
    const refused = refusedPlatforms ?? NONE
    step = this.#next(step, refused.length)
    for (const each of refused) step = this.#next(step, each)
    step = this.#next(step, failed.length)
    for (const { node } of failed) step = this.#next(step, node)
    step = this.#next(step, constraints.length)
    for (const { attribute, operator, value, values = NONE } of constraints) {
      step = this.#next(this.#next(this.#next(step, attribute), operator), value)
      step = this.#next(step, values.length)
      for (const each of values) step = this.#next(step, each)
    }
    step = this.#next(step, tolerations.length)
    for (const { key, operator, value = null, effect = null } of tolerations) {
      step = this.#next(this.#next(this.#next(this.#next(step, key), operator), value), effect)
    }
    if (step.key === null) step.key = this.#keys++
    // Numbers go on: a version of before gets another one, and what was known of it is asked anew.
    if (this.#steps > STEPS_MAX) this.#forget()
    return step.key
  }

  #next(step: Step, value: Value): Step {
    step.next ??= new Map()
    const known = step.next.get(value)
    if (known) return known
    const made = newStep()
    step.next.set(value, made)
    this.#steps += 1
    return made
  }

  #forget(): void {
    this.#root = newStep()
    this.#steps = 0
  }
}

type Value = string | number | null

/** `key`: of the versions whose values end here; null: none did. */
type Step = { key: number | null; next: Map<Value, Step> | null }

function newStep(): Step {
  return { key: null, next: null }
}

const NONE: readonly never[] = []

/** Some hundred bytes each. */
const STEPS_MAX = 100_000
