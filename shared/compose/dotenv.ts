/**
 * `.env` and `env_file` files: `KEY=value` lines with comments, quotes (also over several lines), `export` and
 * variables. Single quotes keep everything as it is; double quotes know `\n`, `\t`, `\"`, `\\` and `\$`.
 */
import { interpolate, type Lookup } from './interpolate.ts'

export type EnvFile = {
  /** Undefined: a key alone on its line, which takes the value of the surroundings. */
  values: Map<string, string | undefined>
  problems: { line: number; message: string }[]
  unset: { line: number; name: string }[]
}

const KEY = /^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:[=:]|$)/
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', "'": "'" }

/** `lookup` answers for variables that the file itself has not set before they are used. */
export function parseEnvFile(text: string, lookup: Lookup): EnvFile {
  const file: EnvFile = { values: new Map(), problems: [], unset: [] }
  const lookupHere: Lookup = (name) => lookup(name) ?? file.values.get(name)
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  for (let index = 0; index < lines.length; index++) {
    const lineNumber = index + 1
    const line = lines[index]!.trim()
    if (line === '' || line.startsWith('#')) continue
    const match = KEY.exec(line)
    if (!match) {
      file.problems.push({ line: lineNumber, message: `"${line.slice(0, 40)}" is not of the form KEY=value` })
      continue
    }
    const key = match[1]!
    if (!/[=:]$/.test(match[0])) {
      file.values.set(key, undefined)
      continue
    }
    const written = line.slice(match[0].length)
    const rest = written.trimStart()
    const quote = rest[0]
    if (quote === '"' || quote === "'") {
      const quoted = readQuoted(rest, quote, lines, index)
      if (!quoted) {
        file.problems.push({ line: lineNumber, message: `the value of ${key} has a quote that is not closed` })
        return file
      }
      index = quoted.lastIndex
      file.values.set(key, quote === "'" ? quoted.text : expandIn(file, lineNumber, unescaped(quoted.text), lookupHere))
    } else {
      file.values.set(key, expandIn(file, lineNumber, written.replace(/\s#.*$/, '').trim(), lookupHere))
    }
  }
  return file
}

/** `format: raw`: everything after the first `=` is the value, quotes, dollars and all. */
export function parseRawEnvFile(text: string): EnvFile {
  const file: EnvFile = { values: new Map(), problems: [], unset: [] }
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue
    const equals = line.indexOf('=')
    const key = (equals < 0 ? line : line.slice(0, equals)).trim()
    if (key === '') file.problems.push({ line: index + 1, message: 'the line has no key before its =' })
    else file.values.set(key, equals < 0 ? undefined : line.slice(equals + 1))
  }
  return file
}

/** The text between the quotes, which may end some lines further down. What follows the closing quote is a comment or nothing. */
function readQuoted(
  rest: string,
  quote: string,
  lines: string[],
  index: number,
): { text: string; lastIndex: number } | undefined {
  let text = ''
  let line = rest.slice(1)
  for (let lastIndex = index; lastIndex < lines.length; ) {
    const close = closingQuote(line, quote)
    if (close >= 0) return { text: text + line.slice(0, close), lastIndex }
    text += `${line}\n`
    lastIndex++
    line = lines[lastIndex] ?? ''
  }
  return undefined
}

function closingQuote(line: string, quote: string): number {
  for (let i = 0; i < line.length; i++) {
    if (line[i] === '\\' && quote === '"') i++
    else if (line[i] === quote) return i
  }
  return -1
}

function unescaped(text: string): string {
  return text.replace(/\\([\s\S])/g, (whole, char: string) => (char === '$' ? '$$' : (ESCAPES[char] ?? whole)))
}

function expandIn(file: EnvFile, line: number, text: string, lookup: Lookup): string {
  const result = interpolate(text, lookup)
  for (const message of result.problems) file.problems.push({ line, message })
  for (const name of result.unset) file.unset.push({ line, name })
  return result.text
}
