/**
 * `bin/berth` starts an agent without V8's optimizing compilers, for memory (docs/decisions/agent-memory.md). Where log lines come in a
 * flood, code that looks at each of them is worth compiling: for 3 MB the scan takes a third of the time.
 */

/** Bytes of log lines that were taken since a moment, for a second from it. */
export type Inflow = { sinceMs: number; bytes: number }

const WINDOW_MS = 1_000
/** At such a rate the scan alone, not compiled, takes 3 % of a core. Less is not worth the memory. */
export const FLOOD_BYTES = 16 * 1024 ** 2

export const NO_INFLOW: Inflow = { sinceMs: Number.NEGATIVE_INFINITY, bytes: 0 }

/** A clock that was set begins anew. */
export function inflowWith({ sinceMs, bytes }: Inflow, taken: number, nowMs: number): Inflow {
  const isSameSecond = Math.abs(nowMs - sinceMs) < WINDOW_MS
  return isSameSecond ? { sinceMs, bytes: bytes + taken } : { sinceMs: nowMs, bytes: taken }
}

export function isFlood({ bytes }: Inflow): boolean {
  return bytes >= FLOOD_BYTES
}

/**
 * From here on V8 compiles what is hot, in this thread: the compiler's own is there only where it was on from the start. It stays on, as
 * what it costs has been paid then. Where it is on already nothing happens. The module is asked for now: at rest it would take 0.4 MB.
 */
export function compileFromNowOn(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--maglev')
}
