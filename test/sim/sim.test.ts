/**
 * The simulation for a bounded time, from seed 1 on: a change to the code makes them other runs, and without one they are the same, so a
 * failure here is the change's own. Random seeds are for `npm run sim`, which also shows a failure again. SIM_SEED runs one, SIM_SECONDS
 * runs longer: `SIM_SEED=123 npx vitest run --project quick test/sim/sim.test.ts`.
 */
import { expect, test } from 'vitest'
import { runSeed } from './run.ts'
import { printLine } from './trace.ts'

const SECONDS = Number(process.env.SIM_SECONDS ?? 60)
const FIRST = Number(process.env.SIM_SEED ?? 1)
const TRACE_LINES = 60

test('whatever fails, and whenever, no rule is broken, and afterwards what runs is what is wanted', {
  timeout: (SECONDS + 120) * 1_000,
}, async () => {
  const until = performance.now() + SECONDS * 1_000
  let seed = FIRST
  do {
    const { violation, trace } = await runSeed(seed, { traceLinesMax: TRACE_LINES })
    if (violation) {
      const lines = trace.lines.slice(-TRACE_LINES).map(printLine)
      const again = `npm run sim -- --seed ${seed} --shrink`
      expect.fail(`seed ${seed} broke "${violation.rule}": ${violation.message}\n${lines.join('\n')}\nagain: ${again}`)
    }
    seed++
  } while (process.env.SIM_SEED === undefined && performance.now() < until)
  console.log(`${seed - FIRST} seeds from ${FIRST}`)
})

test('a seed decides everything: two runs of it are the same to the last event', async () => {
  for (const seed of [1, 2, 3]) {
    const [one, other] = [await runSeed(seed), await runSeed(seed)]
    expect(other.hash).toBe(one.hash)
    expect(other.trace.lines).toEqual(one.trace.lines)
  }
})

test('another seed is another run', async () => {
  const [one, other] = [await runSeed(1), await runSeed(2)]
  expect(other.hash).not.toBe(one.hash)
})
