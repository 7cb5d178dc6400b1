/** The agent's data folder, for one agent alone. */
import type { Clock } from '../shared/clock.ts'
import { BerthError } from '../shared/errors.ts'
import { lockFolder } from '../shared/folder-lock.ts'
import type { Log } from '../shared/log.ts'
import { makePrivateFolder } from '../shared/private-file.ts'

/** One that was told to stop, or whose `berth up` was killed, still ends what it is at with the Engine. */
const SUCCESSION_MS = 15_000
const SUCCESSION_POLL_MS = 100

/**
 * Makes the folder and takes it, once an agent that is about to end has ended; resolves with the way to give it back, null when aborted.
 * A disk that takes no lock keeps no agent from looking after its containers: told, and gone on without.
 * @throws BerthError `conflict` when another agent keeps it
 */
export async function holdFolder(
  dir: string,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<(() => void) | null> {
  const end = clock.monotonicMs() + SUCCESSION_MS
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      await makePrivateFolder(dir)
      return lockFolder(dir, 'agent')
    } catch (error) {
      if (!(error instanceof BerthError)) {
        log.warn(
          { dir },
          `${dir} cannot be locked, see to it that no second agent uses it: ${(error as Error).message}`,
        )
        return () => undefined
      }
      if (clock.monotonicMs() > end) throw error
      if (attempt === 1) log.warn({ dir }, `waiting for another agent to end: ${error.message}`)
      await clock.sleep(SUCCESSION_POLL_MS, signal).catch(() => undefined)
    }
  }
  return null
}
