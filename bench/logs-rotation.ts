/**
 * As bench logs-proof, with a writer in the place of the Engine and nothing else on the machine: how much is lost through files that hold
 * a few hundredths of a second, what of it is told, and whether any line comes twice or out of order.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { aCoordinatorProcess, type CoordinatorProcess } from '../test/build/coordinator.ts'
import { aServiceSpec } from '../test/build/spec.ts'
import { until } from '../test/engines/until.ts'
import type { LogAgentOrder } from './logs/agent-process.ts'
import { agentSettings } from './logs/agent-settings.ts'
import { lastNumber, untoldLines, verdictOf } from './logs/numbered.ts'
import type { WriterOrder } from './logs/rotating-writer.ts'
import { option } from './options.ts'
import type { Bench, BenchContext } from './report.ts'

const SECONDS = option('seconds', 8)
const RATE_BYTES = option('mib', 40) * 1024 ** 2
const FILE_BYTES = 1024 ** 2
const FILES = 3
const CUT_MS = 3_000
const KNOWN_MS = 4_000
const SERVICE = 'bench_web'

type Bed = { coordinator: CoordinatorProcess; restartAgent(): Promise<void> }
type Trial = { name: string; trouble?(bed: Bed): Promise<void> }

const TRIALS: Trial[] = [
  { name: 'undisturbed' },
  {
    name: 'coordinator killed',
    async trouble({ coordinator }) {
      await coordinator.kill('SIGKILL')
      await coordinator.start()
    },
  },
  {
    name: `coordinator silent for ${CUT_MS / 1_000} s`,
    async trouble({ coordinator }) {
      process.kill(coordinator.pid(), 'SIGSTOP')
      await sleep(CUT_MS)
      process.kill(coordinator.pid(), 'SIGCONT')
    },
  },
  { name: 'agent killed', trouble: ({ restartAgent }) => restartAgent() },
]

export const bench: Bench = {
  about: 'lines lost, told and doubled through log files of 1 MiB × 3 at 40 MiB/s; a writer in the place of the Engine',
  async run(context) {
    for (const trial of TRIALS) await run(trial, context)
  },
}

async function run({ name, trouble }: Trial, { report }: BenchContext): Promise<void> {
  const dir = mkdtempSync(join('/var/tmp', 'berth-bench-'))
  const coordinator = await aCoordinatorProcess(dir, { logLevel: 'error' })
  let agent: ChildProcess | null = null
  try {
    await coordinator.start()
    const path = join(dir, 'files/json.log')
    mkdirSync(join(path, '..'))
    writeFileSync(path, '')
    const tokenPath = join(dir, 'join-token')
    writeFileSync(tokenPath, await coordinator.joinToken(), { mode: 0o600 })
    const order: LogAgentOrder = { coordinator: coordinator.url, tokenPath, dataDir: join(dir, 'agent'), paths: [path] }
    const start = () =>
      fork(join(import.meta.dirname, 'logs/agent-process.ts'), [JSON.stringify(order)], agentSettings())
    agent = start()
    await coordinator.ask('PUT', '/v1/stacks/bench', {
      name: 'bench',
      services: { web: aServiceSpec({ image: 'bb:1', replicas: 1 }) },
    })
    await until(async () => (await running(coordinator)) === 1, 'the task to run')
    agent.send('go')
    // The container is known and its log watched before it writes.
    await sleep(KNOWN_MS)
    const given: WriterOrder = {
      path,
      seconds: SECONDS,
      bytesPerSecond: RATE_BYTES,
      fileBytes: FILE_BYTES,
      files: FILES,
    }
    const writer = fork(join(import.meta.dirname, 'logs/rotating-writer.ts'), [JSON.stringify(given)])
    const written = once(writer, 'message')
    await sleep((SECONDS * 1_000) / 3)
    await trouble?.({
      coordinator,
      async restartAgent() {
        agent!.kill('SIGKILL')
        agent = start()
        await once(agent, 'spawn')
        agent.send('go')
      },
    })
    const [lines] = (await written) as [number]
    const source = sourceOf(coordinator)
    await until(async () => (await lastNumber(source, SERVICE)) === lines - 1, 'the last line to be kept')
    const verdict = await verdictOf(source, SERVICE)
    const beside = { written: lines }
    report({ metric: `${name}: lost`, value: verdict.lost, unit: 'count', beside })
    const none = { atMost: 0 }
    report({
      metric: `${name}: lost and not told`,
      value: await untoldLines(source, verdict),
      unit: 'count',
      goal: none,
    })
    const wrong = verdict.doubled + verdict.disordered
    report({ metric: `${name}: doubled or out of order`, value: wrong, unit: 'count', goal: none })
  } finally {
    agent?.kill('SIGKILL')
    await coordinator.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
}

async function running(coordinator: CoordinatorProcess): Promise<number> {
  const { body } = await coordinator.ask('GET', '/status')
  return (body as { totals: { tasks: { running: number } } }).totals.tasks.running
}

function sourceOf(coordinator: CoordinatorProcess) {
  const { token, caPem } = coordinator.access()
  return {
    url: coordinator.url,
    operatorToken: token,
    caPem,
    api: async <T>(method: string, path: string) => (await coordinator.ask(method, path)).body as T,
  }
}
