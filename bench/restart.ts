/** A container is killed → running again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { onBed } from './bed/bed.ts'
import { berthRestart } from './bed/contestant.ts'
import { option } from './options.ts'
import { rawClear, rawOne, rawRestart } from './peers/raw.ts'
import { swarmRestart } from './peers/swarm.ts'
import { type Bench, median } from './report.ts'

const ROUNDS = option('rounds', 10)
const SETTLE_MS = 500

export const bench: Bench = {
  about: 'container killed → running again; beside a raw start and Docker Swarm',
  async run({ report, say }) {
    await onBed(say, async ({ hosts, berth, swarm }) => {
      const raw: { startMs: number; wholeMs: number }[] = []
      const ms = { berth: [] as number[], swarm: [] as number[] }
      for (let round = 0; round < ROUNDS; round++) {
        // A container of its own each time, as the others have.
        const host = hosts[round % hosts.length]!
        const { id } = await rawOne(host)
        await sleep(SETTLE_MS)
        raw.push(await rawRestart(host, id))
        await rawClear(hosts)
        ms.berth.push(await berthRestart(berth, `restart-${round}`))
        ms.swarm.push(await swarmRestart(swarm, `restart-${round}`))
      }
      report({
        metric: 'killed → running p50',
        value: median(ms.berth),
        unit: 'ms',
        beside: {
          raw: median(raw.map(({ startMs }) => startMs)),
          'raw from the kill on': median(raw.map(({ wholeMs }) => wholeMs)),
          swarm: median(ms.swarm),
        },
        goal: { atMostTimes: 1, of: 'raw', plus: 25 },
      })
    })
  },
}
