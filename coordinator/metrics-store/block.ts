/**
 * One series' points of a while, packed: the way of Facebook's Gorilla (Pelkonen et al., VLDB 2015), with whole numbers. Times
 * are told as the change of the interval since the point before, values as their difference, each in the shortest of a few
 * lengths. A point that comes when it is expected and says the same as the one before takes two bits.
 *
 * Gorilla's XOR of floats is not used: what is measured has a known fineness (`Metric.step`), and differences of whole numbers are shorter.
 */

/** Points of the block; more begin another one. */
export const POINTS_MAX = 65_535
const COUNT_BYTES = 2

/** Lengths of a difference, folded so that its sign is the lowest bit. The prefix is as many ones as stand before it, then a zero. */
const VALUE_BITS = [0, 5, 9, 14, 22] as const
const TIME_BITS = [0, 6, 12] as const
/** Of a whole number of up to 53 bits with its sign. */
const WHOLE_BITS = 54
const SECOND_BITS = 32

export class BlockWriter {
  #bytes = new Uint8Array(24)
  #length = COUNT_BYTES
  #pending = 0
  #pendingBits = 0
  #second = 0
  #interval = 0
  #value = 0
  #above = 0
  readonly #isPair: boolean
  count = 0

  /** `isPair`: each point has a second number beside its value, told as how far it is above it. */
  constructor(isPair: boolean) {
    this.#isPair = isPair
  }

  get lastSecond(): number {
    return this.#second
  }

  /** `second` is whole, below 2^32 and later than the one before; `value` and `above` are whole and exact. */
  append(second: number, value: number, above = 0): void {
    if (this.count === 0) {
      this.#wide(second, SECOND_BITS)
      this.#whole(value)
      if (this.#isPair) this.#whole(above)
    } else {
      const interval = second - this.#second
      this.#timeChange(interval - this.#interval, interval)
      this.#interval = interval
      this.#difference(value - this.#value)
      if (this.#isPair) this.#difference(above - this.#above)
    }
    this.#second = second
    this.#value = value
    this.#above = above
    this.count++
  }

  /** A copy of what was written up to now. */
  finish(): Uint8Array {
    const rest = this.#pendingBits > 0 ? 1 : 0
    const bytes = this.#bytes.slice(0, this.#length + rest)
    bytes[0] = this.count & 0xff
    bytes[1] = this.count >>> 8
    if (rest) bytes[this.#length] = (this.#pending << (8 - this.#pendingBits)) & 0xff
    return bytes
  }

  #timeChange(change: number, interval: number): void {
    const folded = fold(change)
    if (folded === 0) this.#bits(0, 1)
    else if (folded < 1 << 6) this.#bits((0b10 << 6) | folded, 8)
    else if (folded < 1 << 12) this.#bits((0b110 << 12) | folded, 15)
    else {
      this.#bits(0b111, 3)
      this.#wide(interval, SECOND_BITS)
    }
  }

  #difference(difference: number): void {
    const folded = fold(difference)
    if (folded === 0) this.#bits(0, 1)
    else if (folded < 1 << 5) this.#bits((0b10 << 5) | folded, 7)
    else if (folded < 1 << 9) this.#bits((0b110 << 9) | folded, 12)
    else if (folded < 1 << 14) this.#bits((0b1110 << 14) | folded, 18)
    else if (folded < 1 << 22) {
      this.#bits(0b11110, 5)
      this.#bits(folded, 22)
    } else {
      this.#bits(0b11111, 5)
      this.#whole(difference)
    }
  }

  #whole(value: number): void {
    this.#bits(value < 0 ? 1 : 0, 1)
    this.#wide(Math.abs(value), WHOLE_BITS - 1)
  }

  /** More bits than a shift of 32 takes. */
  #wide(value: number, bits: number): void {
    let left = bits
    while (left > 0) {
      const take = Math.min(left, 16)
      left -= take
      this.#bits(Math.floor(value / 2 ** left) % 2 ** take, take)
    }
  }

  /** At most 24, with which the seven that may be pending fit into 32. */
  #bits(value: number, bits: number): void {
    this.#pending = (this.#pending << bits) | value
    this.#pendingBits += bits
    while (this.#pendingBits >= 8) {
      this.#pendingBits -= 8
      if (this.#length + 1 >= this.#bytes.length) this.#grow()
      this.#bytes[this.#length++] = this.#pending >>> this.#pendingBits
    }
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2)
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}

/** Calls for each point, in order. Bytes that are no block give points that mean nothing, but it ends. */
export function readBlock(
  bytes: Uint8Array,
  isPair: boolean,
  visit: (second: number, value: number, above: number) => void,
): void {
  const bits = new BitReader(bytes, COUNT_BYTES)
  const count = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8)
  let second = 0
  let interval = 0
  let value = 0
  let above = 0
  for (let i = 0; i < count; i++) {
    if (i === 0) {
      second = bits.wide(SECOND_BITS)
      value = whole(bits)
      if (isPair) above = whole(bits)
    } else {
      interval = intervalAfter(bits, interval)
      second += interval
      value += difference(bits)
      if (isPair) above += difference(bits)
    }
    visit(second, value, above)
  }
}

function intervalAfter(bits: BitReader, before: number): number {
  const ones = bits.ones(TIME_BITS.length)
  const length = TIME_BITS[ones]
  if (length === undefined) return bits.wide(SECOND_BITS)
  return length === 0 ? before : before + unfold(bits.read(length))
}

function difference(bits: BitReader): number {
  const ones = bits.ones(VALUE_BITS.length)
  const length = VALUE_BITS[ones]
  if (length === undefined) return whole(bits)
  return length === 0 ? 0 : unfold(bits.read(length))
}

function whole(bits: BitReader): number {
  const isNegative = bits.read(1) === 1
  const amount = bits.wide(WHOLE_BITS - 1)
  return isNegative ? -amount : amount
}

function fold(difference: number): number {
  return difference >= 0 ? difference * 2 : -difference * 2 - 1
}

function unfold(folded: number): number {
  return folded & 1 ? -((folded + 1) >>> 1) : folded >>> 1
}

class BitReader {
  readonly #bytes: Uint8Array
  #at: number
  #pending = 0
  #pendingBits = 0

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  /** At most 24. Behind the end there are zeros. */
  read(bits: number): number {
    while (this.#pendingBits < bits) {
      this.#pending = (this.#pending << 8) | (this.#bytes[this.#at++] ?? 0)
      this.#pendingBits += 8
    }
    this.#pendingBits -= bits
    return (this.#pending >>> this.#pendingBits) & ((1 << bits) - 1)
  }

  wide(bits: number): number {
    let value = 0
    let left = bits
    while (left > 0) {
      const take = Math.min(left, 16)
      left -= take
      value = value * 2 ** take + this.read(take)
    }
    return value
  }

  /** How many ones stand before the next zero, at most `max`, which has no zero behind it. */
  ones(max: number): number {
    let count = 0
    while (count < max && this.read(1) === 1) count++
    return count
  }
}
