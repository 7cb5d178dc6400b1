/**
 * Finds an operator's pattern in lines, in bounded time. Plain text is looked for here; a regular expression in a thread of its
 * own, which is ended when one batch of lines takes too long: some expressions would not end in a lifetime.
 */
import { Worker } from 'node:worker_threads'
import { BerthError } from '../../shared/errors.ts'
import { type RequiredTexts, requiredTexts, strongestOf } from './required-texts.ts'

export type Pattern = {
  /** In raw blocks one of these texts is there if a line has it; null: nothing is known of raw blocks. */
  readonly raw: Buffer[] | null
  /** All that is known of such texts, for an index. */
  readonly texts: RequiredTexts
  /** @throws BerthError `invalid-request` when the expression takes too long */
  find(texts: string[]): Promise<boolean[]>
  close(): void
}

export const BATCH_MS_MAX = 2_000
export const PATTERN_CHARS_MAX = 1_000
const META = /[\\^$.*+?()[\]{}|]/

/** @throws BerthError `invalid-request` for what is no regular expression */
export function checkPattern(source: string): void {
  if (source.length > PATTERN_CHARS_MAX) {
    throw new BerthError('invalid-request', `--grep takes up to ${PATTERN_CHARS_MAX} characters, not ${source.length}`)
  }
  try {
    new RegExp(source, 'u')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new BerthError('invalid-request', `--grep ${JSON.stringify(source)} is no regular expression: ${why}`)
  }
}

/** @throws BerthError as checkPattern does */
export function openPattern(source: string): Pattern {
  checkPattern(source)
  return META.test(source) ? new ExpressionThread(source) : plainText(source)
}

function plainText(text: string): Pattern {
  const texts = requiredTexts(text)
  return {
    raw: rawOf(texts),
    texts,
    find: async (texts) => texts.map((each) => each.includes(text)),
    close: () => {},
  }
}

function rawOf(texts: RequiredTexts): Buffer[] | null {
  return strongestOf(texts)?.map((text) => Buffer.from(text)) ?? null
}

const THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const expression = new RegExp(workerData, 'u')
parentPort.on('message', (texts) => parentPort.postMessage(texts.map((text) => expression.test(text))))
`

class ExpressionThread implements Pattern {
  readonly raw: Buffer[] | null
  readonly texts: RequiredTexts
  readonly #source: string
  #worker: Worker | null = null
  /** Settles when the thread is free: it answers in order, and not to whom. */
  #isFree: Promise<unknown> = Promise.resolve()

  constructor(source: string) {
    this.#source = source
    this.texts = requiredTexts(source)
    this.raw = rawOf(this.texts)
  }

  find(texts: string[]): Promise<boolean[]> {
    const found = this.#isFree.then(() => this.#ask(texts))
    this.#isFree = found.catch(() => undefined)
    return found
  }

  #ask(texts: string[]): Promise<boolean[]> {
    this.#worker ??= new Worker(THREAD, { eval: true, workerData: this.#source })
    const worker = this.#worker
    return new Promise((resolve, reject) => {
      const end = (then: () => void) => {
        clearTimeout(timer)
        // Each by its name: the thread's own listeners are among the rest.
        worker.off('message', onFound)
        worker.off('error', onError)
        then()
      }
      const onFound = (found: boolean[]) => end(() => resolve(found))
      const onError = (error: unknown) => end(() => reject(error))
      const timer = setTimeout(() => end(() => reject(this.#tooLong(texts.length))), BATCH_MS_MAX)
      worker.on('message', onFound)
      worker.on('error', onError)
      worker.postMessage(texts)
    })
  }

  close(): void {
    void this.#worker?.terminate()
    this.#worker = null
  }

  #tooLong(lines: number): BerthError {
    this.close()
    const source = JSON.stringify(this.#source)
    return new BerthError(
      'invalid-request',
      `--grep ${source} took more than ${BATCH_MS_MAX / 1000} s over ${lines} lines: expressions such as (a+)+ try too many ways; write it simpler`,
    )
  }
}
