/** Ctrl-C while something is waited for: the wait ends, what was asked for goes on. */
import type { Context } from './context.ts'

/** What a command that was interrupted by Ctrl-C exits with, as shells have it. */
export const INTERRUPTED_EXIT = 130

/**
 * Does `work`; on Ctrl-C says that it goes on and how to look at it, and ends the process. `settle` is called before, for what
 * is being drawn.
 */
export async function leavingOnInterrupt<Result>(
  { out }: Context,
  hint: string,
  work: () => Promise<Result>,
  settle: () => void = () => undefined,
): Promise<Result> {
  const onInterrupt = () => {
    settle()
    out.note(`left going: ${hint}`)
    process.exit(INTERRUPTED_EXIT)
  }
  process.once('SIGINT', onInterrupt)
  try {
    return await work()
  } finally {
    process.removeListener('SIGINT', onInterrupt)
  }
}
