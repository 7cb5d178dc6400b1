/** 120 containers on three engines: one request → all running. */
import { onBed } from './bed/bed.ts'
import { berthMany } from './bed/contestant.ts'
import { option } from './options.ts'
import { rawClear, rawMany } from './peers/raw.ts'
import { swarmMany } from './peers/swarm.ts'
import { type Bench, median } from './report.ts'

const COUNT = 120
const ROUNDS = option('rounds', 3)
/** The raw API at its best: whichever of these is quickest here. */
const CONCURRENCIES = [1, 2, 3, 4]

export const bench: Bench = {
  about: `${COUNT} containers on three engines; beside the raw API at its best concurrency and Docker Swarm`,
  async run({ report, say }) {
    await onBed(say, async ({ hosts, berth, swarm }) => {
      const raw = new Map<number, number[]>(CONCURRENCIES.map((concurrency) => [concurrency, []]))
      const seconds = { berth: [] as number[], swarm: [] as number[] }
      for (let round = 0; round < ROUNDS; round++) {
        for (const concurrency of CONCURRENCIES) {
          raw.get(concurrency)!.push((await rawMany(hosts, COUNT / hosts.length, concurrency)) / 1000)
          await rawClear(hosts)
        }
        seconds.berth.push((await berthMany(berth, `many-${round}`, COUNT)) / 1000)
        seconds.swarm.push((await swarmMany(swarm, `many-${round}`, COUNT)) / 1000)
        const last = [...raw].map(([concurrency, all]) => `raw×${concurrency} ${all.at(-1)!.toFixed(1)}`)
        say(
          `${last.join(', ')}, berth ${seconds.berth.at(-1)!.toFixed(1)}, swarm ${seconds.swarm.at(-1)!.toFixed(1)} s`,
        )
      }
      const best = Math.min(...[...raw.values()].map(median))
      const beside = { raw: best, swarm: median(seconds.swarm) }
      report({
        metric: `${COUNT} containers running`,
        value: median(seconds.berth),
        unit: 's',
        beside,
        goal: { atMostTimes: 1.05, of: 'raw' },
      })
    })
  },
}
