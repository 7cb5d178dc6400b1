/** A rolling change of 30 tasks, 6 at a time, start-first. */
import { onBed } from './bed/bed.ts'
import { berthRollout } from './bed/contestant.ts'
import { option } from './options.ts'
import { rawClear, rawRollout } from './peers/raw.ts'
import { swarmRollout } from './peers/swarm.ts'
import { type Bench, median } from './report.ts'

const COUNT = 30
const PARALLELISM = 6
const ROUNDS = option('rounds', 5)

export const bench: Bench = {
  about: `a rolling change of ${COUNT} tasks, ${PARALLELISM} at a time, start-first; beside Docker Swarm and the bare Engine API`,
  async run({ report, say }) {
    await onBed(say, async ({ berth, swarm }) => {
      const seconds = { berth: [] as number[], swarm: [] as number[], raw: [] as number[] }
      const { hosts } = berth.cluster
      for (let round = 0; round < ROUNDS; round++) {
        seconds.berth.push((await berthRollout(berth, `roll-${round}`, COUNT, PARALLELISM)) / 1000)
        seconds.swarm.push((await swarmRollout(swarm, `roll-${round}`, COUNT, PARALLELISM)) / 1000)
        seconds.raw.push((await rawRollout(hosts, COUNT / hosts.length, PARALLELISM / hosts.length)) / 1000)
        await rawClear(hosts)
        const [ours, swarms, raws] = [seconds.berth, seconds.swarm, seconds.raw].map((each) => each.at(-1)!.toFixed(2))
        say(`berth ${ours}, swarm ${swarms}, raw ${raws} s`)
      }
      report({
        metric: `${COUNT} tasks at the new version`,
        value: median(seconds.berth),
        unit: 's',
        beside: { swarm: median(seconds.swarm), raw: median(seconds.raw) },
        goal: { atMostTimes: 0.8, of: 'swarm' },
      })
    })
  },
}
