/** Whoever is on call hears of a host that dies and of a task that goes on crashing: once, and once when it is over. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AlertsDocument } from '../../shared/api.ts'
import type { Cluster } from '../engines/berth.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX } from '../engines/image.ts'
import { until } from '../engines/until.ts'
import {
  crashContainer,
  deployed,
  heal,
  nodeBecomes,
  type Scene,
  shareScene,
  succeeded,
  tasks,
  web,
} from './trouble.ts'

type Notification = {
  status: string
  groupLabels: { alertname: string }
  alerts: { status: string; labels: Record<string, string>; annotations: { summary: string } }[]
}

let scene: Scene & { host: Host }
let cluster: Cluster
let hook: Server
let dir = ''
const taken: Notification[] = []
shareScene((made) => {
  scene = made
  cluster = made.cluster
})

beforeAll(async () => {
  hook = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      taken.push(JSON.parse(body))
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
  const { port } = hook.address() as AddressInfo
  dir = mkdtempSync(join(tmpdir(), 'berth-alerts-'))
  const file = join(dir, 'alerts.yaml')
  writeFileSync(
    file,
    `receivers: [{ name: ops, webhook: { url: "http://127.0.0.1:${port}/hook" } }]\ngroup_wait: 2s\n` +
      // Disks and memory are this machine's own, whatever else runs on it.
      'rules: { disk-running-out: { enabled: false }, memory-running-out: { enabled: false } }\n',
  )
  succeeded(await cluster.berth('alerts', 'set', '-f', file))
  succeeded(await cluster.berth('alerts', 'test'))
  expect(taken.splice(0).map(({ groupLabels }) => groupLabels.alertname)).toEqual(['test'])
})
afterAll(() => {
  hook?.close()
  if (dir) rmSync(dir, { recursive: true })
})

const notifications = (rule: string) => taken.filter(({ groupLabels }) => groupLabels.alertname === rule)
const inWords = ({ status, alerts }: Notification) => [
  status,
  ...alerts.map((each) => `${each.status} ${each.labels.node}`),
]

function hasNoted(rule: string): boolean {
  const state = readFileSync(join(cluster.coordinatorDir, 'alerts/state.json'), 'utf8')
  const { positions } = JSON.parse(state) as { positions: { rule: string; told: unknown[] }[] }
  return positions.some((position) => position.rule === rule && position.told.length > 0)
}

async function nothingFires(): Promise<void> {
  await until(
    async () =>
      (await cluster.api<AlertsDocument>('GET', '/v1/alerts')).alerts.every(({ state }) => state !== 'firing'),
    'nothing to fire',
  )
}

describe('a host that dies', () => {
  test('is one notification, also over a restart of the coordinator, and one more when it is back', async () => {
    const host = scene.host
    await deployed(cluster, 'demo', web(3))
    await host.unplug()
    await host.crash()
    await cluster.agents[0]!.kill()
    await nodeBecomes(cluster, host, 'lost')
    await until(async () => notifications('node-lost').length > 0, 'a notification of the lost node')
    // One that is on its way at a kill may come twice; this one has been noted.
    await until(async () => hasNoted('node-lost'), 'the coordinator to note that it was told')
    await cluster.coordinator.restart('SIGKILL')
    await cluster.ready()
    await until(async () => (await cluster.status()).nodes.length === 3, 'the coordinator to answer')
    await heal(scene)
    await until(async () => notifications('node-lost').some(({ status }) => status === 'resolved'), 'that it is over')
    await nothingFires()
    expect(notifications('node-lost').map(inWords)).toEqual([
      ['firing', `firing ${host.name}`],
      ['resolved', `resolved ${host.name}`],
    ])
    const kinds = (await cluster.json<{ kind: string; node?: string }[]>('events', '--type', 'alert-*'))
      .filter(({ node }) => node === host.name)
      .map(({ kind }) => kind)
    expect(kinds).toEqual(['alert-firing', 'alert-resolved'])
  })
})

const isUp = async (host: Host) => (await host.containers()).some(({ state }) => state === 'running')

describe('a task that goes on crashing', () => {
  test('is told once, with how often and where', async () => {
    await deployed(cluster, 'loop', web(1, BUSYBOX))
    const [task] = await tasks(cluster, 'loop_web')
    const host = cluster.hosts.find(({ name }) => name === task!.node)!
    for (let attempt = 2; attempt <= 4; attempt++) {
      await crashContainer(host)
      const runsAgain = async () => (await tasks(cluster, 'loop_web'))[0]?.attempt === attempt
      await until(async () => (await runsAgain()) && isUp(host), `attempt ${attempt} to run`)
    }
    await until(async () => notifications('task-crash-looping').length > 0, 'a notification of the crash loop')
    const [notification] = notifications('task-crash-looping')
    expect(
      notification!.alerts.map(({ labels, annotations }) => [labels.service, labels.node, annotations.summary]),
    ).toEqual([['loop_web', host.name, `loop_web.1 on ${host.name} ended 3 times in 10 min`]])
    expect(notifications('task-crash-looping')).toHaveLength(1)
  })
})

test('a silence of what is not there is refused, since it would silence nothing', async () => {
  const refused: [string[], RegExp][] = [
    [['--node', 'nix'], /there is no node nix; `berth nodes` lists them/],
    [['--service', 'nix_web'], /there is no service nix_web; `berth services` lists them/],
    [['--rule', 'node-lots'], /"node-lots" is no alert rule; did you mean "node-lost"\?/],
  ]
  for (const [args, words] of refused) {
    const { exit, stderr } = await cluster.berth('alerts', 'silence', '--for', '1h', ...args)
    expect([exit, stderr]).toEqual([2, expect.stringMatching(words)])
  }
  expect((await cluster.api<AlertsDocument>('GET', '/v1/alerts')).silences).toEqual([])
})
