/** One container, warm image: request to the API → running. */
import { onBed } from './bed/bed.ts'
import { berthOne } from './bed/contestant.ts'
import { option } from './options.ts'
import { rawClear, rawOne } from './peers/raw.ts'
import { swarmOne } from './peers/swarm.ts'
import { type Bench, median, quantile } from './report.ts'

const ROUNDS = option('rounds', 15)

export const bench: Bench = {
  about: 'one container, warm image, API request → running; beside raw create+start and Docker Swarm',
  async run({ report, say }) {
    await onBed(say, async ({ hosts, berth, swarm }) => {
      const ms = { raw: [] as number[], swarm: [] as number[], berth: [] as number[] }
      await warmUp()
      for (let round = 0; round < ROUNDS; round++) {
        ms.raw.push((await rawOne(hosts[round % hosts.length]!)).ms)
        await rawClear(hosts)
        ms.berth.push(await berthOne(berth, `one-${round}`))
        ms.swarm.push(await swarmOne(swarm, `one-${round}`))
      }
      const beside = { raw: median(ms.raw), swarm: median(ms.swarm) }
      const p50 = { value: median(ms.berth), unit: 'ms', beside } as const
      report({ metric: 'p50 beside raw', ...p50, goal: { atMostTimes: 1, of: 'raw', plus: 15 } })
      report({
        metric: 'p50 beside Swarm',
        ...p50,
        beside: { swarm: beside.swarm, raw: beside.raw },
        goal: { atMostTimes: 0.65, of: 'swarm' },
      })
      report({
        metric: 'p90',
        value: quantile(ms.berth, 0.9),
        unit: 'ms',
        beside: { raw: quantile(ms.raw, 0.9), swarm: quantile(ms.swarm, 0.9) },
      })

      /** The first container of an engine and the first request of a connection pay for what later ones find ready. */
      async function warmUp(): Promise<void> {
        for (const host of hosts) await rawOne(host)
        await rawClear(hosts)
        await berthOne(berth, 'warm-up')
        await swarmOne(swarm, 'warm-up')
      }
    })
  },
}
