/** What must be in every line that an expression finds, so that what is without it is not unpacked, or not split into lines. */

/** What the Engine writes into its files as it is. */
export const PLAIN_IN_FILES = /^[A-Za-z0-9 _\-:.=/,;@#%!]$/

/**
 * The plain texts that each match of `source` (an expression in the mode `u`) holds, all of them, in order; empty: none is known.
 * Groups are not looked into, and an expression of alternatives has none.
 */
export function requiredTexts(source: string): string[] {
  const texts: string[] = []
  let run = ''
  const end = () => {
    if (run !== '') texts.push(run)
    run = ''
  }
  for (let at = 0; at < source.length; ) {
    const atom = atomAt(source, at)
    if (atom === null) return []
    at += atom.chars
    const quantifier = /^(?:[*+?]|\{[^}]*\})\??/.exec(source.slice(at))?.[0] ?? ''
    at += quantifier.length
    if (atom.literal === null) {
      end()
    } else if (quantifier === '') {
      run += atom.literal
    } else {
      if (quantifier.startsWith('+')) run += atom.literal
      end()
    }
  }
  end()
  return texts
}

/** One thing that is matched: how long it is in the source, and the plain character that it is, if it is one. */
function atomAt(source: string, at: number): { chars: number; literal: string | null } | null {
  const char = source[at]!
  if (char === '|') return null
  if (char === '[' || char === '(') {
    const chars = char === '[' ? setChars(source, at) : groupChars(source, at)
    return chars === null ? null : { chars, literal: null }
  }
  if (char === '\\') {
    const next = source[at + 1] ?? ''
    // Those that go on behind their letter, such as \u0041, are not looked into.
    if (!/[dDwWsSbBntrfv]/.test(next) && /[A-Za-z0-9]/.test(next)) return null
    return { chars: 2, literal: PLAIN_IN_FILES.test(next) && !/[A-Za-z0-9]/.test(next) ? next : null }
  }
  return { chars: 1, literal: char !== '.' && PLAIN_IN_FILES.test(char) ? char : null }
}

function setChars(source: string, at: number): number | null {
  return /^\[(?:\\.|[^\]\\])*\]/s.exec(source.slice(at))?.[0].length ?? null
}

/** From one parenthesis to the one that closes it. */
function groupChars(source: string, from: number): number | null {
  let depth = 0
  for (let at = from; at < source.length; ) {
    const char = source[at]!
    const chars = char === '[' ? setChars(source, at) : char === '\\' ? 2 : 1
    if (chars === null) return null
    if (char === '(') depth += 1
    if (char === ')') depth -= 1
    at += chars
    if (depth === 0) return at - from
  }
  return null
}
