/** What must be in every line that an expression finds, so that what is without it is not unpacked, or not split into lines. */

/** Each match holds, of each of these, one at least. None of the texts is empty. */
export type RequiredTexts = string[][]

/** What the Engine writes into its files as it is. */
const PLAIN_IN_FILES = /^[A-Za-z0-9 _\-:.=/,;@#%!]$/
/** So many texts may stand in one place, as of (GET|PUT). */
const VARIANTS_MAX = 16
const PLACES_MAX = 32

/**
 * Of `source`, an expression in the mode `u`; empty: nothing is known. Texts are followed through groups, alternatives and what may be
 * missing as long as there are few: of `zebra(fish|cat)s?` each match holds one of four.
 */
export function requiredTexts(source: string): RequiredTexts {
  try {
    new RegExp(source, 'u')
  } catch {
    return []
  }
  const { places } = new ExpressionReader(source).alternatives()
  return places.filter((texts) => strengthOf(texts) > 0).slice(0, PLACES_MAX)
}

/** The one of which a false alarm is least likely; null: there is none. */
export function strongestOf(required: RequiredTexts): string[] | null {
  const best = required.toSorted((a, b) => strengthOf(b) - strengthOf(a) || a.length - b.length)[0]
  return best === undefined || strengthOf(best) === 0 ? null : best
}

function strengthOf(texts: string[]): number {
  return Math.min(...texts.map(({ length }) => length))
}

/** `whole`: all texts that it may match; null: there are others. `places`: as RequiredTexts, but an empty text says nothing. */
type Known = { whole: string[] | null; places: RequiredTexts }

const ANYTHING: Known = { whole: null, places: [] }

function oneOf(texts: string[]): Known {
  return { whole: texts, places: [texts] }
}

/** Of an expression that is valid; each method reads what it is named for, and goes behind it. */
class ExpressionReader {
  readonly #source: string
  #at = 0
  #ignoresCase = false

  constructor(source: string) {
    this.#source = source
  }

  alternatives(): Known {
    const all = [this.#sequence()]
    while (this.#take(/\|/y) !== null) all.push(this.#sequence())
    if (all.length === 1) return all[0]!
    const whole = all.flatMap(({ whole }) => whole ?? [])
    if (all.every(({ whole }) => whole !== null) && whole.length <= VARIANTS_MAX) return oneOf([...new Set(whole)])
    const strongest = all.map(({ places }) => strongestOf(places))
    const texts = strongest.flatMap((texts) => texts ?? [])
    return strongest.includes(null) || texts.length > VARIANTS_MAX ? ANYTHING : { whole: null, places: [texts] }
  }

  #sequence(): Known {
    const places: RequiredTexts = []
    let isWhole = true
    /** What may stand right before the place that is read. */
    let run = ['']
    const interrupt = () => {
      places.push(run)
      run = ['']
      isWhole = false
    }
    const append = (texts: string[]) => {
      if (run.length * texts.length > VARIANTS_MAX) interrupt()
      run = [...new Set(run.flatMap((before) => texts.map((text) => before + text)))]
    }
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at]!)) {
      const { whole, places: within } = this.#atom()
      const { least, most } = this.#quantifier()
      if (whole !== null && least === 0 && most === 1) append([...whole, ''])
      else if (least === 0) interrupt()
      else if (whole === null) {
        interrupt()
        places.push(...within)
      } else {
        append(whole)
        if (most === 1) continue
        // What is behind it stands behind the last of them.
        interrupt()
        append(whole)
      }
    }
    places.push(run)
    return isWhole ? oneOf(run) : { whole: null, places }
  }

  #atom(): Known {
    if (this.#take(/\^|\$|\\[bB]/y) !== null) return oneOf([''])
    const group = this.#take(/\((?:\?(?:<?[=!]|<[^>]*>|[ims]*(?:-[ims]*)?:))?/y)
    if (group !== null) return this.#group(group)
    const set = this.#take(/\[(?:\\.|[^\]\\])*\]/suy)
    if (set !== null) return this.#oneChar([...set.slice(1, -1)], /^[^\\^-]+$/u.test(set.slice(1, -1)))
    const escaped = this.#take(/\\(?:u\{[^}]*\}|u.{4}|x..|c.|[pP]\{[^}]*\}|k<[^>]*>|\d+|.)/suy)
    if (escaped !== null) return this.#oneChar([escaped.slice(1)], !/^\\[A-Za-z0-9]/.test(escaped))
    const char = this.#source[this.#at++]!
    return this.#oneChar([char], char !== '.')
  }

  /** `open`: how it begins, as `(?i:`. What is looked for ahead or behind is no part of the match. */
  #group(open: string): Known {
    const outside = this.#ignoresCase
    const modifiers = /^\(\?([ims]*)(?:-([ims]*))?:/.exec(open)
    if (modifiers?.[1]?.includes('i')) this.#ignoresCase = true
    if (modifiers?.[2]?.includes('i')) this.#ignoresCase = false
    const known = this.alternatives()
    this.#take(/\)/y)
    this.#ignoresCase = outside
    return /[=!]$/.test(open) ? oneOf(['']) : known
  }

  /** Without regard to case, a letter may be another one, and not only of ASCII. */
  #oneChar(chars: string[], isPlain: boolean): Known {
    const isKnown = (char: string) => PLAIN_IN_FILES.test(char) && !(this.#ignoresCase && /[A-Za-z]/.test(char))
    return isPlain && chars.length <= VARIANTS_MAX && chars.every(isKnown) ? oneOf(chars) : ANYTHING
  }

  #quantifier(): { least: number; most: number } {
    const text = this.#take(/(?:[*+?]|\{\d+,?\d*\})\??/y)
    if (text === null) return { least: 1, most: 1 }
    if (text.startsWith('?')) return { least: 0, most: 1 }
    if (!text.startsWith('{')) return { least: text.startsWith('+') ? 1 : 0, most: Number.POSITIVE_INFINITY }
    const [least, most = least] = text.replace(/[{}?]/g, '').split(',') as [string, string?]
    return { least: Number(least), most: most === '' ? Number.POSITIVE_INFINITY : Number(most) }
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const taken = pattern.exec(this.#source)?.[0] ?? null
    this.#at += taken?.length ?? 0
    return taken
  }
}
