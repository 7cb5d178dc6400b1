/**
 * `npm run bench`: lists the benches. `npm run bench NAME… [-- --json --SIZE N]`: runs them, each printing what was measured beside its
 * peer or limit. Exit code 1 when a goal does not hold or a bench could not measure. A bench is a file beside this
 * one that exports `bench`.
 */
import { readdirSync } from 'node:fs'
import { takeOptions, unknownOptions } from './options.ts'
import { type Bench, lineOf, textOf } from './report.ts'

const NOT_BENCHES = ['run.ts', 'report.ts', 'options.ts']

const asked = takeOptions(process.argv.slice(2))
const asJson = asked.includes('--json')
const names = asked.filter((word) => !word.startsWith('-'))

if (names.length === 0) await list()
else for (const name of names) await runOne(name)

async function list(): Promise<void> {
  for (const name of benchNames()) {
    const { about } = await load(name)
    console.log(`${name.padEnd(22)} ${about}`)
  }
}

async function runOne(name: string): Promise<void> {
  if (!benchNames().includes(name)) {
    console.error(`there is no bench ${name}; there are: ${benchNames().join(', ')}`)
    process.exitCode = 2
    return
  }
  const bench = await load(name)
  const { unknown, known } = unknownOptions()
  if (unknown.length > 0) {
    console.error(
      `${name} has no option --${unknown.join(', --')}; it has: ${known.map((one) => `--${one}`).join(' ')}`,
    )
    process.exitCode = 2
    return
  }
  if (!asJson) console.log(`${name}: ${bench.about}`)
  try {
    await bench.run({
      report(measure) {
        const line = lineOf(name, measure)
        if (line.holds === false) process.exitCode ||= 1
        console.log(asJson ? JSON.stringify(line) : `  ${textOf(line)}`)
      },
      say: (text) => console.error(`  ${text}`),
    })
  } catch (error) {
    process.exitCode ||= 1
    console.error(`  ${name} could not measure:`, error)
  }
}

function benchNames(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.ts') && !NOT_BENCHES.includes(file))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort()
}

async function load(name: string): Promise<Bench> {
  const { bench } = (await import(`./${name}.ts`)) as { bench: Bench }
  return bench
}
