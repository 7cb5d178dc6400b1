/**
 * Splits a command line into words as a shell would, without expanding anything: quotes group, a backslash takes the next
 * character as it is (within double quotes only before `"`, `\`, `$` and `` ` ``). Undefined when a quote is not closed.
 */
export function shellWords(line: string): string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let quote: '"' | "'" | undefined
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!
    if (quote === "'") {
      if (char === "'") quote = undefined
      else word += char
    } else if (char === '\\') {
      const next = line[i + 1]
      if (next === undefined) return undefined
      i++
      // A line that is continued: both characters vanish.
      if (next === '\n') continue
      word ??= ''
      if (quote === '"' && !'"\\$`'.includes(next)) word += char
      word += next
    } else if (quote === '"') {
      if (char === '"') quote = undefined
      else word += char
    } else if (char === "'" || char === '"') {
      quote = char
      word ??= ''
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote) return undefined
  if (word !== undefined) words.push(word)
  return words
}
