/** `$VAR`, `${VAR}`, `${VAR:-default}` and friends in one text. */
export type Lookup = (name: string) => string | undefined

export type Interpolated = {
  text: string
  /** Variables that were used plainly and are not set: they became empty. */
  unset: string[]
  /** Why the text cannot stand, in sentences: a required variable that is missing, or a `$` that means nothing. */
  problems: string[]
}

/** `${A:-${B:-${C}}}`: deeper than this is a mistake or an attack. */
const MAX_NESTING = 32
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y
const OPERATOR = /:?[-?+]/y

/** Replaces the variables of `text` by what `lookup` says of them; `$$` becomes `$`. Values are not interpolated again. */
export function interpolate(text: string, lookup: Lookup): Interpolated {
  const result: Interpolated = { text: '', unset: [], problems: [] }
  result.text = expand(text, lookup, result, 0)
  return result
}

function expand(text: string, lookup: Lookup, result: Interpolated, depth: number): string {
  if (depth > MAX_NESTING) {
    result.problems.push(`variables are nested more than ${MAX_NESTING} deep`)
    return ''
  }
  let out = ''
  let at = 0
  while (at < text.length) {
    const dollar = text.indexOf('$', at)
    if (dollar < 0) return out + text.slice(at)
    out += text.slice(at, dollar)
    if (text[dollar + 1] === '$') {
      out += '$'
      at = dollar + 2
      continue
    }
    const reference = text[dollar + 1] === '{' ? bracedReference(text, dollar) : plainReference(text, dollar)
    if (!reference) {
      result.problems.push(
        `"${excerpt(text.slice(dollar))}" is not a variable; write $$ for a dollar sign, or \${NAME} for a variable`,
      )
      return out
    }
    out += resolved(reference, lookup, result, depth)
    at = reference.end
  }
  return out
}

type Reference = { name: string; operator: string; word: string; end: number }

function plainReference(text: string, dollar: number): Reference | undefined {
  const name = matchAt(NAME, text, dollar + 1)
  return name === undefined ? undefined : { name, operator: '', word: '', end: dollar + 1 + name.length }
}

function bracedReference(text: string, dollar: number): Reference | undefined {
  const name = matchAt(NAME, text, dollar + 2)
  if (name === undefined) return undefined
  const afterName = dollar + 2 + name.length
  if (text[afterName] === '}') return { name, operator: '', word: '', end: afterName + 1 }
  const operator = matchAt(OPERATOR, text, afterName)
  if (operator === undefined) return undefined
  const wordStart = afterName + operator.length
  const close = closingBrace(text, wordStart)
  return close === undefined ? undefined : { name, operator, word: text.slice(wordStart, close), end: close + 1 }
}

/** Where the `}` stands that closes what was opened before `from`; only `${` opens another. */
function closingBrace(text: string, from: number): number | undefined {
  let open = 1
  for (let i = from; i < text.length; i++) {
    if (text[i] === '$' && text[i + 1] === '$') i++
    else if (text[i] === '$' && text[i + 1] === '{') open++
    else if (text[i] === '}' && --open === 0) return i
  }
  return undefined
}

function resolved(reference: Reference, lookup: Lookup, result: Interpolated, depth: number): string {
  const { name, operator, word } = reference
  const value = lookup(name)
  // With a colon an empty variable counts as one that is not set.
  const isThere = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
  const wordText = () => expand(word, lookup, result, depth + 1)
  if (operator.endsWith('-')) return isThere ? value! : wordText()
  if (operator.endsWith('+')) return isThere ? wordText() : ''
  if (isThere) return value!
  if (operator.endsWith('?')) {
    const reason = wordText()
    result.problems.push(`the variable ${name} is required${reason === '' ? ' but not set' : `: ${reason}`}`)
    return ''
  }
  result.unset.push(name)
  return ''
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function excerpt(text: string): string {
  return text.length > 24 ? `${text.slice(0, 24)}…` : text
}
