/**
 * What a bench may be told: `npm run bench fleet-idle -- --agents 500`, or BENCH_AGENTS=500 in the environment. Each bench asks for its
 * options when it is loaded; one that none of them has asked for is refused by run.ts.
 */
const given = new Map<string, string>()
const known = new Set<string>()

/** Takes the options out of the command line's words and returns the others. @throws Error for an option without a value */
export function takeOptions(words: readonly string[]): string[] {
  const others: string[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    if (!word.startsWith('--') || word === '--json') {
      others.push(word)
      continue
    }
    const [name, inWord] = word.slice(2).split('=', 2) as [string, string | undefined]
    const value = inWord ?? words[++at]
    if (value === undefined) throw new Error(`--${name} wants a number after it`)
    given.set(name, value)
  }
  return others
}

/** A number of 0 or more. @throws Error when what was given is none */
export function option(name: string, usual: number): number {
  known.add(name)
  const text = given.get(name) ?? process.env[`BENCH_${name.toUpperCase().replaceAll('-', '_')}`]
  if (text === undefined) return usual
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new Error(`--${name} wants a number of 0 or more, not ${JSON.stringify(text)}`)
  }
  return value
}

/** Those that were given and no bench has asked for; and those that may be given. */
export function unknownOptions(): { unknown: string[]; known: string[] } {
  return { unknown: [...given.keys()].filter((name) => !known.has(name)), known: [...known].sort() }
}
