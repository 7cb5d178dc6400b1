/** A value of the merged files, its path and its place: what every reader of a field works with. */
import { FORBIDDEN_KEY } from '../names.ts'
import type { Findings, Place } from './findings.ts'
import { didYouMean } from './suggest.ts'
import { isNull, joinPath, NOWHERE, type Node } from './tree.ts'
import { parseBytes, parseDurationMs } from './units.ts'

const TRUE_WORDS = ['true', 'yes', 'on', 'y', '1']
const FALSE_WORDS = ['false', 'no', 'off', 'n', '0']
export const FORBIDDEN_NAME = `${FORBIDDEN_KEY} cannot be a name; choose another`
/** Settings under this key are Berth's own; they belong on a service. */
export const OWN_EXTENSION = 'x-berth'

/**
 * The readers answer the value, or undefined after reporting why there is none; a reader of fields can therefore go on
 * and find the next mistake.
 */
export class Field {
  readonly node: Node
  readonly path: string
  readonly findings: Findings
  private readonly keyPlace: Place | undefined

  constructor(node: Node, path: string, findings: Findings, keyPlace?: Place) {
    this.node = node
    this.path = path
    this.findings = findings
    this.keyPlace = keyPlace
  }

  /** A single value is pointed at itself; a list or mapping at its key, where the reader's eye begins. */
  get place(): Place {
    return this.node.kind === 'scalar' ? this.node.place : (this.keyPlace ?? this.node.place)
  }

  get key(): string {
    return this.path.slice(this.path.lastIndexOf('.') + 1)
  }

  error(message: string): undefined {
    if (this.node.kind === 'scalar' && this.node.isFaulty) return undefined
    this.findings.error(this.place, this.path, message)
    return undefined
  }

  warning(message: string): undefined {
    this.findings.warning(this.place, this.path, message)
    return undefined
  }

  notHonoured(message: string): undefined {
    this.findings.notHonoured(this.keyPlace ?? this.place, this.path, message)
    return undefined
  }

  /** The member `key`; undefined when absent or null, which mean the same to Compose. */
  get(key: string): Field | undefined {
    const entry = this.node.kind === 'map' ? this.node.entries.get(key) : undefined
    if (!entry || isNull(entry.value)) return undefined
    return new Field(entry.value, joinPath(this.path, key), this.findings, entry.keyPlace)
  }

  /** The members of a mapping, null ones too. Reports anything else. */
  members(): [key: string, field: Field][] {
    if (this.node.kind !== 'map') {
      this.wrongKind('a mapping')
      return []
    }
    const members = [...this.node.entries].map(([key, entry]): [string, Field] => [
      key,
      new Field(entry.value, joinPath(this.path, key), this.findings, entry.keyPlace),
    ])
    return members.filter(([key, field]) => key !== FORBIDDEN_KEY || field.atKey().error(FORBIDDEN_NAME))
  }

  /** The items of a list. Reports anything else. */
  items(): Field[] {
    if (this.node.kind !== 'list') {
      this.wrongKind('a list')
      return []
    }
    return this.node.items.map((item, index) => new Field(item, `${this.path}[${index}]`, this.findings))
  }

  isNull(): boolean {
    return isNull(this.node)
  }

  /** The key itself is at fault: unknown or out of place. */
  atKey(): Field {
    const place = this.keyPlace ?? this.node.place
    return new Field(
      { kind: 'scalar', value: null, text: '', place: place ?? NOWHERE },
      this.path,
      this.findings,
      place,
    )
  }

  /** Reports members that are not among `known`; `x-…` are the user's own. */
  onlyKnows(known: Iterable<string>): void {
    const words = new Set(known)
    for (const [key, field] of this.members()) {
      if (words.has(key)) continue
      if (key === OWN_EXTENSION) field.isNull() || field.atKey().error('belongs under a service: services.NAME.x-berth')
      else if (!key.startsWith('x-'))
        field.atKey().error(`is not a field that Compose knows here${didYouMean(key, words)}`)
    }
  }

  /** Reports members that are no settings of Berth: under `x-berth` nothing is the user's own. */
  onlySets(known: readonly string[]): void {
    for (const [key, field] of this.members()) {
      if (known.includes(key)) continue
      const there = known.length === 1 ? 'there is' : 'there are'
      field.atKey().error(`is not a setting of Berth here; ${there} ${known.join(', ')}${didYouMean(key, known)}`)
    }
  }

  /** A text, and nothing that YAML takes for a number or a truth value. */
  string(): string | undefined {
    if (this.node.kind === 'scalar' && typeof this.node.value === 'string') return this.node.value
    if (this.node.kind === 'scalar' && this.node.value !== null)
      return this.error(`${this.node.text} is not a text; put it in quotes`)
    return this.wrongKind('a text')
  }

  /** Any single value as it was written: `1.10` stays `1.10`. */
  text(): string | undefined {
    if (this.node.kind === 'scalar' && this.node.value !== null) return this.node.text
    return this.wrongKind('a single value')
  }

  oneOf<Word extends string>(words: readonly Word[]): Word | undefined {
    const text = this.text()
    if (text === undefined) return undefined
    const word = words.find((each) => each === text)
    return word ?? this.error(`"${text}" is none of ${words.join(', ')}${didYouMean(text, words)}`)
  }

  boolean(): boolean | undefined {
    const text = this.text()?.toLowerCase()
    if (text === undefined) return undefined
    if (TRUE_WORDS.includes(text)) return true
    if (FALSE_WORDS.includes(text)) return false
    return this.error(`"${text}" is neither true nor false`)
  }

  number(range: { min?: number; max?: number } = {}): number | undefined {
    const text = this.text()
    if (text === undefined) return undefined
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
    if (!Number.isFinite(value)) return this.error(`"${text}" is not a number`)
    return this.within(value, range)
  }

  integer(range: { min?: number; max?: number } = {}): number | undefined {
    const text = this.text()
    if (text === undefined) return undefined
    const value = /^[+-]?\d+$/.test(text) || /^0[xo][0-9a-f]+$/i.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value)) return this.error(`"${text}" is not a whole number`)
    return this.within(value, range)
  }

  bytes(): number | undefined {
    const text = this.text()
    if (text === undefined) return undefined
    return parseBytes(text) ?? this.error(`"${text}" is not a size; write it like 512M or 2G`)
  }

  durationMs(): number | undefined {
    const text = this.text()
    if (text === undefined) return undefined
    const hint = /^\d+$/.test(text) ? `${text}s` : '10s or 1m30s'
    return parseDurationMs(text) ?? this.error(`"${text}" is not a duration; write it like ${hint}`)
  }

  /** A list of single values. */
  texts(): string[] {
    return this.items()
      .map((item) => item.text())
      .filter((text) => text !== undefined)
  }

  /** One value, or a list of them. */
  oneOrMany(): Field[] {
    return this.node.kind === 'list' ? this.items() : [this]
  }

  /** `{A: 1, B: null}` or `[A=1, B]`; undefined stands for a key without a value. */
  pairs(): Map<string, { value: string | undefined; field: Field }> {
    const pairs = new Map<string, { value: string | undefined; field: Field }>()
    if (this.node.kind === 'list') {
      for (const field of this.items()) {
        const text = field.text()
        if (text === undefined) continue
        const equals = text.indexOf('=')
        const key = equals < 0 ? text : text.slice(0, equals)
        if (key === '') field.error('has no name before its =')
        else if (key === FORBIDDEN_KEY) field.error(FORBIDDEN_NAME)
        else pairs.set(key, { value: equals < 0 ? undefined : text.slice(equals + 1), field })
      }
      return pairs
    }
    if (this.node.kind !== 'map') this.wrongKind('a mapping, or a list of KEY=value')
    else
      for (const [key, field] of this.members())
        pairs.set(key, { value: field.isNull() ? undefined : field.text(), field })
    return pairs
  }

  wrongKind(wanted: string): undefined {
    const { node } = this
    const found =
      node.kind === 'map'
        ? 'a mapping'
        : node.kind === 'list'
          ? 'a list'
          : node.value === null
            ? 'empty'
            : `"${excerpt(node.text)}"`
    return this.error(`should be ${wanted}, and is ${found}`)
  }

  private within(value: number, range: { min?: number; max?: number }): number | undefined {
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = range
    if (value >= min && value <= max) return value
    const span = max === Number.POSITIVE_INFINITY ? `${min} or more` : `${min} to ${max}`
    return this.error(`${value} is out of range; it takes ${span}`)
  }
}

function excerpt(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
