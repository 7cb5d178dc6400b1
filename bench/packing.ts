/**
 * How few nodes the policy `binpack` begins. Tasks that come together: beside the optimum on classes of random instances
 * from the literature. Large mixes of services: beside what no packing gets below, when all come together and one by one.
 */

import { complete } from '../coordinator/decide/packing/complete.ts'
import { bestFit, dotProduct, firstFit } from '../coordinator/decide/packing/greedy.ts'
import { pack } from '../coordinator/decide/packing/pack.ts'
import { plainBestFit, plainDotProduct, plainFirstFit } from '../test/coordinator/decide/packing/plain.ts'
import { option } from './options.ts'
import { CLASSES, type Class, instanceOf, problemOf } from './packing/classes.ts'
import {
  type Heuristic,
  type Mix,
  mixOf,
  type Order,
  placedBy,
  placedOneByOne,
  placedTogether,
} from './packing/mixes.ts'
import { optimumOf } from './packing/optimum.ts'
import type { Bench } from './report.ts'

const INSTANCES = option('instances', 10)
const SECONDS = option('seconds', 5)
const COUNTS = [option('from', 25), option('to', 50)]

const PLAIN = {
  'first-fit decreasing': plainFirstFit,
  'best-fit decreasing': plainBestFit,
  'dot product': plainDotProduct,
}

const MIXES = option('mixes', 50)
/** Neither scores nor limits were chosen on these: the seeds below served for that. */
const MIX_SEED = option('mix-seed', 1001)
const MIX_TASKS = 2_000
const MIX_SERVICES = 60

export const bench: Bench = {
  about: 'how few nodes binpack begins: beside the optimum on classes of instances, beside the bound on large mixes',
  async run({ report, say }) {
    const all: Result[] = []
    for (const count of [...new Set(COUNTS)]) {
      for (const kind of CLASSES) {
        const results = await resultsOf(kind, count)
        all.push(...results)
        say(lineOf(kind, count, results))
        const peers = Object.keys(PLAIN) as (keyof typeof PLAIN)[]
        report({
          metric: `class ${kind}, ${count} tasks: nodes of ${results.length} instances`,
          value: sumOf(results, ({ ours }) => ours),
          unit: 'count',
          beside: {
            'optimum or its bound': sumOf(results, ({ optimum }) => optimum),
            ...Object.fromEntries(peers.map((name) => [name, sumOf(results, ({ plain }) => plain[name])])),
          },
        })
      }
    }
    const proven = all.filter(({ by }) => by !== null)
    const optimal = proven.filter(({ ours, optimum }) => ours === optimum).length
    report({
      metric: 'optimal, of those proven',
      value: optimal / proven.length,
      unit: 'ratio',
      goal: { atLeast: 0.95 },
    })
    report({ metric: 'most nodes above the optimum', value: mostAbove(proven), unit: 'count', goal: { atMost: 1 } })
    report({ metric: 'instances whose optimum is not proven', value: all.length - proven.length, unit: 'count' })
    report({ metric: 'of those, most nodes above the bound', value: mostAbove(all), unit: 'count' })
    const worse = all.filter(({ ours, plain }) => Object.values(plain).some((nodes) => nodes < ours)).length
    report({ metric: 'instances worse than a plain heuristic', value: worse, unit: 'count', goal: { atMost: 0 } })

    const mixes = Array.from({ length: MIXES }, (_, at) => mixOf(MIX_TASKS, MIX_SERVICES, MIX_SEED + at))
    const plain = (heuristic: Heuristic, order: Order) =>
      worstOf(mixes.map((mix) => placedBy(mix, heuristic, order) / mix.least))
    const ways: [how: string, place: (mix: Mix) => number, atMost: number, beside: Record<string, number>][] = [
      [
        'together',
        placedTogether,
        1.02,
        {
          'first-fit decreasing': plain(firstFit, 'largest first'),
          'best-fit decreasing': plain(bestFit, 'largest first'),
          'dot product': plain(dotProduct, 'largest first'),
        },
      ],
      [
        'one by one',
        placedOneByOne,
        1.05,
        { 'first fit': plain(firstFit, 'as they come'), 'best fit': plain(bestFit, 'as they come') },
      ],
    ]
    for (const [how, place, atMost, beside] of ways) {
      const ratios = mixes.map((mix) => place(mix) / mix.least)
      say(`${how}: ${ratios.map((ratio) => ratio.toFixed(4)).join(' ')}`)
      const what = `${MIXES} mixes of ${MIX_TASKS} tasks, ${how}`
      report({
        metric: `${what}: worst to the bound`,
        value: worstOf(ratios),
        unit: 'ratio',
        goal: { atMost },
        beside,
      })
      const within = ratios.filter((ratio) => ratio <= atMost).length
      report({ metric: `${what}: mixes within ${atMost}`, value: within, unit: 'count' })
    }
  },
}

/** `by`: who proves that it is the optimum; null: it is a bound from below. */
type Result = {
  ours: number
  optimum: number
  by: 'bound' | 'highs' | 'bin completion' | null
  plain: Record<keyof typeof PLAIN, number>
}

async function resultsOf(kind: Class, count: number): Promise<Result[]> {
  const results: Result[] = []
  for (let seed = 1; seed <= INSTANCES; seed++) {
    const problem = problemOf(instanceOf(kind, count, seed))
    const { newly: ours, least } = pack(problem)!
    const plain = Object.fromEntries(
      Object.entries(PLAIN).map(([name, nodesOf]) => [name, nodesOf(problem)]),
    ) as Result['plain']
    const { nodes, isProven } = await optimumOf(problem, least, ours, SECONDS)
    // Where HiGHS runs out of time a search of all packings with one node fewer may still end.
    const isLeast = !isProven && complete(problem, ours - 1, { count: 0, max: PROOF_LOOKS_MAX }) === null
    const by = least === ours ? 'bound' : isProven ? 'highs' : isLeast ? 'bin completion' : null
    results.push({ ours, optimum: isLeast ? ours : nodes, by, plain })
  }
  return results
}

const PROOF_LOOKS_MAX = 20_000_000

function lineOf(kind: Class, count: number, results: readonly Result[]): string {
  const proofs = (['bound', 'highs', 'bin completion', null] as const).map((by) => {
    const those = results.filter((result) => result.by === by)
    return those.length === 0 ? '' : `${by ?? 'not proven'} ${those.length} (above: ${mostAbove(those)})`
  })
  return `class ${kind}, ${count} tasks: ${proofs.filter((proof) => proof !== '').join(', ')}`
}

const worstOf = (ratios: readonly number[]) => Math.max(...ratios)

const mostAbove = (results: readonly Result[]) => Math.max(0, ...results.map(({ ours, optimum }) => ours - optimum))

function sumOf(results: readonly Result[], of: (result: Result) => number): number {
  return results.reduce((sum, result) => sum + of(result), 0)
}
