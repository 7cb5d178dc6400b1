import { expect, test } from 'vitest'
import { sampleNode } from '../../../coordinator/metrics-store/sampler.ts'
import type { SubjectFacts } from '../../../coordinator/metrics-store/subjects.ts'
import { aCluster, change, crash, heartbeat, run, running } from '../../build/cluster.ts'
import { aStackSpec } from '../../build/spec.ts'

type Taken = { facts: SubjectFacts; second: number; values: Record<string, number> }

function sampled(cluster: ReturnType<typeof aCluster>, now: number): Taken[] {
  const taken: Taken[] = []
  const append = (facts: SubjectFacts, second: number, values: Iterable<[string, number]>) => {
    taken.push({ facts, second, values: Object.fromEntries(values) })
  }
  const node = cluster.world.nodes.get('n1')!
  sampleNode({ append, takes: () => true }, cluster.world, node, now, 2_500)
  return taken
}

test('a node that was just heard gives a point of all that its host measures', () => {
  const cluster = aCluster(['n1'])
  run(cluster, 2_000)
  heartbeat(cluster, 'n1')
  const { heard, load } = cluster.world.nodes.get('n1')!
  const [host] = sampled(cluster, heard.lastBeatAt + 900)
  expect(host).toMatchObject({
    facts: { kind: 'node', node: 'n1' },
    second: Math.floor((heard.lastBeatAt + 900) / 1000),
    values: { cpu: load?.cpuCoresUsed, memory: load?.memoryBytesUsed, load: load?.loadAverage1m },
  })
})

test('a node that was not heard for some heartbeats gives none: nobody knows what it does', () => {
  const cluster = aCluster(['n1'])
  run(cluster, 2_000)
  heartbeat(cluster, 'n1')
  expect(sampled(cluster, cluster.world.nodes.get('n1')!.heard.lastBeatAt + 2_501)).toEqual([])
})

test('a task that ends too soon to be measured has a point of its restarts', () => {
  const cluster = aCluster(['n1'])
  run(cluster, 2_000)
  change(cluster, { kind: 'deploy-stack', spec: aStackSpec('shop', { web: {} }), prune: true })
  run(cluster, 5_000)
  const [task] = running(cluster, 'shop_web')
  crash(cluster, 'n1', task!.id)
  heartbeat(cluster, 'n1')
  const node = cluster.world.nodes.get('n1')!
  node.containerLoads.clear()
  task!.observed.attempt = 4
  expect(sampled(cluster, node.heard.lastBeatAt).at(-1)).toMatchObject({
    facts: { kind: 'task', id: task!.id, name: 'shop_web.1', service: 'shop_web', stack: 'shop', node: 'n1' },
    values: { restarts: 3 },
  })
})
