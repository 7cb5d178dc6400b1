import { describe, expect, test } from 'vitest'
import { aCluster, beat, type Cluster } from '../../build/cluster.ts'
import { aService, aTask, aVersion, aWorld, NOW, versionMap } from '../../build/world.ts'

const WAITS = 'shop_web.1.waits'

/**
 * A rollout that stands still: version 1 may run so many times on a node, version 2 as often as it has room. Two tasks leave the only
 * node, and the room of one is promised to a task of version 1; another slot has nobody yet and is given to version 2.
 */
function stoodStill(maxPerNode: number): Cluster {
  const { world, ...cluster } = aCluster(['n1'])
  const old = aVersion(1, { replicas: 2, cpuCores: 1, placement: { maxPerNode } })
  const next = aVersion(2, { replicas: 2, cpuCores: 1, image: 'web:2' })
  const service = aService({
    version: 2,
    versions: versionMap(old, next),
    rollout: { state: 'paused', version: 2, from: 1, startedAt: NOW - 9_000, why: '1 of 1 failed', failures: [] },
    release: { version: 2, state: 'released' },
  })
  const leaving = ['a', 'b'].map((id) => aTask({ id: `shop_web.1.${id}`, desired: 'stopped' }))
  const nomination = { node: 'n1', at: NOW - 1_000, victims: [] }
  const tasks = [...leaving, aTask({ id: WAITS, slot: 1, node: null, nomination })]
  cluster.marks.services.add(service.name)
  return { ...cluster, world: aWorld({ nodes: [...world.nodes.values()], services: [service], tasks }) }
}

describe('a task of a version without a limit per node comes to where one of an older version is promised room', () => {
  test('what breaks the limit of that one takes its promise back in the same beat', () => {
    const cluster = stoodStill(1)
    const decisions = beat(cluster)
    expect(decisions).toContainEqual(expect.objectContaining({ kind: 'place-task', node: 'n1' }))
    expect(decisions).toContainEqual(expect.objectContaining({ task: WAITS, nomination: null }))
    const waits = cluster.world.tasks.get(WAITS)
    expect(waits?.nomination).toBeUndefined()
    expect(waits?.waitsFor).toMatchObject([{ check: 'max-per-node', figures: { max: 1, has: 3 } }])
  })

  test('what keeps it leaves the promise as it is', () => {
    const cluster = stoodStill(2)
    const decisions = beat(cluster)
    expect(decisions).toContainEqual(expect.objectContaining({ kind: 'place-task', node: 'n1' }))
    expect(cluster.world.tasks.get(WAITS)?.nomination).toMatchObject({ node: 'n1' })
  })
})
