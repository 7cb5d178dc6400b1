import { expect, test } from 'vitest'
import { Blocks } from '../../../../coordinator/decide/placement/blocks.ts'
import { Nodes } from '../../../../coordinator/decide/placement/nodes.ts'
import { POLICIES } from '../../../../coordinator/decide/policies/all.ts'
import { schedule } from '../../../../coordinator/decide/schedule.ts'
import { diceFrom } from '../../../build/chance.ts'
import { pictureOfCase, type RandomCase, randomCase } from './random-picture.ts'
import { type Place, placeByReference } from './reference.ts'

function placeByEngine(given: RandomCase): Place[] {
  const { placements, held } = schedule(given.requests, pictureOfCase(given), given.policy)
  return [
    ...placements.map(({ task, node, why }) => ({ task, node, fitting: why.fitting })),
    ...held.map(({ task }) => ({ task, node: null, fitting: 0 })),
  ]
}

const byTask = (a: Place, b: Place) => (a.task < b.task ? -1 : 1)

test('every task gets the node that looking at all nodes gives, by every policy, however many ask alike', () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const given = randomCase(seed, { nodesMax: 12, requestsMax: 60 })
    const expected = placeByReference(given.requests, pictureOfCase(given), given.policy)
    expect(placeByEngine(given).sort(byTask), `seed ${seed}`).toEqual(expected.sort(byTask))
  }
})

test('also with more nodes than a block holds', () => {
  for (let seed = 1; seed <= 15; seed++) {
    const given = randomCase(seed, { nodesMax: 150, requestsMax: 150 })
    const expected = placeByReference(given.requests, pictureOfCase(given), given.policy)
    expect(placeByEngine(given).sort(byTask), `seed ${seed}`).toEqual(expected.sort(byTask))
  }
})

/** Indexes of all nodes in the block, however deep. */
function nodesIn(blocks: Blocks, block: number): number[] {
  if (blocks.isOneNode(block)) return [blocks.firstIndex[block]!]
  const nodes: number[] = []
  for (let within = blocks.firstIn(block); within < blocks.endIn(block); within++)
    nodes.push(...nodesIn(blocks, within))
  return nodes
}

test('no node has a better score than the bounds of its blocks, by any policy, also once tasks were placed', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const given = randomCase(seed, { nodesMax: 100, requestsMax: 1 })
    const dice = diceFrom(seed)
    const [request] = given.requests
    const nodes = new Nodes(pictureOfCase(given))
    const need = nodes.seen[0]!.cluster.needOf(request!.service.name, request!.version)
    nodes.askFor(request!.service.name)
    for (const policy of Object.values(POLICIES)) {
      const all = Int32Array.from({ length: nodes.count }, (_, index) => index)
      const blocks = new Blocks(nodes, policy, all)
      for (let each = 0; each < 2 * nodes.count; each++) nodes.take(dice.below(nodes.count), need, need)
      const scores = new Float64Array(nodes.count)
      policy.scores(nodes.figures, all, 0, nodes.count, need, scores)
      blocks.catchUp()
      const bounds = new Float64Array(blocks.root + 1)
      policy.scores(blocks.bounds, blocks.all, 0, bounds.length, need, bounds)
      for (let block = 0; block <= blocks.root; block++) {
        for (const index of nodesIn(blocks, block)) {
          expect(scores[index], `seed ${seed}, ${policy.name}, node ${index}`).toBeGreaterThanOrEqual(bounds[block]!)
        }
      }
    }
  }
})
