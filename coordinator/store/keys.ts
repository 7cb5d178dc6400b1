/** Keys of the store: their order, which every store keeps alike, and what may stand in them. */
import { strict as assert } from 'node:assert'
import type { Key } from './store.ts'

const KEY_PARTS_MAX = 8
/** LMDB's pages of 4 KiB hold keys up to 1978 bytes; names here are far shorter. */
const KEY_CHARACTERS_MAX = 600

/** Negative when `a` comes first: part by part, numbers before strings, strings by their UTF-8 bytes, a prefix before what it begins. */
export function compareKeys(a: Key, b: Key): number {
  const parts = Math.min(a.length, b.length)
  for (let index = 0; index < parts; index++) {
    const order = compareParts(a[index]!, b[index]!)
    if (order !== 0) return order
  }
  return a.length - b.length
}

export function hasPrefix(key: Key, prefix: Key): boolean {
  return key.length >= prefix.length && prefix.every((part, index) => part === key[index])
}

/** Equal keys have equal texts, unequal ones unequal: no part holds the control characters that part them here. */
export function keyText(key: Key): string {
  let text = ''
  for (const part of key) text += typeof part === 'number' ? `\u0001${part}` : `\u0002${part}`
  return text
}

/** Keys come from this program's own code: a bad one is a broken assumption. */
export function assertKey(key: Key): void {
  assert(key.length > 0 && key.length <= KEY_PARTS_MAX, `a key has 1 to ${KEY_PARTS_MAX} parts, not ${key.length}`)
  let characters = 0
  for (const part of key) {
    if (typeof part === 'number') {
      assert(Number.isFinite(part), `a key's number is finite, not ${part}`)
    } else {
      characters += part.length
      assert(isPlain(part), `a key's string has no control characters or lone surrogates: ${JSON.stringify(part)}`)
    }
  }
  assert(characters <= KEY_CHARACTERS_MAX, `a key has at most ${KEY_CHARACTERS_MAX} characters, not ${characters}`)
}

/** Control characters would meet the separators of LMDB's key encoding. */
function isPlain(part: string): boolean {
  for (let index = 0; index < part.length; index++) if (part.charCodeAt(index) < 0x20) return false
  return part.isWellFormed()
}

function compareParts(a: string | number, b: string | number): number {
  if (typeof a === 'number') return typeof b === 'number' ? a - b : -1
  if (typeof b === 'number') return 1
  if (a === b) return 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
