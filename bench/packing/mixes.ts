/** Large mixes of services, from one seed: as they are reserved in practice, most small, few large, in no fixed proportion of CPU to memory. */
import { decreasing } from '../../coordinator/decide/packing/greedy.ts'
import { greedyLooks } from '../../coordinator/decide/packing/pack.ts'
import type { Looks, Packing, Problem } from '../../coordinator/decide/packing/problem.ts'
import { planTogether } from '../../coordinator/decide/packing/together.ts'
import { pictureOf } from '../../coordinator/decide/picture.ts'
import type { PlaceRequest } from '../../coordinator/decide/requests.ts'
import { schedule } from '../../coordinator/decide/schedule.ts'
import { diceFrom } from '../../test/build/chance.ts'
import { GiB, MiB } from '../../test/build/spec.ts'
import { aService, aWorld, nodes } from '../../test/build/world.ts'

const ROOM = { cpuCores: 16, memoryBytes: 64 * GiB }

export type Mix = { requests: PlaceRequest[]; least: number }

/** In an order drawn by lot. */
export function mixOf(tasks: number, services: number, seed: number): Mix {
  const dice = diceFrom(seed)
  const kinds = Array.from({ length: services }, (_, number) => {
    const cpuCores = dice.of([0.1, 0.25, 0.5, 0.5, 1, 1, 2, 4])
    const memoryBytes = Math.round(cpuCores * dice.of([1, 2, 4, 4, 8]) * 1024 * (0.75 + 0.5 * dice.share())) * MiB
    const spec = { cpuCores, memoryBytes, placement: { policy: 'binpack' as const } }
    return aService({ stack: 'mix', shortName: `s${number}`, spec })
  })
  const drawn = Array.from({ length: tasks }, (_, index): PlaceRequest => {
    const service = dice.of(kinds)
    const task = `${service.name}.${index + 1}.a`
    return { task, service, version: service.versions.get(1)!, slot: index + 1, onlyNode: null, waitsFor: [] }
  })
  return { requests: drawn, least: Math.max(leastBy(drawn, 'cpuCores'), leastBy(drawn, 'memoryBytes')) }
}

/**
 * What no packing gets below, by one resource: those larger than a half need a node each, and what the others, down to some size, do not
 * find room for beside them needs more (the bound L2 of Martello and Toth, "Lower bounds and reduction procedures for the bin packing
 * problem", 1990).
 */
function leastBy(requests: readonly PlaceRequest[], of: 'cpuCores' | 'memoryBytes'): number {
  const sizes = requests.map(({ version }) => version.spec.task.container.resources.reservation[of] / ROOM[of])
  const bounds = [0, ...new Set(sizes.filter((size) => size <= 0.5))].map((smallest) => {
    const alone = sizes.filter((size) => size > 1 - smallest).length
    const large = sizes.filter((size) => size > 0.5 && size <= 1 - smallest)
    const others = sizes.filter((size) => size >= smallest && size <= 0.5)
    const left = sum(others) - (large.length - sum(large))
    return alone + large.length + Math.max(0, Math.ceil(left - 1e-9))
  })
  return Math.max(...bounds)
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0)

const pictureFor = ({ least }: Mix) => pictureOf(aWorld({ nodes: nodes(2 * least + 10, ROOM) }))

/** How many nodes are begun when all come at once. */
export function placedTogether(mix: Mix): number {
  const picture = pictureFor(mix)
  const { placements } = schedule(mix.requests, picture, 'binpack', planTogether(mix.requests, picture, 'binpack'))
  return begunBy(placements, mix)
}

/** How many nodes are begun when each is placed for good before the next comes. */
export function placedOneByOne(mix: Mix): number {
  return begunBy(schedule(mix.requests, pictureFor(mix), 'binpack').placements, mix)
}

export type Heuristic = (problem: Problem, order: Int32Array, looks: Looks) => Packing | null
export type Order = 'largest first' | 'as they come'

/** How many nodes a plain heuristic begins. */
export function placedBy({ requests, least }: Mix, heuristic: Heuristic, by: Order): number {
  const sizes = requests.map(({ version }) => version.spec.task.container.resources.reservation)
  const problem: Problem = {
    cpu: Float64Array.from(sizes, ({ cpuCores }) => cpuCores / ROOM.cpuCores),
    memory: Float64Array.from(sizes, ({ memoryBytes }) => memoryBytes / ROOM.memoryBytes),
    cpuFree: new Float64Array(2 * least + 10).fill(1),
    memoryFree: new Float64Array(2 * least + 10).fill(1),
    begun: 0,
  }
  const order =
    by === 'largest first' ? decreasing(problem, (cpu, memory) => cpu + memory) : Int32Array.from(requests.keys())
  return heuristic(problem, order, greedyLooks())!.newly
}

function begunBy(placements: readonly { node: string }[], { requests }: Mix): number {
  if (placements.length !== requests.length)
    throw new Error(`only ${placements.length} of ${requests.length} were placed`)
  return new Set(placements.map(({ node }) => node)).size
}
