/**
 * How fast the deterministic simulation (test/sim/) is: virtual seconds of a cluster of 50 agents, users and faults at their work
 * and every rule asked after every beat, for each second of one core.
 */
import { runSeed } from '../test/sim/run.ts'
import { option } from './options.ts'
import type { Bench } from './report.ts'

const AGENTS = option('agents', 50)
/** Users and faults act for so long; then comes the healing, which is simulated and measured too. */
const ACTIVE_S = 3_600
const PAUSE_MS = 30_000
const SEEDS = [1, 2, 3]

export const bench: Bench = {
  about: `the simulation of ${AGENTS} agents for an hour, a deed of users or fate each ${PAUSE_MS / 1000} s, against real time`,
  async run({ report, say }) {
    const factors: number[] = []
    for (const seed of SEEDS) {
      const startedAt = performance.now()
      const options = { nodes: AGENTS, forMs: ACTIVE_S * 1_000, pauseMs: PAUSE_MS, traceLinesMax: 100 }
      const { violation, ranMs, events, beats } = await runSeed(seed, options)
      const tookMs = performance.now() - startedAt
      if (violation) throw new Error(`seed ${seed} broke "${violation.rule}": ${violation.message}`)
      factors.push(ranMs / tookMs)
      say(
        `seed ${seed}: ${(ranMs / 1000).toFixed(0)} s in ${(tookMs / 1000).toFixed(1)} s; ${events} events, ${beats} beats`,
      )
    }
    factors.sort((a, b) => a - b)
    const value = factors[Math.floor(factors.length / 2)]!
    const metric = `virtual time with ${AGENTS} agents`
    report({ metric, value, unit: '× real time', goal: { atLeast: 1_000 } })
  },
}
