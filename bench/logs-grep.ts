/** `--grep` over a store of gigabytes, through HTTP: what is found in how long, and what of a core that takes of the coordinator. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { aCoordinatorProcess } from '../test/build/coordinator.ts'
import { cpuSeconds, peakResidentBytes } from './fleet/usage.ts'
import { fillStore } from './logs/full-store.ts'
import { GREPS } from './logs/greps.ts'
import { writeLogFiles } from './logs/log-files.ts'
import { metric, readAll, untilIndexed } from './logs/reading.ts'
import { option } from './options.ts'
import { type Bench, median } from './report.ts'

const GIGABYTES = option('gigabytes', 5)
const ROUNDS = option('rounds', 3)
const CONTAINERS = 4
/** Of one container. */
const LINES_BYTES = 75e6
const SERVICE = 'bench_web'
const MB = 1e6

export const bench: Bench = {
  about:
    '--grep over 5 GB of lines (--gigabytes N) through HTTP: MB/s by the clock and for each core that the coordinator took',
  async run({ report, say }) {
    const dir = mkdtempSync(join('/var/tmp', 'berth-bench-'))
    const coordinator = await aCoordinatorProcess(dir, { logLevel: 'warn' })
    try {
      const { paths } = writeLogFiles(join(dir, 'files'), CONTAINERS, 1, LINES_BYTES)
      const bytes = await fillStore(join(dir, 'coordinator/logs'), SERVICE, paths, GIGABYTES * 1e9)
      await coordinator.start()
      await untilIndexed(coordinator)
      const stored = (await metric(coordinator, 'berth_logs_size_bytes')) / bytes
      say(`${(bytes / MB).toFixed(0)} MB of lines are kept, ${stored.toFixed(3)} bytes for each byte`)
      for (const { name, pattern, goal } of GREPS) {
        const seconds: number[] = []
        const cores: number[] = []
        for (let round = 0; round < ROUNDS; round++) {
          const before = cpuSeconds(coordinator.pid())
          const found = await readAll(coordinator, `service=${SERVICE}&grep=${encodeURIComponent(pattern)}`)
          seconds.push(found.seconds)
          cores.push(cpuSeconds(coordinator.pid()) - before)
          if (round === 0) say(`${found.lines} lines hold ${pattern}`)
        }
        const atLeast = { goal: { atLeast: goal } }
        const value = bytes / MB / median(cores)
        report({ metric: `--grep ${name}, MB/s per core`, value, unit: 'per second', ...atLeast })
        report({ metric: `--grep ${name}, MB/s`, value: bytes / MB / median(seconds), unit: 'per second' })
      }
      report({ metric: 'coordinator, at its largest', value: peakResidentBytes(coordinator.pid()) / MB, unit: 'MB' })
    } finally {
      await coordinator.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    }
  },
}
