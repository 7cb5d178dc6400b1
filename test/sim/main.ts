/**
 * `npm run sim -- [--seed N] [--seeds COUNT] [--seconds S] [--nodes N] [--shrink] [--trace]`: runs seeds one after the other until
 * one breaks a rule, the count is reached or the time is over. With one seed it prints the trace.
 */
import { parseArgs } from 'node:util'
import { printDeed } from './plan.ts'
import { planOf, runSeed, shrink } from './run.ts'
import { type Outcome, simulate } from './simulation.ts'
import { printLine } from './trace.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string' },
    seeds: { type: 'string' },
    seconds: { type: 'string' },
    nodes: { type: 'string' },
    shrink: { type: 'boolean' },
    trace: { type: 'boolean' },
    'keep-going': { type: 'boolean' },
  },
})
const given = values.nodes === undefined ? {} : { nodes: Number(values.nodes) }
const failed = values.seed === undefined ? await runMany() : await runOne(Number(values.seed))
process.exitCode = failed ? 1 : 0

async function runOne(seed: number): Promise<boolean> {
  let plan = planOf(seed, given)
  let outcome = await simulate({ seed, plan })
  if (values.shrink && outcome.violation) {
    plan = await shrink(seed, plan, outcome.violation.rule, {})
    outcome = await simulate({ seed, plan })
    console.log(`cut down to ${plan.items.length} deeds:`)
    for (const { atMs, deed } of plan.items) console.log(`  ${(atMs / 1000).toFixed(3)} ${printDeed(deed)}`)
  }
  if (values.trace || values.shrink) for (const line of outcome.trace.lines) console.log(printLine(line))
  say(outcome)
  return outcome.violation !== null
}

async function runMany(): Promise<boolean> {
  const first = Number(values.from ?? Date.now() % 1_000_000_000)
  const count = Number(values.seeds ?? (values.seconds === undefined ? 100 : Number.POSITIVE_INFINITY))
  const until = performance.now() + Number(values.seconds ?? Number.POSITIVE_INFINITY) * 1000
  const startedAt = performance.now()
  let ranMs = 0
  let seeds = 0
  let failures = 0
  for (; seeds < count && performance.now() < until; seeds++) {
    const outcome = await runSeed(first + seeds, { ...given, traceLinesMax: 10 })
    ranMs += outcome.ranMs
    if (!outcome.violation) continue
    failures++
    say(outcome)
    if (!values['keep-going']) break
  }
  const tookMs = performance.now() - startedAt
  console.log(
    `${seeds} seeds from ${first}, ${failures} broke a rule; ${(ranMs / 3_600_000).toFixed(1)} h in ${(tookMs / 1000).toFixed(1)} s, ${(ranMs / tookMs).toFixed(0)} × real time`,
  )
  return failures > 0
}

function say({ seed, violation, hash, events, beats, ranMs }: Outcome): void {
  const ran = `${(ranMs / 1000).toFixed(0)} s, ${events} events, ${beats} beats, hash ${hash}`
  if (violation === null) console.log(`seed ${seed}: every rule held (${ran})`)
  else
    console.log(
      `seed ${seed}: broke "${violation.rule}" at ${(violation.atMs / 1000).toFixed(3)}: ${violation.message.slice(0, 1200)} (${ran})`,
    )
}
