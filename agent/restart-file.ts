/**
 * The counts of attempts and failures, kept beside the assignment so that an attempt's number never goes back when the agent
 * is started anew. Tasks that run in their first attempt need no entry (their container's label says as much), so a
 * deployment writes nothing here. A lost or damaged file costs numbers, never a container.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NOTHING_REMEMBERED, type TaskMemory } from './decide/memory.ts'

/** Written at once; flushed to the disk a little later, many restarts in one. */
const FLUSH_DELAY_MS = 1_000

export class RestartFile {
  private readonly path: string
  private readonly entries = new Map<string, string>()
  private flushTimer: NodeJS.Timeout | null = null
  private readonly onError: (error: Error) => void

  constructor(dataDir: string, onError: (error: Error) => void) {
    this.path = join(dataDir, 'restarts.json')
    this.onError = onError
  }

  /** What was kept, by task. */
  read(): Map<string, TaskMemory> {
    const memories = new Map<string, TaskMemory>()
    try {
      const kept = JSON.parse(readFileSync(this.path, 'utf8')) as Record<string, Partial<TaskMemory>>
      for (const [task, memory] of Object.entries(kept)) {
        memories.set(task, { ...NOTHING_REMEMBERED, ...memory })
        this.entries.set(task, JSON.stringify(memory))
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.onError(error as Error)
    }
    return memories
  }

  /** Writes when there is something new that a container's label does not tell. */
  keep(task: string, memory: TaskMemory): void {
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
  }

  forget(task: string): void {
    if (this.entries.delete(task)) this.write()
  }

  close(): void {
    if (!this.flushTimer) return
    clearTimeout(this.flushTimer)
    this.flushNow()
  }

  private write(): void {
    const members = [...this.entries].map(([task, entry]) => `${JSON.stringify(task)}:${entry}`)
    try {
      writeWhole(this.path, `{${members.join(',\n')}}`)
      this.flushTimer ??= setTimeout(() => this.flushNow(), FLUSH_DELAY_MS).unref()
    } catch (error) {
      this.onError(error as Error)
    }
  }

  private flushNow(): void {
    this.flushTimer = null
    try {
      flush(this.path)
    } catch (error) {
      this.onError(error as Error)
    }
  }
}

const MODE = 0o600

/** Whole, and safe from the end of this process, though not yet from a power cut: quick enough to stand before a restart. */
function writeWhole(path: string, content: string): void {
  const beside = `${path}.new`
  writeFileSync(beside, content, { mode: MODE })
  renameSync(beside, path)
}

/** Flushes what `writeWhole` wrote. */
function flush(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
