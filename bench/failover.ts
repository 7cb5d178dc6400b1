/** A host is unplugged without a word → its tasks run elsewhere. */
import { onBed } from './bed/bed.ts'
import { berthFailover } from './bed/contestant.ts'
import { option } from './options.ts'
import { swarmFailover } from './peers/swarm.ts'
import { type Bench, median } from './report.ts'

const COUNT = 9
const ROUNDS = option('rounds', 3)

export const bench: Bench = {
  about: 'host unplugged with 3 of 9 tasks → all running elsewhere',
  async run({ report, say }) {
    await onBed(say, async (bed) => {
      const rounds: { seenMs: number; allMs: number }[] = []
      for (let round = 0; round < ROUNDS; round++) {
        // Another host each time: one that was away a moment ago is given longer (docs/decisions/liveness.md).
        const lost = bed.hosts[round % bed.hosts.length]!
        const { seenMs, allMs } = await berthFailover(bed.berth, `lost-${round}`, COUNT, lost)
        say(`seen after ${(seenMs / 1000).toFixed(2)} s, all running elsewhere after ${(allMs / 1000).toFixed(2)} s`)
        rounds.push({ seenMs, allMs })
      }
      const swarmMs = await swarmFailover(bed.swarm, 'lost', COUNT, bed.hosts[2]!)
      const all = rounds.map(({ allMs }) => allMs / 1000)
      report({ metric: 'seen to be lost', value: median(rounds.map(({ seenMs }) => seenMs / 1000)), unit: 's' })
      report({
        metric: `all ${COUNT} running elsewhere`,
        value: median(all),
        unit: 's',
        beside: { swarm: swarmMs / 1000 },
        goal: { atMost: 4 },
      })
      report({ metric: `… the slowest of ${ROUNDS}`, value: Math.max(...all), unit: 's', goal: { atMost: 4 } })
    })
  },
}
