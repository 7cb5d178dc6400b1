/** How right `berth what-if` is, and how long it keeps the coordinator from anything else. */

import { survivalOf } from '../coordinator/questions/survive.ts'
import { type Supposition, whatIf } from '../coordinator/questions/what-if.ts'
import { forkWorld } from '../coordinator/store/fork.ts'
import type { World } from '../coordinator/world.ts'
import { NOW } from '../test/build/world.ts'
import { type Bench, type BenchContext, median, quantile } from './report.ts'
import { aFleet } from './what-if/fleets.ts'
import { type Trial, trial } from './what-if/random-clusters.ts'

const TRIALS = Number(process.env.BERTH_BENCH_TRIALS ?? 1000)
const SEED = Number(process.env.BERTH_BENCH_SEED ?? 1)
const NOTHING: Supposition = { lose: [], loseLabels: [], add: [], scale: [] }

export const bench: Bench = {
  about: 'what-if: foreseen against what then happens on 1,000 random clusters; time at 100 and 5,000 nodes',
  async run(context) {
    rightness(context)
    sizes(context)
  },
}

function rightness({ report, say }: BenchContext): void {
  const trials: Trial[] = []
  for (let index = 0; index < TRIALS; index += 1) {
    trials.push(trial(SEED + index))
    if (index % 100 === 99) say(`${index + 1} of ${TRIALS} clusters`)
  }
  const same = (of: (sets: Trial['foreseen']) => unknown, among = trials) => {
    const equal = among.filter((each) => JSON.stringify(of(each.foreseen)) === JSON.stringify(of(each.happened)))
    return (100 * equal.length) / among.length
  }
  const wrong = trials.findIndex(
    (each) => JSON.stringify(setsOf(each.foreseen)) !== JSON.stringify(setsOf(each.happened)),
  )
  if (wrong >= 0) say(`first that differs: seed ${SEED + wrong}: ${JSON.stringify(trials[wrong])}`)
  report({
    metric: 'clusters with the sets as foreseen (%)',
    value: same(setsOf),
    unit: 'count',
    goal: { atLeast: 99 },
  })
  // Nodes that go together are found out one after the other, and who comes first may get the room that all want.
  const [one, several] = [trials.filter(({ lost }) => lost === 1), trials.filter(({ lost }) => lost > 1)]
  report({ metric: `… of the ${one.length} that lost one node (%)`, value: same(setsOf, one), unit: 'count' })
  report({ metric: `… of the ${several.length} that lost several (%)`, value: same(setsOf, several), unit: 'count' })
  report({ metric: '… with every task on the node foreseen (%)', value: same(({ places }) => places), unit: 'count' })
  const some = trials.filter(({ happened }) => happened.unplaced.length > 0).length
  report({ metric: 'clusters in which something had no place', value: some, unit: 'count' })
}

const setsOf = ({ unplaced, stopped, moved }: Trial['foreseen']) => [unplaced, stopped, moved]

function sizes({ report }: BenchContext): void {
  const small = aFleet(100, 2000)
  report({
    metric: '100 nodes, 2,000 tasks: one node lost, p99',
    value: quantile(
      times(small, (round) => ({ lose: [nameOf(small, round)] }), 100),
      0.99,
    ),
    unit: 'ms',
    goal: { atMost: 50 },
  })
  const large = aFleet(5000, 100_000)
  const forks = Array.from({ length: 20 }, () => timed(() => forkWorld(large)))
  report({ metric: '5,000 nodes, 100,000 tasks: a fork', value: median(forks), unit: 'ms' })
  const cases: [string, number, (round: number) => Partial<Supposition>][] = [
    ['one node lost', 10, (round) => ({ lose: [nameOf(large, round)] })],
    ['a rack of 50 lost', 5, (round) => ({ loseLabels: [{ label: 'rack', value: `r${round}` }] })],
    ['a service 200 → 400', 5, (round) => ({ scale: [{ service: `shop_s${round}`, replicas: 400 }] })],
    ['a third of all lost', 3, (round) => ({ loseLabels: [{ label: 'zone', value: 'abc'[round]! }] })],
  ]
  for (const [what, rounds, of] of cases) {
    const value = median(times(large, of, rounds))
    report({ metric: `5,000 nodes, 100,000 tasks: ${what}`, value, unit: 'ms', goal: { atMost: 1000 } })
  }
  const value = timed(() => survivalOf(large, NOW))
  report({ metric: '5,000 nodes: could each one be lost', value, unit: 'ms' })
}

function times(world: World, supposed: (round: number) => Partial<Supposition>, rounds: number): number[] {
  // Once before, as a coordinator that has run for a while.
  whatIf(world, { ...NOTHING, ...supposed(0) }, NOW)
  return Array.from({ length: rounds }, (_, round) =>
    timed(() => whatIf(world, { ...NOTHING, ...supposed(round) }, NOW)),
  )
}

function timed(work: () => unknown): number {
  const begun = performance.now()
  work()
  return performance.now() - begun
}

function nameOf(world: World, index: number): string {
  return [...world.nodes.keys()][index]!
}
