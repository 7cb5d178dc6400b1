/**
 * Placements per second on one core. `engine`: from requests to the node of each, nothing else. `decide()`: the whole of
 * deciding, from services that want tasks to decisions as objects with their reasons. Beside them the limit: what an exact
 * scan in plain JavaScript of as many nodes × two resources allows.
 */
import { decide } from '../coordinator/decide/decide.ts'
import { newMarks } from '../coordinator/decide/marks.ts'
import { pictureOf } from '../coordinator/decide/picture.ts'
import { Engine } from '../coordinator/decide/placement/engine.ts'
import type { PlaceRequest } from '../coordinator/decide/requests.ts'
import { defaultSettings } from '../coordinator/decide/settings.ts'
import { rebuildIndexes } from '../coordinator/store/indexes.ts'
import type { World } from '../coordinator/world.ts'
import { POLICY_NAMES, type PolicyName } from '../shared/spec.ts'
import { NOW } from '../test/build/world.ts'
import { allocatedPerPlacement } from './placement/allocation.ts'
import { clusterOf, requestsAlike, requestsDiffering } from './placement/cluster.ts'
import { scansPerSecond } from './placement/scan.ts'
import { type Bench, median } from './report.ts'

const NODES = 5_000
const ROUNDS = 5

export const bench: Bench = {
  about: `placements per second on ${NODES} nodes: alike, differing, twice the nodes, through decide(), and what is allocated`,
  async run({ report, say }) {
    const world = clusterOf(NODES)
    const twice = clusterOf(2 * NODES)
    const scan = scansPerSecond(NODES)
    const alike = (policy: PolicyName) => requestsAlike(10, 20_000, policy)
    const differing = (policy: PolicyName) => requestsDiffering(50_000, policy)

    const alikeHere = rate(world, alike('spread'))
    report({
      metric: 'engine, batches of one spec, spread',
      value: alikeHere,
      unit: 'per second',
      beside: { 'exact scan': scan },
      goal: { atLeast: 1_000_000 },
    })
    const differingHere = rate(world, differing('spread'))
    report({
      metric: 'engine, every task differs, spread',
      value: differingHere,
      unit: 'per second',
      beside: { 'exact scan': scan },
      goal: { atLeast: 200_000 },
    })
    say(`the same on ${2 * NODES} nodes`)
    for (const [name, here, requests] of [
      ['batches', alikeHere, alike('spread')],
      ['differing', differingHere, differing('spread')],
    ] as const) {
      const there = rate(twice, requests)
      report({ metric: `${name}: cost of twice the nodes`, value: here / there, unit: 'ratio', goal: { atMost: 2.2 } })
    }
    for (const policy of POLICY_NAMES.filter((name) => name !== 'spread')) {
      report({
        metric: `engine, batches of one spec, ${policy}`,
        value: rate(world, alike(policy)),
        unit: 'per second',
      })
      report({
        metric: `engine, every task differs, ${policy}`,
        value: rate(world, differing(policy)),
        unit: 'per second',
      })
    }
    report({
      metric: 'decide(), batches of one spec, spread',
      value: decideRate(alike('spread')),
      unit: 'per second',
      beside: { engine: alikeHere },
    })
    report({
      metric: 'decide(), every task differs, spread',
      value: decideRate(differing('spread')),
      unit: 'per second',
      beside: { engine: differingHere },
    })
    for (const [name, requests] of [
      ['batches', requestsAlike(2, 3_000, 'spread')],
      ['differing', requestsDiffering(3_000, 'spread')],
    ] as const) {
      const bytes = allocatedPerPlacement(world, requests)
      const there = allocatedPerPlacement(twice, requests)
      report({
        metric: `${name}: bytes allocated per placement`,
        value: bytes,
        unit: 'count',
        beside: { 'with twice the nodes': there },
        // A byte per candidate would be thousands.
        goal: { atMost: 1_000 },
      })
    }
  },
}

/** The median of several rounds, each on a fresh picture; the first is not counted. */
function rate(world: World, requests: PlaceRequest[]): number {
  const rates: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const picture = pictureOf(world)
    const places = new Int32Array(requests.length)
    let placed = 0
    const began = performance.now()
    new Engine(picture, 'spread').place(requests, (_request, index) => {
      if (index !== -1) places[placed++] = index
    })
    const seconds = (performance.now() - began) / 1000
    if (placed !== requests.length) throw new Error(`only ${placed} of ${requests.length} tasks had room`)
    if (round > 0) rates.push(placed / seconds)
  }
  return median(rates)
}

function decideRate(requests: PlaceRequest[]): number {
  const rates: number[] = []
  for (let round = 0; round <= 3; round++) {
    const world = clusterOf(NODES)
    for (const { service } of requests) world.services.set(service.name, service)
    rebuildIndexes(world)
    const began = performance.now()
    const { decisions } = decide(world, { ...newMarks(), all: true }, NOW, defaultSettings(NOW - 3_600_000))
    const seconds = (performance.now() - began) / 1000
    const placed = decisions.filter(({ kind }) => kind === 'place-task').length
    if (placed !== requests.length) throw new Error(`only ${placed} of ${requests.length} tasks were placed`)
    if (round > 0) rates.push(placed / seconds)
  }
  return median(rates)
}
