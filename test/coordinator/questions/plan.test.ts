import { expect, test } from 'vitest'
import { changesNothing, planOf } from '../../../coordinator/questions/plan.ts'
import { aCluster, beat, change, run } from '../../build/cluster.ts'
import { aStackSpec } from '../../build/spec.ts'

test('a rollout that is under way comes about without another deployment of the same file, and is none of its plan', () => {
  const cluster = aCluster(['n1', 'n2'])
  const of = (image: string) => aStackSpec('shop', { web: { image, replicas: 4 }, db: { image: 'example/db:1' } })
  change(cluster, { kind: 'deploy-stack', spec: of('example/web:1'), prune: true })
  run(cluster, 30_000)
  change(cluster, { kind: 'deploy-stack', spec: of('example/web:2'), prune: true })
  beat(cluster)
  const again = planOf(cluster.world, of('example/web:2'), true, cluster.now)
  expect(again.services.map(({ change, changes }) => [change, changes])).toEqual([
    ['unchanged', []],
    ['unchanged', []],
  ])
  expect(changesNothing(again)).toBe(true)
  const other = planOf(cluster.world, of('example/web:3'), true, cluster.now)
  expect(other.services.map(({ service, change, changes }) => [service, change, changes.length])).toEqual([
    ['shop_db', 'unchanged', 0],
    ['shop_web', 'changed', 4],
  ])
  expect(changesNothing(other)).toBe(false)
})
