/** The log store → other systems: what one target gets a second, from a store that is full of lines. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { constants, zstdCompressSync } from 'node:zlib'
import { openForwardingFiles } from '../coordinator/forwarding/files.ts'
import { openForwarding } from '../coordinator/forwarding/forwarding.ts'
import { KeptBatches } from '../coordinator/forwarding/kept-batches.ts'
import { AT_THE_BEGINNING } from '../coordinator/forwarding/position.ts'
import { LogStore } from '../coordinator/logs/log-store.ts'
import { Totals } from '../coordinator/metrics/totals.ts'
import { systemClock } from '../shared/clock.ts'
import { ALL_LINES, type ForwardTarget } from '../shared/forwarding/config.ts'
import { LOG_BLOCK_BYTES_MAX } from '../shared/wire/log-block.ts'
import { aWorld } from '../test/build/world.ts'
import { rsyslog, secondsOf } from './logs/forwarders.ts'
import { type LogFiles, writeLogFiles } from './logs/log-files.ts'
import { option } from './options.ts'
import type { Bench } from './report.ts'

const MEGABYTES = option('megabytes', 100)
const MB = 1e6
const log = { info() {}, warn: console.error, error: console.error, debug() {} } as never

export const bench: Bench = {
  about: 'log store → Loki, OTLP, syslog: lines a second to one target; beside reading the store alone and rsyslog',
  async run({ report, say }) {
    const dir = mkdtempSync(join('/var/tmp', 'berth-bench-'))
    const sink = fork(join(import.meta.dirname, 'forwarding/sink-process.ts'))
    try {
      say(`writing a log of ${MEGABYTES} MB`)
      const files = writeLogFiles(join(dir, 'files'), 1, 1, MEGABYTES * MB)
      const [ports] = (await once(sink, 'message')) as [{ http: number; tcp: number }]
      const store = await fullStore(join(dir, 'logs'), files)
      const beside: Record<string, number> = { raw: files.lines / (await readSeconds(store, files.lines)) }
      beside.rsyslog = files.lines / (await secondsOf(rsyslog, dir, files.paths, files.bytes))
      const urls = {
        loki: `http://127.0.0.1:${ports.http}`,
        otlp: `http://127.0.0.1:${ports.http}`,
        syslog: `tcp://127.0.0.1:${ports.tcp}`,
      }
      for (const [kind, url] of Object.entries(urls)) {
        const target = { name: kind, kind, url, begin: 'oldest', logs: ALL_LINES, metrics: null } as ForwardTarget
        const seconds = await forwardSeconds(join(dir, kind), store, target, files.lines)
        report({ metric: `${kind}, lines/s`, value: files.lines / seconds, unit: 'per second', beside })
      }
      await store.close()
    } finally {
      sink.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    }
  },
}

/** In blocks as agents cut and pack them. */
async function fullStore(dir: string, { paths, lines }: LogFiles): Promise<LogStore> {
  const store = new LogStore({ dir, bytesMax: 1e12, ageMaxMs: 1e12, now: Date.now, log })
  const all = readFileSync(paths[0]!)
  let kept = 0
  store.onKept(() => {
    kept = store.stats().lines
  })
  for (let offset = 0; offset < all.length; ) {
    const end = all.lastIndexOf(10, Math.min(offset + LOG_BLOCK_BYTES_MAX, all.length) - 1) + 1
    const raw = all.subarray(offset, end)
    const bytes = zstdCompressSync(raw, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })
    const head = {
      ...{ container: 'c1', task: 't1', file: 'f', offset, end, after: offset === 0 ? null : { file: 'f', offset } },
      ...{
        lines: linesIn(raw),
        longest: 400,
        from: 1,
        to: 2,
        gap: false,
        encoding: 'zstd' as const,
        bytes: bytes.length,
      },
    }
    const taking = store.take({ head, bytes }, { service: 'bench_web', name: 'bench_web.1', node: 'n1' })
    if (taking === 'taken') offset = end
    else await sleep(5)
  }
  while (kept < lines) await sleep(5)
  return store
}

function linesIn(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1
  return lines
}

/** Reading alone: unpacked, parsed, with levels, and thrown away. */
async function readSeconds(store: LogStore, lines: number): Promise<number> {
  const batches = new KeptBatches(store, AT_THE_BEGINNING, ALL_LINES, performance.now.bind(performance))
  const from = performance.now()
  let read = 0
  for (let batch = await batches.next(MB, () => {}); batch !== null; batch = await batches.next(MB, () => {})) {
    read += batch.lines.length
    batches.commit()
  }
  if (read !== lines) throw new Error(`${read} of ${lines} lines were read`)
  return (performance.now() - from) / 1_000
}

async function forwardSeconds(dir: string, store: LogStore, target: ForwardTarget, lines: number): Promise<number> {
  const forwarding = await openForwarding({
    files: await openForwardingFiles(dir),
    store,
    picture: () => ({ world: aWorld(), totals: new Totals(), startedAt: 0, now: 0 }),
    tell: () => {},
    clock: systemClock,
    log,
  })
  const stop = new AbortController()
  const running = forwarding.run(stop.signal)
  const from = performance.now()
  await forwarding.setConfig({ targets: [target] })
  for (;;) {
    await sleep(10)
    const { counts } = forwarding.targets()[0]!.logs!
    if (counts.refused + counts.skipped + counts.failures > 0)
      throw new Error(`lines were lost: ${JSON.stringify(counts)}`)
    if (counts.lines >= lines) break
  }
  const seconds = (performance.now() - from) / 1_000
  stop.abort()
  await running
  return seconds
}
