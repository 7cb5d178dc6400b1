/** The stream of `/v1/logs`, held on to: over a line that dies or a coordinator that restarts it goes on where it was. */
import type { LogRecord, LogRecordLine, LogsBody } from '../shared/api.ts'
import { BerthError } from '../shared/errors.ts'
import { advance, type LogPosition, POSITIONS_MAX } from '../shared/log-position.ts'
import { type Client, isErrorCode, type Query } from './client.ts'

/** What is said about the lines: `broken` while the coordinator is away, `back` when it is there again. */
export type LogWord =
  | { dropped: number }
  | { missingNodes: string[] }
  | { warning: string }
  | { broken: string }
  | { ended: 'gone' | 'back' }
export type LogNews = LogRecordLine | { tasks: Record<string, string> } | LogWord

const RECONNECT_MS = 1_000
const PASSING = new Set<string>(['unreachable', 'timed-out', 'too-many-requests'])
const GONE = new Set<string>(['stack-not-found', 'service-not-found', 'task-not-found'])

/**
 * As many as come at once. Ends with the answer or, following, when nothing is left that could write a line.
 * @throws BerthError what the coordinator answered; `unreachable` when an answer that does not follow breaks off
 */
export async function* readLogs(
  client: Client,
  query: LogsBody,
  { reconnectMs = RECONNECT_MS } = {},
): AsyncIterable<LogNews[]> {
  const place = new ReadingPlace(query)
  let isAway = false
  for (;;) {
    try {
      for await (const texts of ask(client, query, place)) {
        const news: LogNews[] = isAway ? [{ ended: 'back' }] : []
        isAway = false
        const end = take(texts, news, place)
        if (end === 'gone') news.push({ ended: 'gone' })
        if (news.length > 0) yield news
        if (end instanceof BerthError) throw end
        if (end !== null) return
      }
      throw new BerthError('unreachable', 'the coordinator ended the answer before all lines were given')
    } catch (error) {
      if (!(error instanceof BerthError) || !query.follow || !place.hasBegun) throw error
      if (GONE.has(error.code)) return yield [{ ended: 'gone' }]
      if (!PASSING.has(error.code)) throw error
      if (!isAway) yield [{ broken: error.message }]
      isAway = true
    }
    await new Promise((resolve) => setTimeout(resolve, reconnectMs))
  }
}

/** Puts what is news into `news`. Answers how the stream ended with these, if it did. */
function take(texts: string[], news: LogNews[], place: ReadingPlace): 'gone' | 'complete' | BerthError | null {
  for (const text of texts) {
    if (text === '') continue
    const record = JSON.parse(text) as LogRecord
    if ('error' in record) return new BerthError(codeOf(record.code), record.error)
    if ('ended' in record) return record.ended === 'gone' ? 'gone' : 'complete'
    place.note(record)
    if (!('alive' in record)) news.push(record)
  }
  return null
}

function ask(client: Client, query: LogsBody, place: ReadingPlace): AsyncIterable<string[]> {
  const from = place.from()
  if (from !== undefined) return client.lines('/v1/logs', {}, undefined, { ...query, from })
  return client.lines('/v1/logs', query as Query)
}

/** How far the reader is in each task. */
class ReadingPlace {
  readonly #query: LogsBody
  readonly #positions = new Map<string, LogPosition>()
  readonly #tasks = new Set<string>()
  /** When it all began, by the coordinator's clock. */
  #beganAt: number | null = null

  constructor(query: LogsBody) {
    this.#query = query
  }

  get hasBegun(): boolean {
    return this.#beganAt !== null
  }

  note(record: LogRecord): void {
    // Only who follows goes on where it was.
    if ('text' in record && this.#query.follow) this.#advance(record)
    if (!('tasks' in record)) return
    this.#beganAt ??= record.now
    for (const task of Object.keys(record.tasks)) this.#tasks.add(task)
    forgetOldest(this.#tasks)
  }

  /** The latest last, so that tasks that have long gone are the first to be forgotten. */
  #advance({ task, at }: LogRecordLine): void {
    const position = advance(this.#positions.get(task), at)
    this.#positions.delete(task)
    this.#positions.set(task, position)
    forgetOldest(this.#positions)
  }

  /**
   * Undefined: no line has come yet, so all is asked for as at first. Else a task that has given none has written none, or (when
   * no past was wanted) none since the beginning.
   */
  from(): Record<string, LogPosition> | undefined {
    const { tail, since = 0 } = this.#query
    const wantsNoPast = tail === 0 && this.#beganAt !== null
    if (this.#positions.size === 0 && !wantsNoPast) return undefined
    const start = { at: wantsNoPast ? (this.#beganAt ?? 0) : since, lines: 0 }
    const tasks = new Set([...this.#tasks, ...this.#positions.keys()])
    return Object.fromEntries(
      [...tasks].slice(-POSITIONS_MAX).map((task) => [task, this.#positions.get(task) ?? start]),
    )
  }
}

function forgetOldest(known: Set<string> | Map<string, LogPosition>): void {
  for (const task of known.keys()) {
    if (known.size <= POSITIONS_MAX) return
    known.delete(task)
  }
}

/** A newer coordinator may know codes that we do not. */
function codeOf(code: string): BerthError['code'] {
  return isErrorCode(code) ? code : 'failed'
}
