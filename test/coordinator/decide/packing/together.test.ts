import { describe, expect, test } from 'vitest'
import { refusalOf } from '../../../../coordinator/decide/checks/all.ts'
import { greedyLooks } from '../../../../coordinator/decide/packing/pack.ts'
import { planTogether } from '../../../../coordinator/decide/packing/together.ts'
import { hold, pictureOf } from '../../../../coordinator/decide/picture.ts'
import type { PlaceRequest } from '../../../../coordinator/decide/requests.ts'
import { schedule } from '../../../../coordinator/decide/schedule.ts'
import { aCluster, change, run, running } from '../../../build/cluster.ts'
import { aStackSpec, GiB, type ServiceSpecGiven } from '../../../build/spec.ts'
import { aService, aWorld, nodes } from '../../../build/world.ts'
import { pictureOfCase, randomCase } from '../placement/random-picture.ts'

function requestsFor(shortName: string, count: number, spec: ServiceSpecGiven): PlaceRequest[] {
  const service = aService({ shortName, spec: { memoryBytes: GiB, ...spec } })
  const version = service.versions.get(1)!
  return Array.from({ length: count }, (_, index) => ({
    task: `${shortName}.${index + 1}`,
    service,
    version,
    slot: index + 1,
    onlyNode: null,
    waitsFor: [],
  }))
}

/** Of four cores each. One by one, in this order, the small ones would fill two nodes and the large ones begin four more. */
const small = requestsFor('small', 8, { cpuCores: 1 })
const large = requestsFor('large', 4, { cpuCores: 2 })
const pictureOfNodes = (count: number) => pictureOf(aWorld({ nodes: nodes(count) }))
const three = requestsFor('three', 4, { cpuCores: 3 })

function placedOn(requests: PlaceRequest[], count: number) {
  const picture = pictureOfNodes(count)
  return schedule(requests, picture, 'binpack', planTogether(requests, picture, 'binpack'))
}

const nodesOf = (made: ReturnType<typeof schedule>) => new Set(made.placements.map(({ node }) => node)).size

describe('tasks that wait together', () => {
  test('begin as few nodes as they can, whatever came first, and are told with how many they were packed', () => {
    const requests = [...requestsFor('one', 4, { cpuCores: 1 }), ...three]
    expect(nodesOf(schedule(requests, pictureOfNodes(8), 'binpack'))).toBe(5)
    const made = placedOn(requests, 8)
    expect(nodesOf(made)).toBe(4)
    for (const { why } of made.placements)
      expect(why).toMatchObject({ policy: 'binpack', score: { packedTogether: 8 } })
  })

  test('go the same way in whatever order they are asked for', () => {
    const requests = [...small, ...large]
    const places = (asked: PlaceRequest[]) => [...planTogether(asked, pictureOfNodes(8), 'binpack')!.nodes].sort()
    expect(places(requests.toReversed())).toEqual(places(requests))
  })

  test('go one by one, the first asked first, when not all of them fit', () => {
    const requests = [...small, ...large]
    expect(planTogether(requests, pictureOfNodes(3), 'binpack')).toBeNull()
    expect(placedOn(requests, 3).held.map(({ service }) => service.name)).toEqual(Array(2).fill(large[0]!.service.name))
  })

  test('one that fits on no node does not keep the others from it', () => {
    const requests = [...requestsFor('huge', 1, { cpuCores: 64 }), ...requestsFor('one', 4, { cpuCores: 1 }), ...three]
    const made = placedOn(requests, 8)
    expect(nodesOf(made)).toBe(4)
    expect(made.held.map(({ task }) => task)).toEqual(['huge.1'])
  })

  test.each<[string, PlaceRequest[]]>([
    ['another policy', requestsFor('other', 1, { cpuCores: 1, placement: { policy: 'spread' } })],
    ['a limit per node', requestsFor('other', 1, { cpuCores: 1, placement: { maxPerNode: 1 } })],
    ['something not reserved', requestsFor('other', 1, { cpuCores: 0 })],
    ['a node of its own', requestsFor('other', 1, { cpuCores: 1 }).map((one) => ({ ...one, onlyNode: 'n1' }))],
  ])('with %s among them they go one by one', (_, others) => {
    expect(planTogether([...small, ...large, ...others], pictureOfNodes(9), 'binpack')).toBeNull()
  })
})

describe('where room is short', () => {
  const sizes = [1, 1.5, 2, 3, 4].map((cpuCores, at) => ({ cpuCores, shortName: `waits${at}` }))
  const waiting = (each: number) =>
    sizes.flatMap(({ cpuCores, shortName }) => requestsFor(shortName, each, { cpuCores, memoryBytes: 2 ** 20 }))
  /** Of 50 nodes of four cores; `freed` of them have nothing on them. */
  function looksOf(each: number, freed: number): number {
    const picture = pictureOfNodes(50)
    const filler = requestsFor('filler', 50 - freed, { cpuCores: 3.5 })
    for (const [at, seen] of [...picture.values()].slice(freed).entries())
      hold(seen, filler[at]!.task, filler[at]!.service.name, filler[at]!.version)
    const looks = greedyLooks()
    expect(planTogether(waiting(each), picture, 'binpack', looks)).toBeNull()
    return looks.count
  }

  test('those that wait are not planned again while no node has room for them, however many they are', () => {
    expect(looksOf(400, 0)).toBe(sizes.length * 50)
    expect(looksOf(4_000, 0)).toBe(sizes.length * 50)
  })

  test('room for a few of them is no reason to look for room for all', () => {
    expect(looksOf(400, 1)).toBeLessThanOrEqual((sizes.length + 1) * 50)
    expect(looksOf(4_000, 1)).toBeLessThanOrEqual((sizes.length + 1) * 50)
  })

  test('they are planned again as soon as there is room for all', () => {
    const plan = planTogether(waiting(4), pictureOfNodes(50), 'binpack')
    expect(plan?.nodes.size).toBe(20)
  })
})

test('on random nodes no planned task goes where a check refuses it, and none is held that would have a place one by one', () => {
  let planned = 0
  for (let seed = 1; seed <= 600; seed++) {
    const given = randomCase(seed, { nodesMax: 12, requestsMax: 20 })
    const requests = given.requests.map((request, at) => plain(request, at))
    const picture = pictureOfCase(given)
    const plan = planTogether(requests, picture, 'binpack')
    if (!plan) continue
    planned += 1
    const checked = pictureOfCase(given)
    const made = schedule(requests, picture, 'binpack', plan)
    for (const { task, node } of made.placements) {
      const request = requests.find((one) => one.task === task)!
      expect(refusalOf(request, checked.get(node)!), `seed ${seed}, ${task}`).toBeNull()
      hold(checked.get(node)!, task, request.service.name, request.version)
    }
    const alone = schedule(requests, pictureOfCase(given), 'binpack')
    expect(made.placements.length, `seed ${seed}`).toBeGreaterThanOrEqual(alone.placements.length)
  }
  expect(planned).toBeGreaterThan(50)
})

/** As it is asked for, but of one of few sizes and with nothing special about it: most random ones have. */
function plain(request: PlaceRequest, at: number): PlaceRequest {
  const [same] = requestsFor(`plain${at % 4}`, 1, {
    cpuCores: 0.25 + (at % 4) / 4,
    memoryBytes: (1 + (at % 3)) * 2 ** 28,
  })
  return { ...same!, task: request.task }
}

test('a deployment whose small service comes first is packed by the control loop', () => {
  const cluster = aCluster(['n1', 'n2', 'n3', 'n4', 'n5', 'n6'])
  const placement = { policy: 'binpack' as const }
  const one = { cpuCores: 1, memoryBytes: GiB, replicas: 4, placement }
  const spec = aStackSpec('s', { a: one, b: { ...one, cpuCores: 3 } })
  change(cluster, { kind: 'deploy-stack', spec, prune: false })
  run(cluster, 10_000)
  const tasks = [...running(cluster, 's_a'), ...running(cluster, 's_b')]
  expect(tasks).toHaveLength(8)
  expect(new Set(tasks.map(({ node }) => node)).size).toBe(4)
})
