/** The last words of tasks that failed, kept from the moment of their failure: after a rollback their containers are gone. */
import type { ProgressDocument } from '../../shared/api.ts'
import { wellFormedBrief } from '../../shared/text.ts'
import type { Core, LogReader } from '../core.ts'
import { isoTime } from './words.ts'

type LastLines = NonNullable<ProgressDocument['lastLines']>

const LINES_MAX = 5
const TASKS_MAX = 3
const FOUND_MAX = 32
const WAIT_MS = 1_500
const LINE_CHARS_MAX = 2_048

export function lastLinesOfFailures(core: Core, logs: LogReader) {
  const found = new Map<string, LastLines[number]>()
  const reading = new Map<string, Promise<void>>()

  /** Reads what the first few that have failed have said, once each. */
  function note(progress: ProgressDocument): void {
    for (const { task } of failuresOf(progress)) if (!found.has(task)) look(task)
  }

  function look(task: string): void {
    const node = core.world.tasks.get(task)?.node ?? null
    if (node === null || reading.has(task)) return
    reading.set(
      task,
      read(task, node).finally(() => reading.delete(task)),
    )
  }

  async function read(task: string, node: string): Promise<void> {
    const lines: LastLines[number] = { task, lines: [], at: [] }
    try {
      const signal = AbortSignal.timeout(WAIT_MS)
      for await (const batch of logs.read({ tasks: [{ task, node }], tailLines: LINES_MAX, follow: false, signal })) {
        for (const { text, at } of batch.lines) {
          lines.lines.push(wellFormedBrief(text, LINE_CHARS_MAX))
          lines.at.push(isoTime(at))
        }
      }
    } catch {
      // The lines are a courtesy: the outcome is told without them.
    }
    // The first few failures may change while a stack is on its way; what is kept is bounded all the same.
    if (lines.lines.length > 0 && (found.has(task) || found.size < FOUND_MAX)) found.set(task, lines)
  }

  return {
    note,
    /** Of those that failed by the end, read again where they still stand. What cannot be had quickly is left out. */
    async of(progress: ProgressDocument): Promise<LastLines> {
      const failures = failuresOf(progress)
      for (const { task } of failures) look(task)
      await Promise.all(reading.values())
      return failures.map(({ task }) => found.get(task)).filter((lines) => lines !== undefined)
    },
  }
}

const failuresOf = ({ services }: ProgressDocument) => services.flatMap(({ failures }) => failures).slice(0, TASKS_MAX)
