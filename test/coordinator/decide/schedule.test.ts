import { describe, expect, test } from 'vitest'
import { pictureOf } from '../../../coordinator/decide/picture.ts'
import type { PlaceRequest } from '../../../coordinator/decide/requests.ts'
import { refusalsOf, schedule } from '../../../coordinator/decide/schedule.ts'
import type { Node, Service, Task } from '../../../coordinator/world.ts'
import { aPort, GiB, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, anEngine, anInventory, aService, aTask, aWorld, NOW, nodes } from '../../build/world.ts'

function requestsFor(service: Service, count: number, slot = 1): PlaceRequest[] {
  const version = service.versions.get(1)!
  return Array.from({ length: count }, (_, index) => ({
    task: `t${index + slot}`,
    service,
    version,
    slot: index + slot,
    onlyNode: null,
    waitsFor: [],
  }))
}

function placesOf(given: {
  nodes: Node[]
  spec?: ServiceSpecGiven
  count?: number
  tasks?: Task[]
  service?: Service
}) {
  const service = given.service ?? aService({ spec: given.spec })
  const world = aWorld({ nodes: given.nodes, services: [service], tasks: given.tasks ?? [] })
  return schedule(requestsFor(service, given.count ?? 1), pictureOf(world)).placements.map(({ node }) => node)
}

function refusalFor(node: Node, spec: ServiceSpecGiven = {}, tasks: Task[] = [], service = aService({ spec })) {
  const world = aWorld({ nodes: [node], services: [service], tasks })
  const picture = pictureOf(world)
  const { held } = schedule(requestsFor(service, 1, 9), picture)
  return held.flatMap((request) => refusalsOf(request, picture))
}

describe('no comes with its reason', () => {
  test('a lost node', () => {
    const node = aNode({ status: { name: 'lost', since: NOW, why: 'silent for 3.0 s' } })
    expect(refusalFor(node)).toEqual([{ node: 'n1', check: 'liveness', figures: { status: 'lost' } }])
  })

  test('a node not heard of since the coordinator started', () => {
    expect(refusalFor(aNode({ connection: null }))).toMatchObject([{ check: 'liveness' }])
  })

  test('a drained node', () => {
    const refusals = refusalFor(aNode({ availability: 'drain' }))
    expect(refusals).toEqual([{ node: 'n1', check: 'availability', figures: { availability: 'drain' } }])
  })

  test('a node without its Engine', () => {
    const node = aNode({ engine: anEngine({ state: 'down', message: 'no socket' }) })
    const figures = { state: 'down', message: 'no socket' }
    expect(refusalFor(node)).toEqual([{ node: 'n1', check: 'engine', figures }])
  })

  test('too little memory that is not promised yet', () => {
    const tasks = [aTask({ service: 'shop_web' })]
    const refusals = refusalFor(aNode({ memoryBytes: 3 * GiB }), { memoryBytes: 2 * GiB }, tasks)
    expect(refusals).toEqual([{ node: 'n1', check: 'memory', figures: { neededBytes: 2 * GiB, freeBytes: GiB } }])
  })

  test('too few cores', () => {
    const refusals = refusalFor(aNode({ cpuCores: 2 }), { cpuCores: 2.5 })
    expect(refusals).toEqual([{ node: 'n1', check: 'cpu', figures: { neededCores: 2.5, freeCores: 2 } }])
  })

  test('a label that it does not have; the operator’s label wins over the agent’s', () => {
    const wanted = { attribute: 'node.labels.disk', operator: '==', value: 'ssd' } as const
    const spec = { placement: { constraints: [wanted] } }
    const node = aNode({ agentLabels: { disk: 'ssd' }, operatorLabels: { disk: 'hdd' } })
    expect(refusalFor(node, spec)).toEqual([{ node: 'n1', check: 'constraint', figures: { ...wanted, has: 'hdd' } }])
    expect(refusalFor(aNode({ agentLabels: { disk: 'ssd' } }), spec)).toEqual([])
  })

  test('a platform other than the spec’s; an Engine’s x86_64 is an image’s amd64', () => {
    const spec = { container: { platform: 'linux/amd64' } }
    expect(refusalFor(aNode({ inventory: anInventory({ arch: 'x86_64' }) }), spec)).toEqual([])
    const refusals = refusalFor(aNode({ inventory: anInventory({ arch: 'aarch64' }) }), spec)
    expect(refusals).toMatchObject([{ check: 'platform', figures: { wanted: 'linux/amd64', has: 'linux/aarch64' } }])
  })

  test('a host port that another task holds, unless on another address or protocol, or that task has ended', () => {
    const holder = aService({ shortName: 'old', spec: { ports: [aPort(80, { hostIp: '10.0.0.1' })] } })
    const ask = (port: ReturnType<typeof aPort>, state: Task['observed']['state'] = 'running') => {
      const service = aService({ spec: { ports: [port] } })
      const tasks = [aTask({ service: holder.name, desired: 'stopped', state })]
      const picture = pictureOf(aWorld({ nodes: [aNode()], services: [holder, service], tasks }))
      return schedule(requestsFor(service, 1, 9), picture).held.flatMap((request) => refusalsOf(request, picture))
    }
    const figures = { port: 80, protocol: 'tcp', heldBy: 'shop_old.1.a' }
    expect(ask(aPort(80))).toEqual([{ node: 'n1', check: 'host-port', figures }])
    expect(ask(aPort(80, { hostIp: '10.0.0.2' }))).toEqual([])
    expect(ask(aPort(80, { protocol: 'udp' }))).toEqual([])
    expect(ask(aPort(81))).toEqual([])
    expect(ask(aPort(80), 'failed')).toEqual([])
  })

  test('as many tasks of the service as one node may have', () => {
    const refusals = refusalFor(aNode(), { placement: { maxPerNode: 1 } }, [aTask()])
    expect(refusals).toEqual([{ node: 'n1', check: 'max-per-node', figures: { max: 1, has: 1 } }])
  })

  test('the slot’s data lives elsewhere', () => {
    const service = aService({ spec: { volumes: ['data'] }, homes: new Map([[9, 'n7']]) })
    const refusals = refusalFor(aNode(), {}, [], service)
    expect(refusals).toEqual([{ node: 'n1', check: 'volume', figures: { home: 'n7' } }])
  })

  test('no node at all', () => {
    const service = aService()
    const [request] = requestsFor(service, 1)
    expect(refusalsOf(request!, pictureOf(aWorld({ services: [service] })))).toEqual([
      { node: null, check: 'no-nodes', figures: { nodes: 0 } },
    ])
  })
})

describe('among fitting nodes', () => {
  test('the one with the fewest tasks of the service is taken, before all else', () => {
    const tasks = [aTask({ id: 'a', node: 'n1' })]
    expect(placesOf({ nodes: nodes(2), tasks, count: 3 })).toEqual(['n2', 'n1', 'n2'])
  })

  test('then the one with the smaller promise', () => {
    const other = aService({ shortName: 'db', spec: { memoryBytes: 4 * GiB } })
    const service = aService()
    const tasks = [aTask({ service: other.name, node: 'n1' })]
    const picture = pictureOf(aWorld({ nodes: nodes(2), services: [other, service], tasks }))
    expect(schedule(requestsFor(service, 1), picture).placements[0]?.node).toBe('n2')
  })

  test('values of a spread label are evened out before nodes are', () => {
    const zones = [aNode({ name: 'a1', agentLabels: { zone: 'a' } })]
    for (const name of ['b1', 'b2', 'b3']) zones.push(aNode({ name, agentLabels: { zone: 'b' } }))
    const spec = { placement: { spreadOver: ['node.labels.zone'] } }
    expect(placesOf({ nodes: zones, spec, count: 4 }).sort()).toEqual(['a1', 'a1', 'b1', 'b2'])
  })

  test('a placement says how many were considered, which others fitted, who refused, and with which figures it won', () => {
    const service = aService({ spec: { memoryBytes: 2 * GiB } })
    const members = [...nodes(2), aNode({ name: 'n3', memoryBytes: GiB })]
    const [placed] = schedule(
      requestsFor(service, 1),
      pictureOf(aWorld({ nodes: members, services: [service] })),
    ).placements
    expect(placed?.why).toEqual({
      policy: 'spread',
      considered: 3,
      fitting: 2,
      score: { tasksOfService: 0, cpuShareAfter: 0.025, memoryShareAfter: 0.25 },
      others: [{ node: 'n2', score: { tasksOfService: 0, cpuShareAfter: 0.025, memoryShareAfter: 0.25 } }],
      refused: [{ node: 'n3', check: 'memory', figures: { neededBytes: 2 * GiB, freeBytes: GiB } }],
    })
  })

  test('what counts before the policy is told with its figures, so that no worse score seems to have won', () => {
    const zoned = (name: string, zone: string) => aNode({ name, operatorLabels: { zone } })
    const spec = { placement: { spreadOver: ['node.labels.zone'] } }
    const service = aService({ spec })
    const taken = (id: string, node: string) => aTask({ id, service: service.name, node })
    const world = aWorld({
      nodes: [zoned('a1', 'a'), zoned('a2', 'a'), zoned('b1', 'b')],
      services: [service],
      tasks: [taken('x', 'a1'), taken('y', 'a1'), taken('z', 'b1')],
    })
    const [placed] = schedule(requestsFor(service, 1), pictureOf(world)).placements
    expect([placed?.node, placed?.why.score]).toMatchObject([
      'b1',
      { 'tasksIn node.labels.zone': 1, tasksOfService: 1 },
    ])
    expect(placed?.why.others?.[0]).toMatchObject({
      node: 'a2',
      score: { 'tasksIn node.labels.zone': 2, tasksOfService: 0 },
    })
    const shy = aNode({ name: 'a2', taints: ['slow:prefer-no-schedule'] })
    const [there] = schedule(
      requestsFor(aService(), 1),
      pictureOf(aWorld({ nodes: [shy], services: [aService()] })),
    ).placements
    expect(there?.why.score).toMatchObject({ speaksAgainst: 1 })
  })

  test('of very many placements at once only the first name others, since that looks at every node again', () => {
    const service = aService()
    const picture = pictureOf(aWorld({ nodes: nodes(1_000), services: [service] }))
    const { placements } = schedule(requestsFor(service, 100), picture)
    expect(placements.filter(({ why }) => why.others !== undefined)).toHaveLength(20)
  })
})

test('ten times the nodes and tasks cost about ten times the steps, not a hundred', () => {
  const costOf = (count: number) => {
    const service = aService({ spec: { cpuCores: 0.1 } })
    const picture = pictureOf(aWorld({ nodes: nodes(count, { cpuCores: 4 }), services: [service] }))
    const { cost, placements } = schedule(requestsFor(service, 10 * count), picture)
    expect(placements).toHaveLength(10 * count)
    return cost.checks + cost.scores + cost.bounds + cost.comparisons
  }
  expect(costOf(1_000) / costOf(100)).toBeLessThan(20)
})

test('a batch gives each task the node that asking one by one would have given', () => {
  const service = aService({ spec: { cpuCores: 1 } })
  const members = [
    aNode({ name: 'n1', cpuCores: 3 }),
    aNode({ name: 'n2', cpuCores: 1 }),
    aNode({ name: 'n3', cpuCores: 8 }),
  ]
  const world = () => pictureOf(aWorld({ nodes: members, services: [service] }))
  const together = schedule(requestsFor(service, 11), world()).placements.map(({ node }) => node)
  const picture = world()
  const oneByOne = requestsFor(service, 11).map((request) => schedule([request], picture).placements[0]?.node)
  expect(together).toEqual(oneByOne)
})
