import { stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createAlerter } from '../../../coordinator/alerts/alerter.ts'
import { type Deliver, deliver, post } from '../../../coordinator/alerts/deliver.ts'
import { openAlertFiles } from '../../../coordinator/alerts/files.ts'
import type { NewEvent } from '../../../coordinator/events.ts'
import { ALERTS_CONFIG_DEFAULT, type AlertReceiver } from '../../../shared/alerts/config.ts'
import { systemClock } from '../../../shared/clock.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'
import { until } from '../../build/until.ts'
import { aNode, aWorld, NOW } from '../../build/world.ts'

const log = { info() {}, warn() {}, error() {}, debug() {} } as never
const SECRET = 'T0P-S3CRET'
const ops: AlertReceiver = { name: 'ops', kind: 'webhook', url: `https://ops.example/${SECRET}`, token: SECRET }
const config = { ...ALERTS_CONFIG_DEFAULT, receivers: [ops], groupWaitMs: 0 }

type Payload = { status: string; alerts: { status: string; labels: Record<string, string> }[] }

/** An alerter over a world of three nodes, with a clock that is set by hand. */
async function anAlerter(given: { dir?: string; deliver?: Deliver } = {}) {
  const dir = given.dir ?? join(await temporaryFolder(), 'alerts')
  const world = aWorld({ nodes: ['n1', 'n2', 'n3'].map((name) => aNode({ name })) })
  const taken: Payload[] = []
  const events: NewEvent[] = []
  let now = NOW
  const alerter = createAlerter({
    files: await openAlertFiles(dir),
    world: () => world,
    own: () => ({
      ...{ certificateEndsAt: NOW + 90 * 86_400_000, nodeCertificates: [], storeBytes: 1 },
      ...{ logsTrouble: null, targetTroubles: [] },
    }),
    url: () => 'https://10.0.0.5:23784',
    tell: (event) => events.push(event),
    deliver:
      given.deliver ??
      (async (_receiver, payload) => {
        taken.push(payload as Payload)
        return []
      }),
    clock: { ...systemClock, now: () => now },
    log,
  })
  return {
    dir,
    alerter,
    taken,
    events,
    lose: (name: string) =>
      Object.assign(world.nodes.get(name)!, { status: { name: 'lost', since: NOW, why: 'quiet' } }),
    find: (name: string) => Object.assign(world.nodes.get(name)!, { status: { name: 'ready', since: NOW } }),
    async lookAfter(ms: number) {
      now += ms
      await alerter.look()
      // Deliveries go on beside the look.
      await new Promise((resolve) => setTimeout(resolve, 20))
    },
  }
}

const nodesIn = ({ alerts }: Payload) => alerts.map(({ status, labels }) => `${status} ${labels.node}`)

test('two lost nodes are one notification, a restart tells nothing twice, and that one is back is told', async () => {
  const first = await anAlerter()
  await first.alerter.setConfig(config)
  first.lose('n1')
  first.lose('n2')
  await first.lookAfter(0)
  await first.lookAfter(2_000)
  expect(first.taken.map(nodesIn)).toEqual([['firing n1', 'firing n2']])

  const second = await anAlerter({ dir: first.dir })
  second.lose('n1')
  second.lose('n2')
  await second.lookAfter(4_000)
  expect(second.taken).toEqual([])
  expect(second.events).toEqual([])
  second.find('n1')
  second.find('n2')
  await second.lookAfter(2_000)
  await second.lookAfter(2_000)
  expect(second.taken.map(nodesIn)).toEqual([['resolved n1', 'resolved n2']])
  expect(second.taken[0]).toMatchObject({ status: 'resolved', version: '4', receiver: 'ops' })
  expect(second.events.map(({ kind }) => kind)).toEqual(['alert-resolved', 'alert-resolved'])
})

test('what a receiver did not take is sent again after a while; it is told once, and once when it takes it again', async () => {
  let isWell = false
  let tries = 0
  const hook = await anAlerter({
    deliver: async (receiver) => {
      tries += 1
      if (!isWell) await post({ ...receiver, url: 'http://127.0.0.1:1/x' }, {}, new AbortController().signal, 1_000)
      return []
    },
  })
  await hook.alerter.setConfig(config)
  hook.lose('n1')
  for (let look = 0; look < 4; look++) await hook.lookAfter(2_000)
  expect(tries).toBe(2)
  isWell = true
  await hook.lookAfter(20_000)
  expect(tries).toBe(3)
  const kinds = hook.events.map(({ kind }) => kind)
  expect(kinds).toEqual(['alerts-set', 'alert-firing', 'alert-not-delivered', 'alert-delivered'])
  expect(hook.alerter.counts()).toMatchObject({ firing: 1, sent: 1, failed: 2, timedOut: 0 })
})

test('a silence holds until it ends by itself, then what still fires is told', async () => {
  const hook = await anAlerter()
  await hook.alerter.setConfig(config)
  const { id } = await hook.alerter.silence({ node: 'n1', endsAt: NOW + 60_000, comment: 'new disk' })
  hook.lose('n1')
  await hook.lookAfter(59_000)
  expect([hook.taken, hook.alerter.alerts()[0]!.silencedBy]).toEqual([[], id])
  await hook.lookAfter(1_000)
  await hook.lookAfter(1_000)
  expect(hook.taken.map(nodesIn)).toEqual([['firing n1']])
  expect(hook.alerter.silences()).toEqual([])
  await expect(hook.alerter.unsilence(id)).rejects.toThrow('there is no silence s1')
})

test('silences made at once have ids of their own, and outlive a restart', async () => {
  const hook = await anAlerter()
  const asked = { endsAt: NOW + 60_000, comment: '' }
  const made = await Promise.all([1, 2, 3].map(() => hook.alerter.silence(asked)))
  expect(made.map(({ id }) => id)).toEqual(['s1', 's2', 's3'])
  await hook.alerter.unsilence('s2')
  const { alerter } = await anAlerter({ dir: hook.dir })
  expect(alerter.silences().map(({ id }) => id)).toEqual(['s1', 's3'])
})

test('secrets of receivers stand in one file that only its owner may read, and nowhere else', async () => {
  const hook = await anAlerter({ deliver })
  const receiver = { ...ops, url: `http://127.0.0.1:1/${SECRET}` }
  await hook.alerter.setConfig({ ...config, receivers: [receiver] })
  hook.lose('n1')
  await hook.lookAfter(0)
  await until(() => hook.alerter.counts().failed > 0)
  const tested = await hook.alerter.test()
  expect(JSON.stringify([tested, hook.events, hook.alerter.config(), hook.alerter.alerts()])).not.toContain(SECRET)
  expect(tested[0]!.error).toContain('receiver ops cannot be reached (')
  expect((await stat(join(hook.dir, 'config.json'))).mode & 0o777).toBe(0o600)
  expect((await stat(hook.dir)).mode & 0o777).toBe(0o700)
})

test('a mail that some addresses do not get is taken, and a test says which', async () => {
  const hook = await anAlerter({ deliver: async () => ['gone@example.com'] })
  await hook.alerter.setConfig(config)
  hook.lose('n1')
  await hook.lookAfter(0)
  await hook.lookAfter(60_000)
  expect(hook.alerter.counts()).toMatchObject({ sent: 1, failed: 0 })
  const [tested] = await hook.alerter.test()
  expect(tested!.error).toBe('the mail server of receiver ops refuses gone@example.com')
})

async function aHook(handle: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(handle!)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
}
const signal = new AbortController().signal

test('a receiver that hangs is cut off, before its answer and in the middle of it', async () => {
  const silent = await aHook(() => undefined)
  await expect(post({ ...ops, url: silent }, {}, signal, 100)).rejects.toMatchObject({ code: 'timed-out' })
  const endless = await aHook((_request, response) => void response.writeHead(200).write('x'))
  await post({ ...ops, url: endless }, {}, signal, 1_000)
})

test('an error of the receiver and a redirect are failures; the token goes along in the header', async () => {
  const seen: unknown[] = []
  const url = await aHook((request, response) => {
    seen.push(request.headers.authorization)
    if (request.url === '/hook/moved') response.writeHead(302, { location: '/hook' }).end()
    else response.writeHead(request.url === '/hook' ? 204 : 500).end()
  })
  await post({ ...ops, url }, {}, signal, 5_000)
  await expect(post({ ...ops, url: `${url}/bad` }, {}, signal, 5_000)).rejects.toThrow('answered with status 500')
  await expect(post({ ...ops, url: `${url}/moved` }, {}, signal, 5_000)).rejects.toThrow('answered with status 302')
  expect(seen).toEqual(Array(3).fill(`Bearer ${SECRET}`))
})
