/** The entry of the `berth` command: runs it, and turns whatever went wrong into a sentence and an exit code. */
import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { BerthError, ERROR_CODES } from '../shared/errors.ts'
import { processOutput } from './output.ts'
import { createProgram } from './program.ts'
import { forTerminal } from './terminal-text.ts'

const wrongUsageExit = 2

async function main(argv: string[]): Promise<void> {
  const out = processOutput()
  const isJson = argv.includes('--json')
  const program = createProgram(out, readVersion(), isJson)
  try {
    if (argv.length === 0) program.outputHelp()
    else await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    process.exitCode = tell(error instanceof CommanderError && isJson ? asData(error) : error, isJson)
  }
}

/** What commander would have said in words. Asking for help or the version is no error, and stays what it is. */
function asData(error: CommanderError): Error {
  return error.exitCode === 0 ? error : new BerthError('invalid-request', error.message.replace(/^error: /, ''))
}

/** Says what went wrong, on stderr (as data with --json), and returns the exit code. */
function tell(error: unknown, isJson: boolean): number {
  // Commander has said it already; asking for help or the version is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : wrongUsageExit
  const known = error instanceof BerthError ? error : null
  const code = known?.code ?? 'internal'
  const message = known?.message ?? `berth failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`
  const text = isJson ? JSON.stringify({ ...known?.details, code, message }) : message
  process.stderr.write(`${process.stderr.isTTY ? forTerminal(text, false) : text}\n`)
  return ERROR_CODES[code].exit
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

await main(process.argv.slice(2))
