/** Log files → durable at the coordinator, and read from there: two processes on this machine, TLS between them. */
import type { ChildProcess } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { aCoordinatorProcess, type CoordinatorProcess } from '../test/build/coordinator.ts'
import { cpuSeconds, residentBytes } from './fleet/usage.ts'
import { rsyslog, secondsOf, syslogNg } from './logs/forwarders.ts'
import { GREPS } from './logs/greps.ts'
import { type LogFiles, writeLogFiles } from './logs/log-files.ts'
import { berthLogs, metric, open, readAll, startAgent, untilIndexed } from './logs/reading.ts'
import { option } from './options.ts'
import { type Bench, type BenchContext, median } from './report.ts'

const FILES = 4
const ROTATIONS = option('rotations', 5)
const MEGABYTES = option('megabytes', 25)
const LIVE_LINES = option('live', 100)
const WITH_PEERS = option('peers', 1) > 0
/** 0: what takes longest with very many lines is left out. */
const READS_BACK = option('read-back', 1)
const MB = 1e6
export const bench: Bench = {
  about:
    'log files → durable at the coordinator, stored bytes, read back, --grep, latency of -f; beside rsyslog and syslog-ng',
  async run({ report, say }) {
    const dir = mkdtempSync(join('/var/tmp', 'berth-bench-'))
    const coordinator = await aCoordinatorProcess(dir, { logLevel: 'warn' })
    let agent: ChildProcess | null = null
    try {
      say(`writing ${FILES} logs of ${ROTATIONS} files of ${MEGABYTES} MB`)
      const files = writeLogFiles(join(dir, 'files'), FILES, ROTATIONS, MEGABYTES * MB)
      await coordinator.start()
      agent = await startAgent(coordinator, dir, files.paths)

      const [from, cpuBefore] = [performance.now(), cpuSeconds(agent.pid!)]
      agent.send('go')
      while ((await metric(coordinator, 'berth_logs_received_bytes_total')) < files.bytes) await sleep(50)
      const seconds = (performance.now() - from) / 1_000
      const kept = await metric(coordinator, 'berth_logs_received_lines_total')
      if (kept !== files.lines) throw new Error(`${kept} of ${files.lines} lines are kept`)
      const [agentMb, agentCpu] = [residentBytes(agent.pid!) / MB, cpuSeconds(agent.pid!) - cpuBefore]
      // The files are read by the peers as they are, before lines are added to them.
      const took = await peersSeconds(dir, files, say)
      const beside = (amount: number) =>
        Object.fromEntries(took.map((peer) => [peer.name, amount / peer.seconds] as const))
      const better = took.toSorted((a, b) => a.seconds - b.seconds)[0]
      if (better !== undefined)
        report({
          metric: `times as fast as ${better.name}`,
          value: better.seconds / seconds,
          unit: 'ratio',
          goal: { atLeast: 2 },
        })
      report({
        metric: 'file → durable, MB/s',
        value: files.bytes / MB / seconds,
        unit: 'per second',
        beside: beside(files.bytes / MB),
        goal: { atLeast: 100 },
      })
      report({
        metric: 'file → durable, lines/s',
        value: files.lines / seconds,
        unit: 'per second',
        beside: beside(files.lines),
        goal: { atLeast: 600_000 },
      })
      report({ metric: 'agent RSS', value: agentMb, unit: 'MB' })
      // Of a machine that does other things beside, this says more than the clock.
      report({ metric: 'agent CPU for each 100 MB', value: (agentCpu / files.bytes) * 100 * MB, unit: 's' })

      if (READS_BACK > 0) await readBack(coordinator, dir, files.lines, report)
      const indexingFrom = performance.now()
      await untilIndexed(coordinator)
      say(`indexed ${((performance.now() - indexingFrom) / 1_000).toFixed(1)} s after all was read back`)
      const stored = await metric(coordinator, 'berth_logs_size_bytes')
      report({
        metric: 'stored bytes per byte, with indices',
        value: stored / files.bytes,
        unit: 'ratio',
        goal: { atMost: 0.25 },
      })
      for (const { name, pattern, goal } of GREPS) {
        const found = await readAll(coordinator, `service=bench_web&grep=${encodeURIComponent(pattern)}`)
        const value = files.bytes / MB / found.seconds
        report({ metric: `--grep ${name}, MB/s`, value, unit: 'per second', goal: { atLeast: goal } })
      }
      const tail = await readAll(coordinator, 'service=bench_web&tail=100')
      report({ metric: '--tail 100', value: tail.seconds * 1_000, unit: 'ms' })
      const errors = await readAll(coordinator, 'service=bench_web&level=error')
      report({ metric: '--level error, of which there is none', value: errors.seconds * 1_000, unit: 'ms' })

      const latencies = await latenciesOf(coordinator, files.paths[0]!)
      report({ metric: 'line written → seen by -f, p50', value: median(latencies), unit: 'ms', goal: { atMost: 50 } })
      const p99 = latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)]!
      report({ metric: 'line written → seen by -f, p99', value: p99, unit: 'ms', goal: { atMost: 250 } })
    } finally {
      agent?.kill('SIGKILL')
      await coordinator.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    }
  },
}

async function readBack(
  coordinator: CoordinatorProcess,
  dir: string,
  lines: number,
  report: BenchContext['report'],
): Promise<void> {
  const read = await readAll(coordinator, 'service=bench_web')
  if (read.lines !== lines) throw new Error(`${read.lines} of ${lines} lines were read`)
  report({ metric: 'read back over HTTP, lines/s', value: read.lines / read.seconds, unit: 'per second' })
  const value = lines / (await berthLogs(coordinator, dir))
  report({ metric: 'berth logs > /dev/null, lines/s', value, unit: 'per second' })
}

/** Those that cannot be had, as there is no network, are left out and said. */
async function peersSeconds(dir: string, files: LogFiles, say: (text: string) => void) {
  const took: { name: string; seconds: number }[] = []
  for (const forwarder of WITH_PEERS ? [rsyslog, syslogNg] : []) {
    const { name } = forwarder
    try {
      took.push({ name, seconds: await secondsOf(forwarder, join(dir, name), files.paths, files.bytes) })
    } catch (error) {
      say(`${name} is not measured: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return took
}

async function latenciesOf(coordinator: CoordinatorProcess, path: string): Promise<number[]> {
  const answer = await open(coordinator, '/v1/logs?service=bench_web&follow=true&tail=0')
  const latencies: number[] = []
  let rest = ''
  answer.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) {
      const at = /written at ([\d.]+)/.exec(part)?.[1]
      if (at !== undefined) latencies.push(performance.now() - Number(at))
    }
  })
  await sleep(500)
  for (let line = 0; line < LIVE_LINES; line++) {
    const log = `written at ${performance.now()}\n`
    appendFileSync(path, `${JSON.stringify({ log, stream: 'stdout', time: new Date().toISOString() })}\n`)
    await sleep(30 + (line % 7) * 10)
  }
  await sleep(1_000)
  answer.destroy()
  if (latencies.length !== LIVE_LINES) throw new Error(`${latencies.length} of ${LIVE_LINES} lines were seen`)
  return latencies
}
