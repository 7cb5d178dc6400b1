/**
 * Which texts some lines may hold: the set of their grams (short runs of bytes), as a bitmap of their hashes. A text that the
 * lines do hold has all of its grams in the set, wherever in a word it stands, so a part of a segment in which one of them is
 * missing need not be unpacked. False alarms happen, misses do not.
 *
 * Sources: signature files, which are Bloom filters with one hash (Bloom, 1970; Faloutsos and Christodoulakis, 1984), over
 * q-grams as in Cox, "Regular Expression Matching with a Trigram Index" (2012). Declined: whole words, of which a part could not
 * be asked for, and parts of words are what expressions mostly name.
 *
 * A gram is four bytes; six where the last four are digits, decimal or hexadecimal: of numbers and ids all runs of four are soon
 * there. Which gram ends at a byte is told by that byte and the five before it. So of a text that was cut out of a line, each
 * gram is one of the line.
 */
import type { RequiredTexts } from './required-texts.ts'

const GRAM_BYTES = 4
const DIGITS_GRAM_BYTES = 6
/** Of a set that is being filled: 2^18 bits, which the nearest cache holds. */
const SET_BITS = 2 ** 18
const FILTER_BYTES_MIN = 64
/** A filter is halved as long as no more than this part of its bits is set then: a text of n strange grams alarms with about this to the n. */
const FILL_MAX = 0.35
/** And as long as it is larger than this part of the lines: 16 KiB for a block of full length. */
const SHARE_MAX = 1 / 24

const IS_DIGIT = new Uint8Array(256)
for (const digit of '0123456789abcdefABCDEF') IS_DIGIT[digit.charCodeAt(0)] = 1
const FOUR_DIGITS = 0b1111

export class GramSet {
  readonly #bits = new Uint32Array(SET_BITS / 32)

  /** The grams of one line. */
  add(bytes: Uint8Array, from: number, to: number): void {
    const bits = this.#bits
    let last = 0
    let digits = 0
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!
      last = (last << 8) | byte
      digits = (digits << 1) | IS_DIGIT[byte]!
      let gram = last
      if ((digits & FOUR_DIGITS) === FOUR_DIGITS) {
        if (at < from + DIGITS_GRAM_BYTES - 1) continue
        gram ^= Math.imul((bytes[at - 5]! << 8) | bytes[at - 4]!, 0x85ebca6b)
      } else if (at < from + GRAM_BYTES - 1) continue
      const place = hash(gram) & (SET_BITS - 1)
      bits[place >>> 5]! |= 1 << place
    }
  }

  /** What was added since the last call, for lines of so many bytes; its length is a power of two. */
  takeFilter(lineBytes: number): Uint8Array {
    let filter = this.#bits.slice()
    this.#bits.fill(0)
    while (filter.byteLength > FILTER_BYTES_MIN) {
      const half = halved(filter)
      if (filter.byteLength <= lineBytes * SHARE_MAX && setBits(half) > half.byteLength * 8 * FILL_MAX) break
      filter = half
    }
    return new Uint8Array(filter.buffer)
  }

  /** In which bits of a filter of full length the grams are. */
  places(): number[] {
    const places: number[] = []
    for (const [index, word] of this.#bits.entries()) {
      for (let bit = 0; bit < 32 && word !== 0; bit++) if (word & (1 << bit)) places.push(32 * index + bit)
    }
    return places
  }
}

/** Where in a filter the grams of texts are: of each of these, those of one text at least, all of them. */
export type RequiredGrams = number[][][]

/** Texts that are too short for grams say nothing. */
export function gramsOf(required: RequiredTexts): RequiredGrams {
  return required.map((texts) => texts.map(placesOf)).filter((texts) => texts.every((places) => places.length > 0))
}

function placesOf(text: string): number[] {
  const grams = new GramSet()
  const bytes = Buffer.from(text)
  grams.add(bytes, 0, bytes.length)
  return grams.places()
}

export function mayHold(filter: Uint8Array, required: RequiredGrams): boolean {
  const mask = filter.length * 8 - 1
  const isSet = (gram: number) => (filter[(gram & mask) >>> 3]! & (1 << (gram & 7))) !== 0
  return required.every((texts) => texts.some((places) => places.every(isSet)))
}

/** Multiplicative hashing (Knuth), with high bits brought down, since the low ones are the place. */
function hash(gram: number): number {
  const mixed = Math.imul(gram, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** Upper and lower half on each other: the place of a gram is told by the low bits of its hash, of which there is one less now. */
function halved(filter: Uint32Array): Uint32Array<ArrayBuffer> {
  const half = filter.slice(0, filter.length / 2)
  for (let at = 0; at < half.length; at++) half[at]! |= filter[half.length + at]!
  return half
}

function setBits(words: Uint32Array): number {
  let count = 0
  for (let word of words) for (; word !== 0; word &= word - 1) count += 1
  return count
}
