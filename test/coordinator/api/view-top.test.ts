import { expect, test } from 'vitest'
import { viewTop } from '../../../coordinator/api/view-top.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

test('a task that ends too soon to be measured is among those that are sorted by restarts', () => {
  const measured = aTask({ id: 't1', service: 'shop_web', slot: 1, node: 'n1' })
  const crashing = aTask({ id: 't2', service: 'shop_web', slot: 2, node: 'n1', state: 'restarting' })
  crashing.observed.attempt = 8
  const node = aNode({ name: 'n1' })
  node.containerLoads.set('t1', { task: 't1', cpuCoresUsed: 0.5, memoryBytesUsed: 64 })
  const world = aWorld({ nodes: [node], services: [aService({ name: 'shop_web' })], tasks: [measured, crashing] })
  const rows = (query: object) =>
    viewTop(world, query, NOW).rows.map(({ name, cpuCoresUsed, restarts }) => [name, cpuCoresUsed, restarts])
  expect(rows({ sort: 'restarts' })).toEqual([
    ['shop_web.2', 0, 7],
    ['shop_web.1', 0.5, 0],
  ])
  expect(rows({ sort: 'cpu', stack: 'shop', service: 'shop_web' }).map(([name]) => name)).toEqual([
    'shop_web.1',
    'shop_web.2',
  ])
  expect(rows({ stack: 'other' })).toEqual([])
})
