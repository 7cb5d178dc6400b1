/**
 * The counts of attempts and failures, kept beside the assignment so that an attempt's number never goes back when the agent
 * is started anew. Tasks that run in their first attempt need no entry (their container's label says as much), so a
 * deployment writes nothing here. A lost or damaged file costs numbers, never a container.
 */
import type { Clock, Timer } from '../shared/clock.ts'
import { NOTHING_REMEMBERED, type TaskMemory } from './decide/memory.ts'
import type { AgentFiles } from './files.ts'

/** Written at once; flushed to the disk a little later, many restarts in one. */
const FLUSH_DELAY_MS = 1_000
const RETRY_DELAY_MS = 10_000
const RESTART_FILE = 'restarts.json'

export class RestartFile {
  private readonly files: AgentFiles
  private readonly clock: Pick<Clock, 'after'>
  private readonly entries = new Map<string, string>()
  private flushTimer: Timer | null = null
  /** A full disk did not take it: until then. */
  private retryTimer: Timer | null = null
  private readonly onError: (error: Error) => void

  constructor(files: AgentFiles, clock: Pick<Clock, 'after'>, onError: (error: Error) => void) {
    this.files = files
    this.clock = clock
    this.onError = onError
  }

  /** What was kept, by task. */
  read(): Map<string, TaskMemory> {
    const memories = new Map<string, TaskMemory>()
    try {
      const kept = JSON.parse(this.files.readNow(RESTART_FILE) ?? '{}') as Record<string, Partial<TaskMemory>>
      for (const [task, memory] of Object.entries(kept)) {
        memories.set(task, { ...NOTHING_REMEMBERED, ...memory })
        this.entries.set(task, JSON.stringify(memory))
      }
    } catch (error) {
      this.onError(error as Error)
    }
    return memories
  }

  /** Writes when there is something new that a container's label does not tell. */
  keep(task: string, memory: TaskMemory, isFinal = false): void {
    const { attempt, failures, interruptions, endedWith } = memory
    const isTold = attempt <= 1 && failures === 0 && interruptions === 0 && endedWith === null
    if (isTold) {
      this.forget(task)
      return
    }
    const entry = JSON.stringify(memory)
    if (this.entries.get(task) === entry) return
    this.entries.set(task, entry)
    this.write()
    // That a task is over is told to the coordinator, which gives its room to others: a power cut must not undo it.
    if (isFinal) this.flushSoonest()
  }

  forget(task: string): void {
    if (this.entries.delete(task)) this.write()
  }

  close(): void {
    this.retryTimer?.stop()
    this.retryTimer = null
    this.flushSoonest()
  }

  private flushSoonest(): void {
    if (!this.flushTimer) return
    this.flushTimer.stop()
    this.flushNow()
  }

  private write(isRetry = false): void {
    this.retryTimer?.stop()
    this.retryTimer = null
    const members = [...this.entries].map(([task, entry]) => `${JSON.stringify(task)}:${entry}`)
    try {
      this.files.replaceNow(RESTART_FILE, `{${members.join(',\n')}}`)
      this.flushTimer ??= this.clock.after(FLUSH_DELAY_MS, () => this.flushNow())
    } catch (error) {
      if (!isRetry) this.onError(error as Error)
      this.retryTimer = this.clock.after(RETRY_DELAY_MS, () => this.write(true))
    }
  }

  private flushNow(): void {
    this.flushTimer = null
    try {
      this.files.flushNow(RESTART_FILE)
    } catch (error) {
      this.onError(error as Error)
    }
  }
}
