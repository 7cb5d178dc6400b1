/** What brings lines to a target. */
import type { BerthError } from '../../../shared/errors.ts'
import type { ForwardLine } from '../line.ts'

/**
 * `taken`: of these lines all but `refused`, which never will be, because `why`. `later`: none, or nobody knows; `waitMs` is what
 * the target asked for.
 */
export type Answer =
  | { kind: 'taken'; refused: number; why: string; bytes: number }
  | { kind: 'later'; failure: BerthError; waitMs: number }

/** Never throws; after `signal` it does not matter what it answers. */
export type Sender = {
  /** How much it is given at once, of lines as the Engine wrote them; a block more at most. */
  batchBytes: number
  send(lines: readonly ForwardLine[], signal: AbortSignal): Promise<Answer>
  close(): void
}

export const BATCH_BYTES_USUAL = 1024 * 1024
/** A target that has not answered by then is tried again. */
export const SEND_LIMIT_MS = 30_000
/** Of a test, for which an operator waits. */
export const TEST_LIMIT_MS = 10_000
