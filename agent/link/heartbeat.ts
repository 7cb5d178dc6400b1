/** A timer that keeps its step: not drifting with the work it starts, and after a stall one beat instead of all that were missed. */
export type Heartbeat = { stop(): void }

/** Calls `beat` at once and then every `intervalMs`. `now` is monotonic, milliseconds. */
export function startHeartbeat(
  intervalMs: number,
  beat: () => void,
  now: () => number = performance.now.bind(performance),
): Heartbeat {
  const startedAt = now()
  let timer: NodeJS.Timeout
  const next = () => {
    timer = setTimeout(
      () => {
        beat()
        next()
      },
      untilNext(now() - startedAt, intervalMs),
    )
  }
  beat()
  next()
  return { stop: () => clearTimeout(timer) }
}

/** From `elapsedMs` since the first beat to the next multiple of the interval; never 0, or one beat would come twice. */
export function untilNext(elapsedMs: number, intervalMs: number): number {
  const rest = intervalMs - (elapsedMs % intervalMs)
  return rest < intervalMs / 10 ? rest + intervalMs : rest
}
