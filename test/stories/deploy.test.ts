/** From a Compose file to containers on three hosts: what is deployed runs, in its order and as the file says, and stays. */
import Type from 'typebox'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  EventDocument,
  LogRecord,
  ProgressDocument,
  ServiceDetail,
  ServiceDocument,
  StackDocument,
  StatusDocument,
  TaskDocument,
} from '../../shared/api.ts'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly, assertUnchanged, type Placed, snapshot } from '../engines/exactly.ts'
import type { Host, Hosts } from '../engines/hosts.ts'
import { type Bed, exits, expectShape, makeBed, remake } from './bed.ts'
import { SHOP, SHOP_ENDED, SHOP_PORT, SHOP_RUNNING } from './shop.ts'
import { watch } from './timeline.ts'

let bed: Bed
let cluster: Cluster
let hosts: Host[]
beforeAll(async () => {
  bed = await makeBed()
  cluster = bed.cluster
  hosts = cluster.hosts
})
afterAll(() => (bed as { hosts: Hosts } | undefined)?.hosts.stop())

describe('a stack of five services and a global one', () => {
  let said = ''
  beforeAll(async () => {
    said = exits(await cluster.deploy('shop', SHOP), 0)
  })
  afterAll(() => remake(bed))

  test('it is told service by service how it comes up, to the end', () => {
    const lines = said.split('\n')
    expect(lines).toContainEqual(expect.stringMatching(/^shop_db {2}1\/1 healthy .*host-\d.* [\d.]+ m?s$/))
    expect(lines).toContainEqual(expect.stringMatching(/^shop_migrate {2}waiting for db \(service_healthy\)$/))
    expect(lines).toContainEqual(expect.stringMatching(/^shop_migrate {2}done, exit 0 /))
    expect(lines).toContainEqual(
      expect.stringMatching(/^shop_api {2}waiting for migrate \(service_completed_successfully\)$/),
    )
    expect(lines).toContainEqual(expect.stringMatching(/^shop_api {2}3\/3 healthy /))
    expect(lines).toContainEqual(expect.stringMatching(/^shop_worker {2}4\/4 running /))
    expect(lines).toContainEqual(expect.stringMatching(/^shop_probe {2}3\/3 running /))
    expect(lines).toContainEqual(expect.stringMatching(/^shop_web {2}waiting for api \(service_healthy\)$/))
    expect(lines).toContainEqual(expect.stringMatching(/^shop_web {2}1\/1 healthy /))
  })

  test('exactly its containers exist, spread over the hosts', async () => {
    const now = await assertExactly(hosts, SHOP_RUNNING, { ended: SHOP_ENDED })
    expect(hostsOf(now.values(), 'shop_api')).toEqual(['host-1', 'host-2', 'host-3'])
    expect(hostsOf(now.values(), 'shop_probe')).toEqual(['host-1', 'host-2', 'host-3'])
    expect(new Set(hostsOf(now.values(), 'shop_worker')).size).toBe(3)
  })

  test('services started in the order of what they depend on', async () => {
    const containers = [...(await snapshot(hosts)).values()]
    const started = (service: string) =>
      containers.filter((one) => one.service === `shop_${service}`).map((one) => Date.parse(one.startedAt))
    const migrate = await inspect(containers.find((one) => one.service === 'shop_migrate')!)
    expect(migrate.State).toMatchObject({ Status: 'exited', ExitCode: 0 })
    // The database is healthy a second after its start and not before.
    expect(Date.parse(migrate.State.StartedAt) - started('db')[0]!).toBeGreaterThanOrEqual(1_000)
    expect(Math.min(...started('api'))).toBeGreaterThanOrEqual(Date.parse(migrate.State.FinishedAt))
    expect(started('web')[0]).toBeGreaterThan(Math.max(...started('api')))
  })

  test('what the file says of a container is in the Engine', async () => {
    const containers = [...(await snapshot(hosts)).values()]
    const api = containers.find((one) => one.service === 'shop_api')!
    const { cluster: name } = await cluster.status()
    expect(api.labels).toMatchObject({
      'berth.cluster': name,
      'berth.node': api.host,
      'berth.stack': 'shop',
      'berth.service': 'shop_api',
      'berth.attempt': '1',
      'org.example.team': 'shop',
    })
    expect(api.labels['berth.task']).toMatch(/^shop_api\.[123]\./)
    expect(api.labels['berth.spec']).toMatch(/^[0-9a-f]{32}$/)
    const { Config, HostConfig } = await inspect(api)
    expect(Config.Env).toEqual(expect.arrayContaining(['GREETING=hello world', 'EMPTY=', 'DOLLAR=$HOME']))
    expect(Config).toMatchObject({ User: '1000:1000', WorkingDir: '/tmp', StopSignal: 'SIGTERM', StopTimeout: 3 })
    expect(HostConfig).toMatchObject({
      RestartPolicy: { Name: 'no' },
      Memory: 64 * 2 ** 20,
      MemoryReservation: 16 * 2 ** 20,
      NanoCpus: 500_000_000,
      PidsLimit: 64,
      CapDrop: ['ALL'],
      CapAdd: ['NET_BIND_SERVICE'],
      ReadonlyRootfs: true,
      Init: true,
      ExtraHosts: ['queue:10.0.0.9'],
      SecurityOpt: ['no-new-privileges:true'],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '2' } },
    })
    expect(HostConfig.Ulimits).toEqual([{ Name: 'nofile', Soft: 1024, Hard: 2048 }])
    // Of the container's own process: one that is brought in by `exec` now and then has the hard limit, which runc raised for itself.
    const asks = 'id -u; grep "open files" /proc/1/limits; touch /x || echo read-only'
    expect(await host(api).docker('exec', api.id, 'sh', '-c', asks)).toMatch(
      /^1000\nMax open files +1024 +2048 +files *\n(.*\n)?read-only\n$/,
    )
    const db = containers.find((one) => one.service === 'shop_db')!
    expect((await inspect(db)).Mounts).toMatchObject([{ Type: 'volume', Name: 'shop_data', Destination: '/data' }])
  })

  test('a published port answers on its host', async () => {
    const web = [...(await snapshot(hosts)).values()].find((one) => one.service === 'shop_web')!
    const answer = await fetch(`http://${host(web).address}:${SHOP_PORT}/`)
    expect(await answer.text()).toContain('Hello from Berth')
  })

  test('the command shows it, for people and as the documents that the API describes', async () => {
    expect(exits(await cluster.berth('ps', 'shop'), 0)).toMatch(/^TASK +NODE +STATE .*\n(shop_\S+ +host-\d .*\n){13}$/)
    expect(exits(await cluster.berth('services'), 0)).toMatch(/shop_migrate +0\/1 +replicated +done/)
    expect(exits(await cluster.berth('stacks'), 0)).toMatch(/shop +6 +12\/13 +up +1 /)
    expect(exits(await cluster.berth('status'), 0)).toMatch(
      /3 nodes ready[\s\S]*tasks +12 running, 0 waiting, 0 restarting/,
    )
    const status = await cluster.json<StatusDocument>('status')
    expectShape(StatusDocument, status)
    expect(status.problems).toEqual([])
    const tasks = await cluster.json<TaskDocument[]>('ps')
    expectShape(Type.Array(TaskDocument), tasks)
    expect(tasks.map(({ name }) => name)).toContain('shop_probe@host-2')
    expect(tasks.filter(({ state }) => state === 'running')).toHaveLength(12)
    expectShape(Type.Array(ServiceDocument), await cluster.json('services'))
    expectShape(ServiceDetail, await cluster.json('services', 'shop_api'))
    expectShape(Type.Array(StackDocument), await cluster.json('stacks'))
    const events = await cluster.json<EventDocument[]>('events', '--limit', '200')
    expectShape(Type.Array(EventDocument), events)
    expect(events.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^shop_migrate\.1\.\w+ on host-\d completed$/),
    )
    const numbers = events.map(({ number }) => number)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  })

  test('log lines come from every host, in order of time, those of a job that ended too', async () => {
    expect(exits(await cluster.berth('logs', 'shop_migrate'), 0)).toBe(
      'shop_migrate.1 | migrating\nshop_migrate.1 | migrated\n',
    )
    const { stdout } = await cluster.berth('logs', 'shop_worker', '--json')
    const records = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { task: string; at: number; text: string })
    expectShape(Type.Array(LogRecord), records)
    expect(new Set(records.map(({ task }) => task)).size).toBe(4)
    expect(records.map(({ at }) => at)).toEqual(records.map(({ at }) => at).toSorted((a, b) => a - b))
    expect(exits(await cluster.berth('logs', 'shop', '--tail', '1'), 0)).toMatch(/^shop_worker\.4 +\| working/m)
  })

  test('deploying the same again changes nothing', async () => {
    const before = await snapshot(hosts)
    const progress = await cluster.json<ProgressDocument>(
      ...['deploy', '-f', cluster.composeFile('shop', SHOP), '--stack', 'shop'],
    )
    expectShape(ProgressDocument, progress)
    expect(progress).toMatchObject({ outcome: 'up', deployment: 2 })
    expect(progress.services.map(({ version }) => version)).toEqual([1, 1, 1, 1, 1, 1])
    await assertExactly(hosts, SHOP_RUNNING, { ended: SHOP_ENDED, since: before })
    expect(new Set((await snapshot(hosts)).keys())).toEqual(new Set(before.keys()))
  })

  test('a service that the file does not name any more goes, unless it is to be kept; the others stay as they are', async () => {
    const before = await snapshot(hosts)
    const without = SHOP.replace(/ {2}worker:\n( {4}.*\n)+/, '')
    exits(await cluster.deploy('shop', without, '--no-prune'), 0)
    await assertExactly(hosts, SHOP_RUNNING, { ended: SHOP_ENDED, since: before })
    exits(await cluster.deploy('shop', without), 0)
    const { shop_worker: _, ...left } = SHOP_RUNNING
    await assertExactly(hosts, left, { ended: SHOP_ENDED, since: before, unchanged: Object.keys(left) })
  })

  test('removing it leaves nothing: no container, no anonymous volume, only the named one', async () => {
    expect(exits(await cluster.berth('rm', 'shop'), 0)).toMatch(/^shop {2}removed$/m)
    await assertExactly(hosts, {})
    const volumes = await Promise.all(hosts.map((each) => each.docker('volume', 'ls', '-q')))
    expect(volumes.join('').trim()).toBe('shop_data')
    expect(await cluster.json('stacks')).toEqual([])
    expect(await cluster.json('ps', '--all')).toEqual([])
  })
})

describe('scale', () => {
  afterEach(() => remake(bed))

  test('up takes new slots and down gives the highest ones up; those that stay are not touched', async () => {
    exits(await cluster.deploy('s', 'services: { a: { image: "bb:1", scale: 2 }, b: { image: "bb:1" } }'), 0)
    const first = await assertExactly(hosts, { s_a: 2, s_b: 1 })
    exits(await cluster.berth('scale', 's_a=6'), 0)
    const six = await assertExactly(hosts, { s_a: 6, s_b: 1 }, { since: first })
    expect(perHost(six.values(), 's_a')).toEqual([2, 2, 2])
    exits(await cluster.berth('scale', 's_a=4', 's_b=0'), 0)
    const four = await assertExactly(hosts, { s_a: 4 })
    expect(slots(four.values())).toEqual(['s_a.1', 's_a.2', 's_a.3', 's_a.4'])
    assertUnchanged(new Map([...six].filter(([id]) => four.has(id))), four)
    expect([...four.keys()].every((id) => six.has(id))).toBe(true)
  })

  test('down gives up the tasks that wait before those that run', async () => {
    const compose =
      'services: { a: { image: "bb:1", deploy: { replicas: 5, placement: { max_replicas_per_node: 1 } } } }'
    const said = exits(await cluster.deploy('s', compose, '--timeout', '3s'), 4)
    expect(said).toMatch(/max-per-node: at most 1 a node, it has 1/)
    const three = await assertExactly(hosts, { s_a: 3 })
    exits(await cluster.berth('scale', 's_a=3'), 0)
    await assertExactly(hosts, { s_a: 3 }, { since: three })
    expect(await cluster.json<TaskDocument[]>('ps', 's_a')).toHaveLength(3)
  })
})

describe('places', () => {
  afterEach(() => remake(bed))

  test('two stacks with the same names of services and volumes do not touch each other', async () => {
    const compose = `
services:
  web: { image: "bb:1", volumes: ["data:/data"] }
  db: { image: "bb:1" }
volumes: { data: {} }`
    const [red, blue] = await Promise.all([cluster.deploy('red', compose), cluster.deploy('blue', compose)])
    exits(red, 0)
    exits(blue, 0)
    const both = await assertExactly(hosts, { red_web: 1, red_db: 1, blue_web: 1, blue_db: 1 })
    const volumes = await Promise.all(hosts.map((each) => each.docker('volume', 'ls', '-q')))
    expect(volumes.join('').trim().split('\n').sort()).toEqual(['blue_data', 'red_data'])
    exits(await cluster.berth('rm', 'red'), 0)
    await assertExactly(hosts, { blue_web: 1, blue_db: 1 }, { since: both, unchanged: ['blue_web', 'blue_db'] })
  })

  test('tasks are spread evenly over the nodes that a constraint leaves', async () => {
    const compose =
      'services: { a: { image: "bb:1", deploy: { replicas: 4, placement: { constraints: ["node.id != host-2"] } } } }'
    exits(await cluster.deploy('s', compose), 0)
    const now = await assertExactly(hosts, { s_a: 4 })
    expect(hostsOf(now.values(), 's_a')).toEqual(['host-1', 'host-1', 'host-3', 'host-3'])
  })

  test('a host port asked for twice: the second waits, says why for each node, and runs once it is free', async () => {
    const compose = (replicas: number) =>
      `services: { web: { image: "bb:1", ports: ["8089:80"], deploy: { replicas: ${replicas} } } }`
    exits(await cluster.deploy('first', compose(3)), 0)
    const said = exits(await cluster.deploy('second', compose(1), '--timeout', '3s'), 4)
    expect(said).toMatch(/second is not up after 3(\.0)? s; it goes on \(berth deploy --attach second comes back\)/)
    for (const { name } of hosts) expect(said).toMatch(new RegExp(`${name}: host-port: 8089 is taken by first_web\\.`))
    const [waiting] = await cluster.json<TaskDocument[]>('ps', 'second')
    expect(waiting).toMatchObject({ state: 'waiting', node: null })
    expect(waiting!.waits.flatMap(({ nodes }) => nodes).sort()).toEqual(['host-1', 'host-2', 'host-3'])
    expect((await cluster.status()).problems).toMatchObject([{ kind: 'tasks-waiting', service: 'second_web' }])
    await assertExactly(hosts, { first_web: 3 })
    exits(await cluster.berth('rm', 'first'), 0)
    exits(await cluster.berth('deploy', '--attach', 'second'), 0)
    await assertExactly(hosts, { second_web: 1 })
  })

  test('a constraint that no node meets: the service waits and says why, until a node is labelled', async () => {
    const compose =
      'services: { a: { image: "bb:1", deploy: { placement: { constraints: ["node.labels.disk == ssd"] } } } }'
    exits(await cluster.berth('node', 'label', 'host-1', 'disk=hdd'), 0)
    const said = exits(await cluster.deploy('s', compose, '--timeout', '3s'), 4)
    expect(said).toMatch(/warning: s_a: no node meets its constraints now/)
    expect(said).toMatch(/host-1: constraint: node\.labels\.disk == ssd, it has hdd/)
    expect(said).toMatch(/host-2, host-3: constraint: node\.labels\.disk == ssd, it has none/)
    expect(exits(await cluster.berth('services', 's_a'), 0)).toMatch(/it has hdd +\(host-1\)/)
    await assertExactly(hosts, {})
    exits(await cluster.berth('node', 'label', 'host-2', 'disk=ssd'), 0)
    exits(await cluster.berth('deploy', '--attach', 's'), 0)
    const now = await assertExactly(hosts, { s_a: 1 })
    expect(hostsOf(now.values(), 's_a')).toEqual(['host-2'])
  })

  test('what is promised is never more than a node has: the rest waits, with the figures', async () => {
    const { nodes } = await cluster.status()
    const mib = Math.floor((nodes[0]!.memoryBytes * 0.6) / 2 ** 20)
    const reserve = (memory: string) =>
      `services: { a: { image: "bb:1", deploy: { replicas: 4, resources: { reservations: { memory: ${memory} } } } } }`
    const said = exits(await cluster.deploy('s', reserve(`${mib}M`), '--timeout', '3s'), 4)
    expect(said).toMatch(/memory: needs [\d.]+ GiB, [\d.]+ GiB free of promise/)
    await assertExactly(hosts, { s_a: 3 })
  })

  test('a reservation larger than any node is refused at once, and nothing is changed', async () => {
    const compose = 'services: { a: { image: "bb:1", deploy: { resources: { reservations: { memory: 900T } } } } }'
    const said = exits(await cluster.deploy('s', compose), 2)
    expect(said).toMatch(/s_a reserves 921600\.0 GiB memory, more than any node has \(at most [\d.]+ GiB memory\)/)
    expect(await cluster.json('stacks')).toEqual([])
    await assertExactly(hosts, {})
  })

  test('a drained node gives its tasks away, each started elsewhere first; activated it takes new ones', async () => {
    const compose = `
services:
  web: { image: "bb:healthy", deploy: { replicas: 3 } }
  all: { image: "bb:1", deploy: { mode: global } }
  job: { image: "bb:1", command: "true", restart: "no", scale: 3 }`
    exits(await cluster.deploy('s', compose), 0)
    const ended = { s_job: 3 }
    const before = await assertExactly(hosts, { s_web: 3, s_all: 3 }, { ended })
    const watching = await watch(hosts, 's_web')
    expect(exits(await cluster.berth('drain', 'host-1'), 0)).toMatch(/host-1 {2}drained; berth activate host-1/)
    expect((await watching.stop()).healthy).toMatchObject({ least: 3 })
    const drained = await assertExactly(hosts, { s_web: 3, s_all: 2 }, { ended })
    // What a job has left behind runs nothing: it stays, for its logs.
    const left = [...drained.values()].filter((one) => one.host === 'host-1')
    expect(left.map(({ service }) => service)).toEqual(['s_job'])
    assertUnchanged(new Map([...before].filter(([, one]) => one.host !== 'host-1')), drained)
    expect(exits(await cluster.berth('activate', 'host-1'), 0)).toMatch(/host-1 {2}active/)
    await assertExactly(hosts, { s_web: 3, s_all: 3 }, { ended, since: drained })
    exits(await cluster.berth('scale', 's_web=4'), 0)
    const after = await assertExactly(hosts, { s_web: 4, s_all: 3 }, { ended, since: drained })
    expect(hostsOf(after.values(), 's_web')).toContain('host-1')
  })

  test('a task whose volume is on a drained node stays there, and the drain says so', async () => {
    const compose = 'services: { db: { image: "bb:1", volumes: ["d:/d"] } }\nvolumes: { d: {} }'
    exits(await cluster.deploy('s', compose), 0)
    const before = await assertExactly(hosts, { s_db: 1 })
    const home = [...before.values()][0]!.host
    const said = exits(await cluster.berth('drain', home), 1)
    expect(said).toContain(`${home} takes no new tasks, and 1 task cannot leave it`)
    expect(said).toContain('s_db.1  its volume s_d is here')
    await assertExactly(hosts, { s_db: 1 }, { since: before })
  })
})

function host({ host: name }: Placed): Host {
  return hosts.find((each) => each.name === name)!
}

type Inspected = {
  State: { Status: string; ExitCode: number; StartedAt: string; FinishedAt: string }
  Config: { Env: string[] } & Record<string, unknown>
  HostConfig: { Ulimits: unknown } & Record<string, unknown>
  Mounts: unknown
}

function inspect(container: Placed): Promise<Inspected> {
  return host(container).api<Inspected>('GET', `/containers/${container.id}/json`)
}

function hostsOf(containers: Iterable<Placed>, service: string): string[] {
  return [...containers]
    .filter((one) => one.service === service)
    .map((one) => one.host)
    .sort()
}

function perHost(containers: Iterable<Placed>, service: string): number[] {
  const on = hostsOf(containers, service)
  return hosts.map(({ name }) => on.filter((each) => each === name).length)
}

/** `s_a.3` from the task `s_a.3.1f`. */
function slots(containers: Iterable<Placed>): string[] {
  return [...containers].map(({ task }) => task.split('.').slice(0, 2).join('.')).sort()
}
