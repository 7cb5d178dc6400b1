/** Time as an argument. Code that judges takes an Instant; code that waits takes a Clock. */
export type Instant = number

export interface Clock {
  /** Epoch milliseconds. */
  now(): Instant
  /** Milliseconds that only grow, whatever is done to the host's clock. */
  monotonicMs(): number
  /** Resolves after `ms`, or rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls back once, after `ms`. Keeps no process alive. */
  after(ms: number, then: () => void): Timer
  /** Calls back every `ms` until stopped. Keeps no process alive. */
  every(ms: number, then: () => void): Timer
  /** Calls back once what has come in by now has been read. */
  soon(then: () => void): void
}

export type Timer = { stop(): void }

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
  after(ms, then) {
    const timer = setTimeout(then, ms).unref()
    return { stop: () => clearTimeout(timer) }
  },
  every(ms, then) {
    const timer = setInterval(then, ms).unref()
    return { stop: () => clearInterval(timer) }
  },
  soon: (then) => void setImmediate(then),
}
