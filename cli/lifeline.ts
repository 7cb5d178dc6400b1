/** A child that must not outlive its parent, even one that was killed: nobody would know of it, and it would be in the way of the next. */

/** Set by the parent: the child's standard input is a pipe that only the parent holds. */
export const LIFELINE = 'BERTH_LIFELINE'

/** Calls back when the parent has gone; never where there is none that counts. */
export function onParentGone(callback: () => void): void {
  const { [LIFELINE]: lifeline } = process.env
  // Not for programs that this process may start.
  delete process.env[LIFELINE]
  if (lifeline !== 'stdin') return
  const { stdin } = process
  stdin.once('close', callback)
  stdin.on('error', () => undefined)
  stdin.resume()
  // It is no reason to go on when all else has ended.
  stdin.unref()
}
