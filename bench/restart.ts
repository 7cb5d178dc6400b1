/** A container is killed → running again. */
import { onBed } from './bed/bed.ts'
import { berthRestarts } from './bed/contestant.ts'
import { rawClear, rawOne, rawRestart } from './peers/raw.ts'
import { swarmRestarts } from './peers/swarm.ts'
import { type Bench, median } from './report.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 10)

export const bench: Bench = {
  about: 'container killed → running again; beside a raw start and Docker Swarm',
  async run({ report, say }) {
    await onBed(say, async ({ hosts, berth, swarm }) => {
      const host = hosts[0]!
      const { id } = await rawOne(host)
      const raw: { startMs: number; wholeMs: number }[] = []
      for (let round = 0; round < ROUNDS; round++) raw.push(await rawRestart(host, id))
      await rawClear(hosts)
      const ours = await berthRestarts(berth, 'restart', ROUNDS)
      const swarms = await swarmRestarts(swarm, 'restart', ROUNDS)
      report({
        metric: 'killed → running p50',
        value: median(ours),
        unit: 'ms',
        beside: {
          raw: median(raw.map(({ startMs }) => startMs)),
          'raw from the kill on': median(raw.map(({ wholeMs }) => wholeMs)),
          swarm: median(swarms),
        },
        goal: { atMostTimes: 1, of: 'raw', plus: 25 },
      })
    })
  },
}
