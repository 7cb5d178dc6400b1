/** A real Prometheus (Debian's package) that reads a coordinator's metrics and finds services by its discovery. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from './berth.ts'
import { end, launch } from './processes.ts'
import { record, type Slot } from './slots.ts'
import { until } from './until.ts'

export const HAS_PROMETHEUS = ['prometheus', 'promtool'].every(
  (program) => spawnSync(program, ['--version']).error === undefined,
)

export type Sample = { labels: Record<string, string>; value: number }

export type Prometheus = {
  /** What an expression gives now. */
  query(expression: string): Promise<Sample[]>
  /** The error of the latest scrape of each target; empty: it went well. */
  targets(): Promise<{ job: string; url: string; error: string }[]>
  /** What it says is wrong. */
  complaints(): string
  stop(): Promise<void>
}

/** Configured as docs/metrics.md tells, with scrapes each second. */
export async function startPrometheus(slot: Slot, cluster: Cluster, port = 9_790): Promise<Prometheus> {
  const dir = join(slot.dataDir, 'prometheus')
  mkdirSync(dir, { recursive: true })
  const address = `${slot.address}:${port}`
  const [ca, token, config] = ['ca.pem', 'token', 'prometheus.json'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(ca, cluster.caPem)
  const made = await cluster.berth('token', 'create', 'prometheus')
  writeFileSync(token, made.stdout)
  const access = { tls_config: { ca_file: ca }, authorization: { type: 'Bearer', credentials_file: token } }
  // JSON is YAML too.
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [
        { job_name: 'berth', scheme: 'https', ...access, static_configs: [{ targets: [new URL(cluster.url).host] }] },
        {
          job_name: 'services',
          http_sd_configs: [{ url: `${cluster.url}/v1/discovery/prometheus`, refresh_interval: '1s', ...access }],
        },
      ],
    }),
  )
  const options = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=${address}`,
  ]
  const log = join(slot.runDir, 'prometheus.log')
  const { identity } = launch('prometheus', options, log)
  record(slot, identity)

  async function ask<T>(path: string): Promise<T> {
    const answer = await fetch(`http://${address}/api/v1/${path}`)
    if (!answer.ok) throw new Error(`Prometheus answers ${answer.status}: ${await answer.text()}`)
    return ((await answer.json()) as { data: T }).data
  }

  await until(() => ask('status/buildinfo'), `Prometheus at ${address}`)
  return {
    async query(expression) {
      type Answer = { result: { metric: Record<string, string>; value: [number, string] }[] }
      const { result } = await ask<Answer>(`query?query=${encodeURIComponent(expression)}`)
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
    },
    async targets() {
      type Answer = { activeTargets: { scrapePool: string; scrapeUrl: string; lastError: string }[] }
      const { activeTargets } = await ask<Answer>('targets?state=active')
      return activeTargets.map(({ scrapePool, scrapeUrl, lastError }) => ({
        job: scrapePool,
        url: scrapeUrl,
        error: lastError,
      }))
    },
    complaints: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => /level=(warn|error)/.test(line))
        .slice(-5)
        .join('\n'),
    async stop() {
      await end(identity, 2_000)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
