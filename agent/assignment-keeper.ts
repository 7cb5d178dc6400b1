/**
 * Keeps the assignment in force on the disk. While the disk does not take it there is none there: after a restart of the agent an
 * older one would have containers ended that run by the newer, and without any they are left as they are.
 */
import type { Clock, Timer } from '../shared/clock.ts'
import { ASSIGNMENT_FILE, type KeptAssignment, writeAssignment } from './assignment-file.ts'
import type { Owner } from './decide/container.ts'
import type { AgentFiles } from './files.ts'

const KEEP_RETRY_MS = 10_000

export type KeeperNeeds = {
  files: AgentFiles
  clock: Pick<Clock, 'after'>
  owner: () => Owner
  /** It could not be written, which is told each time that it was new. */
  failed(error: Error): void
}

export class AssignmentKeeper {
  private readonly needs: KeeperNeeds
  private retry: Timer | null = null
  /** One at a time: an older assignment must not overtake a newer one. */
  private writing: Promise<void> = Promise.resolve()

  constructor(needs: KeeperNeeds) {
    this.needs = needs
  }

  /** Durable when it resolves, unless `failed` was told; then it is tried again until it is, or until there is a newer one. */
  async keep(assignment: KeptAssignment): Promise<void> {
    this.close()
    try {
      await this.write(assignment)
    } catch (error) {
      this.needs.failed(error as Error)
      await this.needs.files.remove(ASSIGNMENT_FILE).catch(() => {})
      this.tryAgainLater(assignment)
    }
  }

  close(): void {
    this.retry?.stop()
    this.retry = null
  }

  private write(assignment: KeptAssignment): Promise<void> {
    const { files, owner } = this.needs
    const writing = this.writing.then(() => writeAssignment(files, owner(), assignment))
    this.writing = writing.catch(() => {})
    return writing
  }

  private tryAgainLater(assignment: KeptAssignment): void {
    const retry = this.needs.clock.after(KEEP_RETRY_MS, async () => {
      try {
        await this.write(assignment)
      } catch {
        if (this.retry === retry) this.tryAgainLater(assignment)
      }
    })
    this.retry = retry
  }
}
