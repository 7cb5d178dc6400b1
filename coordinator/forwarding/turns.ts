/** Work of which one piece at a time is done, and then the thread rests for as long as that took: others have half of it at least. */
import type { Clock } from '../../shared/clock.ts'

export function takeTurns(
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const done = last.then(async () => {
      const startedAt = clock.monotonicMs()
      try {
        return { result: await work() }
      } finally {
        rest = clock.monotonicMs() - startedAt
      }
    })
    let rest = 0
    last = done.catch(() => {}).then(() => clock.sleep(rest))
    return done.then(({ result }) => result)
  }
}
