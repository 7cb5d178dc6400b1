/** Long work as a generator that yields wherever it may be interrupted. Whether it is, is the affair of whoever does it. */
export type Steps<Result = void> = Generator<undefined, Result>

/** Does the work without a pause. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}
