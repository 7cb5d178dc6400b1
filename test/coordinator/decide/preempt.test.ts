import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { refusalOf } from '../../../coordinator/decide/checks/all.ts'
import { pictureOf } from '../../../coordinator/decide/picture.ts'
import { type Cost, compareCosts } from '../../../coordinator/decide/preempt/cost.ts'
import { groundOf } from '../../../coordinator/decide/preempt/ground.ts'
import { finderOn, type Preemption, preemptionsFor } from '../../../coordinator/decide/preempt/preempt.ts'
import { priorityOf } from '../../../coordinator/decide/priority.ts'
import type { PlaceRequest } from '../../../coordinator/decide/requests.ts'
import type { Node, Service, Task, World } from '../../../coordinator/world.ts'
import { isWithinBudgets, lowerOn, subsets, withoutAll } from '../../build/preemption-rules.ts'
import { aPort, GiB, MiB, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, aService, aTask, aWorld, NOW, nodes } from '../../build/world.ts'

/** Services by name; tasks in short: service, node, and what matters of it. */
type Given = {
  nodes?: Node[]
  services: Record<string, ServiceSpecGiven>
  tasks: (Partial<Task> & { of: string })[]
  wants: string
  change?: (world: World) => void
}

function worldOf({ nodes: given, services, tasks, change }: Given): World {
  const world = aWorld({
    nodes: given ?? [aNode()],
    services: Object.entries(services).map(([shortName, spec]) => aService({ shortName, spec })),
    tasks: tasks.map(({ of, ...task }, index) =>
      aTask({ id: `${of}${index + 1}`, service: `shop_${of}`, slot: index + 1, ...task }),
    ),
  })
  change?.(world)
  return world
}

function requestFor(service: Service, slot = 100): PlaceRequest {
  const version = service.versions.get(1)!
  return { task: `${service.shortName}.new`, service, version, slot, onlyNode: null, waitsFor: [] }
}

function ask(given: Given): Preemption {
  const world = worldOf(given)
  return preemptionsFor(requestFor(world.services.get(`shop_${given.wants}`)!), groundOf(world, pictureOf(world), NOW))
}

function victimsOf(given: Given): string[] | string {
  const { option, ...no } = ask(given)
  return option ? option.victims.map(({ id }) => id).sort() : (no as { why: string }).why
}

const HIGH = { priority: 75, cpuCores: 2 }
const LOW = { priority: 25, cpuCores: 2 }
const two = (of: string, node = 'n1') => [
  { of, node },
  { of, node },
]

describe('who is stopped for whom', () => {
  test('the fewest: one large task rather than two small ones, though those are of less importance', () => {
    const services = { a: HIGH, big: { priority: 50, cpuCores: 2 }, small: { priority: 0, cpuCores: 1 } }
    expect(victimsOf({ services, tasks: [{ of: 'big' }, ...two('small')], wants: 'a' })).toEqual(['big1'])
  })

  test('of as many, those of the lowest priority', () => {
    const services = { a: HIGH, normal: { cpuCores: 2 }, low: LOW }
    expect(victimsOf({ services, tasks: [{ of: 'normal' }, { of: 'low' }], wants: 'a' })).toEqual(['low2'])
  })

  test('of equal ones, those of fewest services, and then those that lose least work', () => {
    const services = { a: { ...HIGH, cpuCores: 2 }, b: { ...LOW, cpuCores: 1 }, c: { ...LOW, cpuCores: 1 } }
    const up = (of: string, minutes: number) => ({ of, firstUpAt: NOW - minutes * 60_000 })
    const tasks = [up('b', 9), up('c', 1), up('b', 3), up('b', 5)]
    expect(victimsOf({ services, tasks, wants: 'a' })).toEqual(['b3', 'b4'])
  })

  test('those whose data is on the node only where nothing else helps', () => {
    const db = { ...LOW, volumes: ['data'] }
    const tasks = [{ of: 'db', slot: 1 }, ...two('small')]
    const change = (world: World) => world.services.get('shop_db')!.homes.set(1, 'n1')
    const small = { priority: 25, cpuCores: 1 }
    expect(victimsOf({ services: { a: HIGH, db, small }, tasks, wants: 'a', change })).toEqual(['small2', 'small3'])
    const alone = { services: { a: HIGH, db }, tasks: [{ of: 'db', slot: 1 }, { of: 'a' }], wants: 'a', change }
    expect(victimsOf(alone)).toEqual(['db1'])
  })

  test('on the node where that costs least', () => {
    const services = { a: HIGH, low: LOW, normal: { cpuCores: 2 } }
    const tasks = [...two('normal'), ...two('normal', 'n2'), { of: 'normal', node: 'n3' }, { of: 'low', node: 'n3' }]
    expect(ask({ nodes: nodes(3), services, tasks, wants: 'a' })).toMatchObject({
      option: { node: 'n3', victims: [{ id: 'low6' }] },
    })
  })

  test('whoever holds the host port that is asked for, and no more than that', () => {
    const services = { a: { priority: 75, ports: [aPort(80)] }, web: { priority: 50, ports: [aPort(80)] }, low: LOW }
    expect(victimsOf({ services, tasks: [{ of: 'web' }, { of: 'low' }], wants: 'a' })).toEqual(['web1'])
  })

  test('for memory, disk and countable things as for CPU', () => {
    const node = aNode({ inventory: { ...aNode().inventory!, diskBytes: 10 * GiB, generic: { gpu: 1 } } })
    const reservation = { cpuCores: 0, memoryBytes: 0, diskBytes: 6 * GiB, generic: { gpu: 1 } }
    const container = { resources: { reservation, limit: {} } }
    const services = {
      a: { priority: 75, container },
      b: { priority: 25, container },
      c: { priority: 25, memoryBytes: MiB },
    }
    expect(victimsOf({ nodes: [node], services, tasks: [{ of: 'c' }, { of: 'b' }], wants: 'a' })).toEqual(['b2'])
  })

  test('nobody where those that leave anyway leave room enough', () => {
    const tasks = [{ of: 'low', desired: 'stopped' as const }, { of: 'low' }]
    expect(victimsOf({ services: { a: HIGH, low: LOW }, tasks, wants: 'a' })).toEqual([])
  })

  test('nobody, for a task that a rebalance only moves: it runs elsewhere already', () => {
    const world = worldOf({ services: { api: HIGH, batch: LOW }, tasks: two('batch'), wants: 'api' })
    const request = { ...requestFor(world.services.get('shop_api')!), onlyNode: 'n1' }
    const ground = groundOf(world, pictureOf(world), NOW)
    expect(preemptionsFor(request, ground)).toEqual({ option: null, why: 'moved' })
    expect(finderOn(ground).find(request)).toEqual({ option: null, why: 'moved' })
  })
})

describe('who is never stopped', () => {
  test('a task of equal or higher priority', () => {
    const services = { a: HIGH, peer: HIGH, above: { priority: 100, cpuCores: 2 } }
    expect(victimsOf({ services, tasks: [{ of: 'peer' }, { of: 'above' }], wants: 'a' })).toBe('no-lower')
  })

  test('anybody, where all of them would not make room enough', () => {
    const services = { a: { priority: 75, cpuCores: 4 }, low: LOW, peer: HIGH }
    expect(victimsOf({ services, tasks: [{ of: 'low' }, { of: 'peer' }], wants: 'a' })).toBe('too-little')
  })

  test('more of a service than it can spare, those that stop for others or wait in their place included', () => {
    const low = { ...LOW, preemption: { tasksMax: 1 } }
    const services = { a: { priority: 75, cpuCores: 4 }, high: HIGH, low }
    expect(victimsOf({ services, tasks: two('low'), wants: 'a' })).toBe('budget')
    expect(victimsOf({ services, tasks: two('low'), wants: 'high' })).toEqual(['low1'])
    const preempted = {
      task: 'x',
      by: 'y',
      priority: 25,
      byPriority: 75,
      lacked: { node: 'n1', check: 'cpu', figures: {} },
    } as const
    const waiting = { of: 'low', node: null, preempted }
    expect(victimsOf({ services, tasks: [...two('low'), waiting], wants: 'high' })).toBe('budget')
    const upAgain = { of: 'low', node: 'n2', preempted }
    const given = { nodes: nodes(2, { cpuCores: 4 }), services, wants: 'high' }
    expect(victimsOf({ ...given, tasks: [...two('low'), ...two('high', 'n2'), upAgain] })).toEqual(['low1'])
  })

  test('a task of a global service', () => {
    const services = { a: HIGH, agent: { ...LOW, global: true } }
    expect(victimsOf({ services, tasks: two('agent'), wants: 'a' })).toBe('no-lower')
  })

  test('anybody on a node that is not the place for other reasons', () => {
    const a = {
      ...HIGH,
      placement: { constraints: [{ attribute: 'node.labels.disk', operator: '==' as const, value: 'ssd' }] },
    }
    expect(victimsOf({ services: { a, low: LOW }, tasks: two('low'), wants: 'a' })).toBe('no-lower')
  })

  test('anybody while preemption is off, or while nodes have not been heard since the coordinator started', () => {
    const given = { services: { a: HIGH, low: LOW }, tasks: two('low'), wants: 'a' }
    expect(victimsOf({ ...given, change: (world) => (world.settings.preemption = false) })).toBe('off')
    const unheard = [aNode(), aNode({ name: 'n2', connection: null })]
    expect(victimsOf({ ...given, nodes: unheard })).toBe('unheard')
  })
})

// ---------------------------------------------------------------- against everything tried

const aNodeFull = fc.record({
  priority: fc.constantFrom(60, 75),
  cpuCores: fc.integer({ min: 0, max: 6 }),
  memoryBytes: fc.integer({ min: 0, max: 6 }),
  port: fc.boolean(),
  services: fc.array(
    fc.record({
      priority: fc.constantFrom(0, 25, 50, 75),
      cpuCores: fc.integer({ min: 0, max: 3 }),
      memoryBytes: fc.integer({ min: 0, max: 3 }),
      port: fc.boolean(),
      home: fc.boolean(),
      tasksMax: fc.constantFrom(undefined, undefined, 0, 1, 2),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  tasks: fc.array(fc.record({ of: fc.nat(), minutes: fc.integer({ min: 0, max: 9 }), leaves: fc.boolean() }), {
    maxLength: 9,
  }),
})

test('on one node the best set there is, as trying all of them finds it', () => {
  fc.assert(
    fc.property(aNodeFull, (given) => {
      const { world, request } = oneFullNode(given)
      fc.pre(refusalOf(request, pictureOf(world).get('n1')!) !== null)
      const ground = groundOf(world, pictureOf(world), NOW)
      const { option } = preemptionsFor(request, ground)
      const best = bestByTrying(world, request)
      expect(option?.cost ?? null).toEqual(best)
    }),
    { numRuns: 500 },
  )
})

function oneFullNode({ services, tasks, ...wants }: NodeGiven) {
  const ports = (port: boolean) => (port ? [aPort(80)] : [])
  const node = aNode({ cpuCores: 6, memoryBytes: 6 })
  const built = services.map(({ port, home, tasksMax, ...spec }, index) =>
    aService({
      shortName: `s${index}`,
      spec: {
        ...spec,
        ports: ports(port),
        ...(home && { volumes: ['data'] }),
        ...(tasksMax !== undefined && { preemption: { tasksMax } }),
      },
    }),
  )
  const { port, ...spec } = wants
  const high = aService({ shortName: 'high', spec: { ...spec, ports: ports(port) } })
  const world = aWorld({ nodes: [node], services: [...built, high], tasks: [] })
  for (const [index, { of, minutes, leaves }] of tasks.entries()) {
    const service = built[of % built.length]!
    const task = aTask({ id: `t${index}`, service: service.name, slot: index + 1, firstUpAt: NOW - minutes * 60_000 })
    if (leaves) task.desired = 'stopped'
    service.homes.set(index + 1, 'n1')
    // Only what fits is there, as on any node.
    const found = refusalOf({ ...requestFor(service, index + 1) }, pictureOf(world).get('n1')!)
    if (found === null) addTask(world, task)
  }
  return { world, request: requestFor(high) }
}

type NodeGiven = typeof aNodeFull extends fc.Arbitrary<infer Value> ? Value : never

function addTask(world: World, task: Task): void {
  world.tasks.set(task.id, task)
  for (const [index, key] of [
    [world.tasksByService, task.service],
    [world.tasksByNode, task.node!],
  ] as const) {
    index.set(key, (index.get(key) ?? new Set()).add(task))
  }
  if (task.desired === 'stopped') world.tasksStopping.add(task)
}

function bestByTrying(world: World, request: PlaceRequest): Cost | null {
  const leaving = [...world.tasksStopping]
  const later = withoutAll(world, pictureOf(world).get('n1')!, leaving)
  let best: Cost | null = null
  for (const victims of subsets(lowerOn(world, 'n1', priorityOf(request.service)))) {
    if (!isWithinBudgets(world, victims)) continue
    if (refusalOf(request, withoutAll(world, later, victims)) !== null) continue
    const cost = costOf(world, victims)
    if (best === null || compareCosts(cost, best) < 0) best = cost
  }
  return best
}

function costOf(world: World, victims: Task[]): Cost {
  const priorities = victims.map(({ service }) => priorityOf(world.services.get(service)!))
  const isHome = ({ service, version }: Task) =>
    world.services.get(service)!.versions.get(version)!.spec.task.container.mounts.length > 0
  return [
    victims.filter(isHome).length,
    victims.length,
    Math.max(-1, ...priorities),
    priorities.reduce((sum, priority) => sum + priority, 0),
    new Set(victims.map(({ service }) => service)).size,
    victims.reduce((sum, { firstUpAt }) => sum + NOW - firstUpAt!, 0),
  ]
}

// ---------------------------------------------------------------- at fleet size

describe('on 5,000 nodes with 200 tasks each', () => {
  const NODES = 5_000
  const TASKS = 200
  const services = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`s${index}`, { priority: index, cpuCores: 0.5 }]),
  )
  const world = worldOf({
    nodes: nodes(NODES, { cpuCores: 100 }),
    services: { ...services, a: { priority: 75, cpuCores: 2 }, huge: { priority: 75, cpuCores: 101 } },
    tasks: Array.from({ length: NODES * TASKS }, (_, index) => ({
      of: `s${index % 20}`,
      node: `n${Math.floor(index / TASKS) + 1}`,
      firstUpAt: NOW - (index % 977) * 1000,
    })),
    wants: 'a',
  })

  test('a hundred requests of one version look at each task at most once, and after the first at little more than one node each', () => {
    const ground = groundOf(world, pictureOf(world), NOW)
    const finder = finderOn(ground)
    const request = requestFor(world.services.get('shop_a')!)
    const found = (count: number) => {
      for (let index = 0; index < count; index += 1) {
        const { option } = finder.find(request)
        expect(option?.victims).toHaveLength(4)
        finder.take(request, option!)
      }
      return { ...ground.cost }
    }
    const first = found(1)
    expect(first.tasks).toBeLessThanOrEqual(NODES * TASKS)
    expect(first.services).toBeLessThanOrEqual(NODES * 20)
    expect(first.steps / NODES).toBeLessThan(1_000)
    const further = found(99)
    expect(further.tasks - first.tasks).toBeLessThanOrEqual(99 * TASKS * 2)
    expect(further.services - first.services).toBeLessThanOrEqual(99 * 20 * 2)
    expect(further.nodes - first.nodes).toBeLessThanOrEqual(99 * 2)
  })

  test('where nothing would help no task is looked at', () => {
    const ground = groundOf(world, pictureOf(world), NOW)
    expect(preemptionsFor(requestFor(world.services.get('shop_huge')!), ground)).toEqual({
      option: null,
      why: 'too-little',
    })
    expect(ground.cost.tasks).toBe(0)
  })
})
