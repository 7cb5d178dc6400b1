/** A LogReader over lines that a test writes, with what a real one does: tails, goes on where the reader was, follows, lets tasks join. */
import type { LogBatch, LogReader, LogTarget } from '../../coordinator/core.ts'
import { passOver } from '../../shared/log-position.ts'
import type { LogLine } from '../../shared/wire/up.ts'

export type FakeLogs = LogReader & {
  /** Lines that a task has written, each a second after the one before. */
  set(task: string, texts: string[]): void
  /** One more; those who follow the task get it. */
  write(task: string, text: string, at?: number): void
  /** A word to everybody who reads. */
  say(word: Partial<LogBatch>): void
  /** Those who read now. */
  readonly readers: number
  /** Batches that readers have not taken yet. */
  readonly waiting: number
}

type Reading = { wants(task: string): boolean; waiting: LogBatch[]; wake: () => void }

export function aLogReader(): FakeLogs {
  const logs = new Map<string, LogLine[]>()
  const readings = new Set<Reading>()
  const lineOf = (task: string, text: string, at: number): LogLine => ({ task, at, source: 'stdout', text })
  const batchOf = (given: Partial<LogBatch>): LogBatch => ({ lines: [], dropped: 0, missingNodes: [], ...given })

  function past({ task, after, isNew }: LogTarget, tailLines: number | undefined, since = 0): LogLine[] {
    const isHad = after === undefined ? () => false : passOver(after)
    const lines = (logs.get(task) ?? []).filter(({ at }) => at >= since && !isHad(at))
    return tailLines === undefined || after !== undefined || isNew ? lines : lines.slice(lines.length - tailLines)
  }

  async function* read(query: Parameters<LogReader['read']>[0]): AsyncGenerator<LogBatch> {
    const targets = new Map(query.tasks.map((target) => [target.task, target]))
    const reading: Reading = { wants: (task) => targets.has(task), waiting: [], wake: () => undefined }
    const put = (target: LogTarget) => {
      const lines = past(target, query.tailLines, query.since)
      if (lines.length > 0) reading.waiting.push(batchOf({ lines }))
    }
    query.tasks.forEach(put)
    let isGone = false
    const stop = query.watch?.((wanted) => {
      isGone = wanted === null
      for (const target of wanted ?? []) {
        if (targets.has(target.task)) continue
        targets.set(target.task, target)
        put({ ...target, isNew: true })
      }
      reading.wake()
    })
    readings.add(reading)
    query.signal.addEventListener('abort', () => reading.wake())
    try {
      for (;;) {
        for (let next = reading.waiting.shift(); next !== undefined; next = reading.waiting.shift()) yield next
        if (!query.follow || query.signal.aborted || isGone) return
        await new Promise<void>((resolve) => {
          reading.wake = resolve
          if (reading.waiting.length > 0 || query.signal.aborted) resolve()
        })
      }
    } finally {
      stop?.()
      readings.delete(reading)
    }
  }

  return {
    read,
    set: (task, texts) =>
      void logs.set(
        task,
        texts.map((text, index) => lineOf(task, text, 1000 * index)),
      ),
    write(task, text, at = Date.now()) {
      const line = lineOf(task, text, at)
      logs.set(task, [...(logs.get(task) ?? []), line])
      for (const reading of readings) {
        if (!reading.wants(task)) continue
        reading.waiting.push(batchOf({ lines: [line] }))
        reading.wake()
      }
    },
    say(word) {
      for (const reading of readings) {
        reading.waiting.push(batchOf(word))
        reading.wake()
      }
    },
    get readers() {
      return readings.size
    },
    get waiting() {
      return [...readings].reduce((sum, { waiting }) => sum + waiting.length, 0)
    },
  }
}
