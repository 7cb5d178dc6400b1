/** The peer: node_exporter of Debian's package with what it collects by itself, asked over HTTP. */
import { spawn } from 'node:child_process'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds, residentBytes } from '../fleet/usage.ts'
import { unpackedPackage } from './debian.ts'

const PORT = 29_100
const WARM_SCRAPES = 10

export async function nodeExporterCpu(everyMs: number, scrapes: number): Promise<{ perScrape: number; rss: number }> {
  const file = join(unpackedPackage('prometheus-node-exporter'), 'usr/bin/prometheus-node-exporter')
  const exporter = spawn(file, [`--web.listen-address=127.0.0.1:${PORT}`], { stdio: 'ignore' })
  try {
    await sleep(1_000)
    const pid = exporter.pid!
    let before = 0
    for (let scrape = -WARM_SCRAPES; scrape < scrapes; scrape++) {
      if (scrape === 0) before = cpuSeconds(pid)
      await scrapeOnce()
      await sleep(everyMs)
    }
    return { perScrape: (cpuSeconds(pid) - before) / scrapes, rss: residentBytes(pid) }
  } finally {
    exporter.kill('SIGKILL')
  }
}

function scrapeOnce(): Promise<void> {
  return new Promise((resolve, reject) => {
    get(`http://127.0.0.1:${PORT}/metrics`, (answer) => {
      answer.resume().on('end', () => resolve())
    }).on('error', reject)
  })
}
