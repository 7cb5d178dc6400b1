/**
 * What no packing gets below, far closer than sums of sizes: the relaxation of the set covering (Gilmore and Gomory, "A linear programming
 * approach to the cutting-stock problem", 1961), its sets found one by one as they are worth it. By what the prices of the last round say
 * (Farley, 1990) each round gives a bound, so it may end early.
 */
import highs from 'highs'

/** `size`: shares of a node. */
export type Kind = { cpu: number; memory: number; count: number }

/** Rounded up to whole nodes. */
export async function relaxedLeast(kinds: readonly Kind[]): Promise<number> {
  // Its types take it for CommonJS, where the loader would be a property.
  const solver = await (highs as unknown as typeof highs.default)()
  const sets = kinds.map(({ cpu, memory, count }, at) => {
    const set = new Array<number>(kinds.length).fill(0)
    set[at] = Math.max(1, Math.min(count, Math.floor(1 / Math.max(cpu, memory) + 1e-9)))
    return set
  })
  let bound = 0
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const relaxed = solver.solve(covering(kinds, sets))
    if (relaxed.Status !== 'Optimal') throw new Error(`the relaxation came out as ${relaxed.Status}`)
    const prices = kinds.map((_, at) => Math.max(0, (relaxed.Rows[at] as { Dual: number }).Dual))
    const best = solver.solve(mostWorth(kinds, prices))
    if (best.Status !== 'Optimal') throw new Error(`the set that is worth most came out as ${best.Status}`)
    const worth = best.ObjectiveValue
    bound = Math.max(bound, prices.reduce((sum, price, at) => sum + price * kinds[at]!.count, 0) / Math.max(1, worth))
    if (worth <= 1 + 1e-6 || Math.ceil(bound - 1e-6) >= relaxed.ObjectiveValue - 1e-6) break
    sets.push(kinds.map((_, at) => Math.round((best.Columns[`n${at}`] as { Primal: number }).Primal)))
  }
  return Math.ceil(bound - 1e-6)
}

const ROUNDS_MAX = 600

function covering(kinds: readonly Kind[], sets: readonly number[][]): string {
  const holding = (at: number) => sets.flatMap((set, one) => (set[at] === 0 ? [] : [`${set[at]} s${one}`]))
  return [
    'Minimize',
    `obj: ${sum(sets.map((_, one) => `s${one}`))}`,
    'Subject To',
    ...kinds.map(({ count }, at) => `r${at}: ${sum(holding(at))} >= ${count}`),
    'End',
  ].join('\n')
}

function mostWorth(kinds: readonly Kind[], prices: readonly number[]): string {
  const times = (of: (at: number) => number) => sum(kinds.map((_, at) => `${of(at).toFixed(12)} n${at}`))
  return [
    'Maximize',
    `obj: ${times((at) => prices[at]!)}`,
    'Subject To',
    `cpu: ${times((at) => kinds[at]!.cpu)} <= 1.000000001`,
    `memory: ${times((at) => kinds[at]!.memory)} <= 1.000000001`,
    'Bounds',
    ...kinds.map(({ count }, at) => `0 <= n${at} <= ${count}`),
    'General',
    kinds.map((_, at) => `n${at}`).join('\n'),
    'End',
  ].join('\n')
}

const sum = (parts: readonly string[]) => parts.join(' +\n')
