/** Where containers come to run on three hosts: what a file and operators say of it holds, and what cannot hold is refused. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { NodeDocument } from '../../shared/api.ts'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly, assertUnchanged, snapshot } from '../engines/exactly.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, makeBed, remake, tasksOf } from './bed.ts'

/** Only the second host has a thing to count. */
const agentArgs = (host: string) => (host === 'host-2' ? ['--resource', 'card=1'] : [])

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  bed = await makeBed({ agentArgs })
  cluster = bed.cluster
})
afterAll(() => bed?.hosts.stop())
afterEach(() => remake(bed))

/** By its service. */
async function hostsOf(service: string): Promise<string[]> {
  return [...(await snapshot(cluster.hosts)).values()]
    .filter((one) => one.service === service)
    .map(({ host }) => host)
    .sort()
}

const reserving = (resource: string) =>
  `deploy: { resources: { reservations: { generic_resources: [{ discrete_resource_spec: { kind: ${resource} } }] } } }`

test('a countable thing is promised to one task; another waits for it and says so, and has it once it is free', async () => {
  const compose = (services: string[]) =>
    `services: { ${services.map((name) => `${name}: { image: "bb:1", ${reserving('card')} }`).join(', ')} }`
  exits(await cluster.deploy('one', compose(['train'])), 0)
  expect(await hostsOf('one_train')).toEqual(['host-2'])
  const said = exits(await cluster.deploy('two', compose(['test']), '--timeout', '3s'), 4)
  expect(said).toContain('host-2: generic: needs 1 card, 0 of 1 free of promise')
  expect(said).toContain('host-1, host-3: generic: needs 1 card, it has none')
  expect(exits(await cluster.berth('nodes', 'host-2'), 0)).toMatch(/^card +1 of 1 promised$/m)
  exits(await cluster.berth('rm', 'one'), 0)
  exits(await cluster.berth('deploy', '--attach', 'two'), 0)
  expect(await hostsOf('two_test')).toEqual(['host-2'])
})

test('a resource that no node has is refused with what was probably meant, and nothing is changed', async () => {
  const said = exits(await cluster.deploy('bad', `services: { a: { image: "bb:1", ${reserving('cards')} } }`), 2)
  expect(said).toContain('bad_a reserves 1 cards, more than any node has (at most 0 cards)')
  expect(said).toContain('did you mean "card"?')
  await assertExactly(cluster.hosts, {})
})

test('a host with a no-execute taint is emptied of what does not tolerate it, and of nothing else', async () => {
  const compose = `services:
  plain: { image: "bb:1", deploy: { replicas: 3 } }
  tough: { image: "bb:1", deploy: { replicas: 3 }, x-berth: { placement: { tolerations: [repair] } } }
`
  exits(await cluster.deploy('shop', compose), 0)
  expect(await hostsOf('shop_plain')).toEqual(['host-1', 'host-2', 'host-3'])
  const since = await snapshot(cluster.hosts)
  exits(await cluster.berth('node', 'taint', 'host-1', 'repair:no-execute'), 0)
  await until(
    async () => (await tasksOf(cluster, 'shop_plain')).every(({ node }) => node !== 'host-1'),
    'host-1 to empty',
  )
  await until(async () => (await hostsOf('shop_plain')).length === 3, 'three tasks')
  expect(new Set(await hostsOf('shop_plain'))).toEqual(new Set(['host-2', 'host-3']))
  const isTough = ({ service }: { service: string }) => service === 'shop_tough'
  const toughSince = new Map([...since].filter(([, one]) => isTough(one)))
  const toughNow = new Map([...(await snapshot(cluster.hosts))].filter(([, one]) => isTough(one)))
  assertUnchanged(toughSince, toughNow)
  exits(await cluster.berth('scale', 'shop_plain=5'), 0)
  expect(new Set(await hostsOf('shop_plain'))).toEqual(new Set(['host-2', 'host-3']))
})

test('tasks come to be near a service, or one on each host and the rest waits', async () => {
  const compose = `services:
  api: { image: "bb:1", deploy: { replicas: 3 }, x-berth: { placement: { affinity: [cache] } } }
  cache: { image: "bb:1" }
`
  exits(await cluster.deploy('near', compose), 0)
  const [home] = await hostsOf('near_cache')
  expect(await hostsOf('near_api')).toEqual([home, home, home])
  const apart = `services: { a: { image: "bb:1", deploy: { replicas: 4 }, x-berth: { placement: { anti_affinity: [a] } } } }`
  const said = exits(await cluster.deploy('apart', apart, '--timeout', '5s'), 4)
  expect(said).toContain('4 tasks want a node each, but there are 3 nodes; the rest will wait')
  expect(said).toContain('affinity: is kept away from apart_a, which has 1 task there')
  expect(await hostsOf('apart_a')).toEqual(['host-1', 'host-2', 'host-3'])
})

test('labels are compared as numbers; constraints that contradict each other are refused at once', async () => {
  const compose = (...constraints: string[]) =>
    `services: { a: { image: "bb:1", deploy: { replicas: 2, placement: { constraints: ${JSON.stringify(constraints)} } } } }`
  for (const [host, generation] of Object.entries({ 'host-1': '9', 'host-2': '10', 'host-3': 'x' })) {
    exits(await cluster.berth('node', 'label', host, `generation=${generation}`), 0)
  }
  exits(await cluster.deploy('new', compose('node.labels.generation >= 10', 'node.labels.generation exists')), 0)
  expect(await hostsOf('new_a')).toEqual(['host-2', 'host-2'])
  const since = await snapshot(cluster.hosts)
  const said = exits(
    await cluster.deploy('new', compose('node.labels.generation > 5', 'node.labels.generation < 3')),
    2,
  )
  expect(said).toContain('new_a: no node can meet both node.labels.generation > 5 and node.labels.generation < 3')
  assertUnchanged(since, await snapshot(cluster.hosts))
})

test('a node that is set to keep memory back takes no more than what is left, and takes it once it may', async () => {
  const nodes = await cluster.api<{ items: NodeDocument[] }>('GET', '/v1/nodes')
  const { memoryBytes } = nodes.items[0]!
  const mib = (share: number) => Math.floor((memoryBytes * share) / 2 ** 20)
  const compose = `services: { a: { image: "bb:1", deploy: { replicas: 3, resources: { reservations: { memory: ${mib(0.4)}M } } } } }`
  for (const host of ['host-1', 'host-2']) {
    exits(await cluster.berth('node', 'set', host, `memory-reserve=${mib(0.7)}M`), 0)
  }
  const said = exits(await cluster.deploy('big', compose, '--timeout', '4s'), 4)
  expect(said).toMatch(/host-1, host-2: memory: needs [\d.]+ GiB, [\d.]+ GiB free of promise/)
  expect(await hostsOf('big_a')).toEqual(['host-3', 'host-3'])
  exits(await cluster.berth('node', 'set', 'host-1', 'memory-overcommit=2'), 0)
  exits(await cluster.berth('deploy', '--attach', 'big'), 0)
  expect(await hostsOf('big_a')).toEqual(['host-1', 'host-3', 'host-3'])
  for (const host of ['host-1', 'host-2']) {
    exits(await cluster.berth('node', 'set', host, 'memory-reserve=0', 'memory-overcommit=1'), 0)
  }
})
