/** The lines of one service read back: what an Engine has written, by `docker service logs` and by `berth logs`, in turns. */
import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { aCoordinatorProcess } from '../test/build/coordinator.ts'
import { startHosts } from '../test/engines/hosts.ts'
import { loadImages } from '../test/engines/image.ts'
import { chances, textOf } from './logs/log-files.ts'
import { berthLogs, metric, readAll, startAgent } from './logs/reading.ts'
import { serviceLogs, startWriter } from './logs/service-logs.ts'
import { option } from './options.ts'
import type { Bench } from './report.ts'

const LINES = option('lines', 2_000_000)
const CHUNK_LINES = 10_000

export const bench: Bench = {
  about: 'lines of one service read back; beside docker service logs on a swarm of one node, of the same file',
  async run({ report, say }) {
    const dir = mkdtempSync(join('/var/tmp', 'berth-bench-'))
    const coordinator = await aCoordinatorProcess(dir, { logLevel: 'warn' })
    const hosts = await startHosts({ count: 1 })
    let agent: ChildProcess | null = null
    try {
      const host = hosts.hosts[0]!
      await loadImages([host])
      say(`${LINES} lines through a container of an Engine`)
      const path = join(dir, 'lines')
      writeLines(path)
      const log = await startWriter(host, path, LINES)
      await coordinator.start()
      agent = await startAgent(coordinator, dir, [log])
      agent.send('go')
      while ((await metric(coordinator, 'berth_logs_received_bytes_total')) < statSync(log).size) await sleep(100)

      const swarm = LINES / (await serviceLogs(host, LINES))
      const command = LINES / (await berthLogs(coordinator, dir))
      const read = await readAll(coordinator, 'service=bench_web')
      if (read.lines !== LINES) throw new Error(`${read.lines} of ${LINES} lines were read`)
      const beside = { 'docker service logs': swarm }
      const goal = { atLeast: 10 * swarm }
      report({ metric: 'berth logs > /dev/null, lines/s', value: command, unit: 'per second', beside, goal })
      report({ metric: 'over HTTP, lines/s', value: read.lines / read.seconds, unit: 'per second', beside, goal })
    } finally {
      agent?.kill('SIGKILL')
      await coordinator.kill('SIGKILL')
      await hosts.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  },
}

function writeLines(path: string): void {
  const descriptor = openSync(path, 'w')
  const chance = chances()
  for (let line = 0; line < LINES; line += CHUNK_LINES) {
    const count = Math.min(CHUNK_LINES, LINES - line)
    writeSync(descriptor, Array.from({ length: count }, (_, index) => `${textOf(line + index, chance)}\n`).join(''))
  }
  closeSync(descriptor)
}
