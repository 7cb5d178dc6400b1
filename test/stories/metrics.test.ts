/** What an operator sees of load on two hosts: now, over time, after the coordinator was killed and the tasks are gone. */
import { spawnSync } from 'node:child_process'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import { DiscoveryDocument, MetricsDocument, TopDocument } from '../../shared/api.ts'
import { parseExposition } from '../coordinator/metrics/exposition.ts'
import type { Cluster } from '../engines/berth.ts'
import { HAS_PROMETHEUS, startPrometheus } from '../engines/prometheus.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, expectShape, makeBed, remake } from './bed.ts'

const COMPOSE = `services:
  busy:
    image: "bb:1"
    command: ["sh", "-c", "while :; do :; done"]
    deploy: { replicas: 2, resources: { limits: { cpus: "0.3" } } }
  told:
    image: "bb:1"
    command: ["sh", "-c", "mkdir /w && echo shop_orders_total 7 > /w/metrics && httpd -f -p 9100 -h /w"]
    ports: ["9100"]
    labels: { "prometheus.io/port": "9100" }
`

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  bed = await makeBed({ hosts: 2 })
  cluster = bed.cluster
})
afterAll(() => bed?.hosts.stop())
afterEach(() => remake(bed))

async function cpuOfBusy(): Promise<MetricsDocument> {
  const [answer] = await cluster.json<[MetricsDocument]>(
    'stats',
    'shop_busy',
    '--metric',
    'cpu',
    '--since',
    '10m',
    '--reduce',
    'max',
  )
  return answer
}

const peaks = ({ lines }: MetricsDocument) =>
  lines.map(({ name, points }) => [name, Math.max(0, ...points.filter((point) => point !== null))] as const)

test('load is seen now and over time; a killed coordinator and removed tasks take none of it away', async () => {
  exits(await cluster.deploy('shop', COMPOSE), 0)
  await until(async () => {
    const busy = peaks(await cpuOfBusy())
    return busy.length === 2 && busy.every(([, cores]) => cores > 0.15)
  }, 'both tasks to have been seen busy')
  const seen = await cpuOfBusy()
  expectShape(MetricsDocument, seen)
  expect(peaks(seen).map(([name]) => name)).toEqual(['shop_busy.1', 'shop_busy.2'])

  const top = await cluster.json<TopDocument>('top', '--service', 'shop_busy')
  expectShape(TopDocument, top)
  expect(top.rows.every(({ cpuCoresUsed, cpuCoresMax }) => cpuCoresUsed > 0.05 && cpuCoresMax === 0.3)).toBe(true)
  expect(exits(await cluster.berth('top', '--nodes'), 0)).toMatch(/^host-1 /m)

  await cluster.coordinator.kill('SIGKILL')
  await cluster.coordinator.start()
  await cluster.ready()
  exits(await cluster.berth('rm', 'shop'), 0)
  await until(async () => (await cluster.berth('stats', 'shop_busy')).exit === 0, 'metrics to be read again')
  const after = exits(await cluster.berth('stats', 'shop_busy', '--metric', 'cpu', '--since', '10m'), 0)
  expect(after).toMatch(/^shop_busy\.1 /m)
  expect(after).toMatch(/[⠁-⣿]/)
})

test('what Prometheus reads is well formed, and it is told where services tell of themselves', async () => {
  exits(await cluster.deploy('shop', COMPOSE), 0)
  let text = ''
  await until(async () => {
    text = (await cluster.request('GET', '/metrics')).text
    return /^container_cpu_usage_seconds_total\{.*name="shop_busy\.2".*\} [1-9]/m.test(text)
  }, 'the tasks to have used a second of CPU')
  const { samples, offences } = parseExposition(text)
  expect(offences).toEqual([])
  expect(samples.filter(({ name }) => name === 'node_load1')).toHaveLength(2)
  expect(text).toMatch(/^berth_service_tasks\{service="shop_busy",stack="shop",state="running"\} 2$/m)

  const targets = await cluster.api<DiscoveryDocument>('GET', '/v1/discovery/prometheus')
  expectShape(DiscoveryDocument, targets)
  expect(targets.map(({ labels }) => labels.berth_task)).toEqual(['shop_told.1'])
})

test.skipIf(!HAS_PROMETHEUS)(
  "Prometheus reads the coordinator's metrics and finds services' own (Debian's package prometheus)",
  async () => {
    exits(await cluster.deploy('shop', COMPOSE), 0)
    const prometheus = await startPrometheus(bed.hosts.slot, cluster)
    onTestFinished(() => prometheus.stop())

    const read = (job: string) => prometheus.query(`up{job="${job}"} == 1`)
    const haveRead = async () => {
      if ((await read('berth')).length === 1 && (await read('services')).length === 1) return true
      throw new Error(`${JSON.stringify(await prometheus.targets())}; ${prometheus.complaints()}`)
    }
    await until(haveRead, 'Prometheus to have read the metrics of coordinator and service')
    expect((await prometheus.query('last_over_time(up{job="services"}[1m])'))[0]!.labels).toMatchObject({
      berth_stack: 'shop',
      berth_service: 'shop_told',
      berth_task: 'shop_told.1',
      berth_node: expect.stringMatching(/^host-[12]$/),
    })
    const rate = 'sum(rate(container_cpu_usage_seconds_total{service="shop_busy"}[10s]))'
    await until(async () => ((await prometheus.query(rate))[0]?.value ?? 0) > 0.1, 'Prometheus to see the tasks busy')
    expect(await prometheus.query('last_over_time(shop_orders_total[1m])')).toMatchObject([{ value: 7 }])
    expect((await prometheus.targets()).map(({ job }) => job).sort()).toEqual(['berth', 'services'])
    expect(
      await prometheus.query('sum(last_over_time(berth_service_tasks{service="shop_busy",state="running"}[1m]))'),
    ).toEqual([{ labels: {}, value: 2 }])
    const { text } = await cluster.request('GET', '/metrics')
    const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
    expect(`${promtool.stdout}${promtool.stderr}`).toBe('')
  },
)
