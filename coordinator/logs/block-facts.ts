/**
 * What an index says of a block, found in its lines as the Engine wrote them, without reading them as JSON where that can be
 * helped: `{"log":"TEXT\n","stream":"stdout","time":"2026-11-23T10:04:11.123456789Z"}`. Where it is not certain it errs to the
 * side on which a block is read in vain, never to the one on which a line is missed.
 */
import { type JsonLogPiece, parseJsonLog } from '../../shared/json-log.ts'
import type { GramSet } from './gram-filter.ts'
import { LEVEL_CHARS, LOG_LEVELS, levelInWords, levelOf } from './log-level.ts'

/** Sets of sources are bits: 1 is stdout, 2 is stderr. */
export type BlockFacts = {
  /** All its lines of the file end a line of the container: no piece is in it that goes on in another. */
  isWhole: boolean
  /** Sources of which the last line in it ended, so that nothing that was begun before is open behind it. */
  ended: number
  /** Sources of which it may leave a line begun. */
  begun: number
  /** Levels that lines in it have, as bits in the order of LOG_LEVELS. */
  levels: number
}

const QUOTE = 34
const BACKSLASH = 92
const SMALL_N = 110
const HEAD = '{"log":"'
const TAILS = ['","stream":"stdout","time":"', '","stream":"stderr","time":"'].map((tail) => Buffer.from(tail))
const TAIL_BYTES = TAILS[0]!.length
/** Where the names of the two sources differ. */
const SOURCE_AT = TAILS[0]!.indexOf('out')
const SMALL_O = 111
const TIME_BYTES_MAX = 40
/** What is written otherwise in JSON than it is, or is no ASCII: there a level is looked for in the text itself. */
const ODD = /[^ !#-[\]-~]/

/** `bytes`: whole lines. `grams`: where those of all texts go. */
export function factsOf(bytes: Buffer, grams: GramSet | null): BlockFacts {
  const text = bytes.toString('latin1')
  const scan = new Scan(bytes, text, grams)
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('\n', at)
    const end = found < 0 ? text.length : found
    scan.line(at, end)
    at = end + 1
  }
  return scan.facts()
}

/** Bits of `level` and all that are graver. */
export function levelsFrom(level: (typeof LOG_LEVELS)[number]): number {
  const all = (1 << LOG_LEVELS.length) - 1
  return all & ~((1 << LOG_LEVELS.indexOf(level)) - 1)
}

class Scan {
  readonly #bytes: Buffer
  /** Of the same indices as the bytes. */
  readonly #text: string
  readonly #grams: GramSet | null
  /** By source: where its last line begins and ends; whether any was a piece. */
  readonly #last: ({ at: number; end: number } | null)[] = [null, null]
  readonly #hasPieces = [false, false]
  #levels = 0
  /** Of a text whose level has been noted. */
  #beginning = ''

  constructor(bytes: Buffer, text: string, grams: GramSet | null) {
    this.#bytes = bytes
    this.#text = text
    this.#grams = grams
  }

  line(at: number, end: number): void {
    const tail = this.#tailAt(at, end)
    if (tail < 0) {
      this.#otherLine(at, end)
      return
    }
    const source = this.#bytes[tail + SOURCE_AT] === SMALL_O ? 0 : 1
    const from = at + HEAD.length
    const isEnd = this.#endsLine(from, tail)
    this.#note(source, at, end, isEnd)
    if (this.#grams === null) return
    this.#grams.add(this.#bytes, from, tail)
    this.#noteLevel(at, end, from, isEnd ? tail - 2 : tail)
  }

  facts(): BlockFacts {
    let [ended, begun] = [0, 0]
    for (const source of [0, 1]) {
      const last = this.#last[source]!
      if (last !== null && parseJsonLog(this.#bytes.toString('utf8', last.at, last.end))?.endsLine) ended |= 1 << source
      else if (this.#hasPieces[source]) begun |= 1 << source
    }
    return { isWhole: !this.#hasPieces.includes(true), ended, begun, levels: this.#levels }
  }

  /** Where the text of a line as the Engine writes it ends; -1: it is another one. What is behind the text holds no other. */
  #tailAt(at: number, end: number): number {
    const bytes = this.#bytes
    const closing = end - 2
    if (closing - at < HEAD.length + TAIL_BYTES || bytes[closing] !== QUOTE || bytes[end - 1] !== 0x7d) return -1
    let time = closing - 1
    for (const first = closing - TIME_BYTES_MAX; time > first && bytes[time] !== QUOTE; ) time -= 1
    const tail = time + 1 - TAIL_BYTES
    if (tail < at + HEAD.length || bytes[time] !== QUOTE) return -1
    const expected = TAILS[bytes[tail + SOURCE_AT] === SMALL_O ? 0 : 1]!
    for (let index = 0; index < TAIL_BYTES; index++) if (bytes[tail + index] !== expected[index]) return -1
    return this.#text.startsWith(HEAD, at) ? tail : -1
  }

  /** A newline is written as \n; behind another backslash it is an n. */
  #endsLine(from: number, tail: number): boolean {
    if (this.#bytes[tail - 1] !== SMALL_N) return false
    let first = tail - 1
    while (first > from && this.#bytes[first - 1] === BACKSLASH) first -= 1
    return (tail - 1 - first) % 2 === 1
  }

  #otherLine(at: number, end: number): void {
    this.#grams?.add(this.#bytes, at, end)
    const piece = this.#parsed(at, end)
    if (piece === null) return
    this.#note(piece.source === 'stdout' ? 0 : 1, at, end, piece.endsLine)
    this.#addLevel(piece.text)
  }

  #parsed(at: number, end: number): JsonLogPiece | null {
    return parseJsonLog(this.#bytes.toString('utf8', at, end))
  }

  #note(source: 0 | 1, at: number, end: number, isEnd: boolean): void {
    this.#last[source] = { at, end }
    if (!isEnd) this.#hasPieces[source] = true
  }

  #noteLevel(at: number, end: number, from: number, to: number): void {
    // Lines of one level mostly begin alike; with the same beginning up to its word, it is the same.
    if (this.#beginning !== '' && this.#text.startsWith(this.#beginning, from) && from + this.#beginning.length <= to)
      return
    const head = this.#text.slice(from, Math.min(to, from + LEVEL_CHARS))
    const found = head.startsWith('{') ? null : levelInWords(head)
    const read = found === null ? head : head.slice(0, found.end)
    if (head.startsWith('{') || ODD.test(read)) {
      this.#addLevel(this.#parsed(at, end)?.text ?? '')
    } else if (found !== null) {
      this.#levels |= 1 << LOG_LEVELS.indexOf(found.level)
      this.#beginning = read.length === found.end ? read : ''
    }
  }

  #addLevel(text: string): void {
    const level = levelOf(text)
    if (level !== null) this.#levels |= 1 << LOG_LEVELS.indexOf(level)
  }
}
