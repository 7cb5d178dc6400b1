import { expect, test } from 'vitest'
import { Totals } from '../../../coordinator/metrics/totals.ts'
import { sampleNode, startSampler } from '../../../coordinator/metrics-store/sampler.ts'
import type { SubjectFacts } from '../../../coordinator/metrics-store/subjects.ts'
import { systemClock } from '../../../shared/clock.ts'
import { aCluster, change, crash, heartbeat, run, running } from '../../build/cluster.ts'
import { aStackSpec } from '../../build/spec.ts'

type Taken = { facts: SubjectFacts; second: number; values: Record<string, number> }

function sampled(cluster: ReturnType<typeof aCluster>, now: number, tasks: ReadonlySet<string> | null = null): Taken[] {
  const taken: Taken[] = []
  const append = (facts: SubjectFacts, second: number, values: Iterable<[string, number]>) => {
    taken.push({ facts, second, values: Object.fromEntries(values) })
  }
  const node = cluster.world.nodes.get('n1')!
  sampleNode({ append, tasksTaken: () => tasks }, cluster.world, node, now, 2_500)
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

test('of tasks that the store does not take nothing is put together', () => {
  const cluster = aLoadedCluster(3)
  const tasksOf = (taken: Taken[]) => taken.flatMap(({ facts }) => (facts.kind === 'task' ? [facts.id] : []))
  const [first, second, third] = tasksOf(sampled(cluster, cluster.now))
  expect(third).toBeDefined()
  expect(tasksOf(sampled(cluster, cluster.now, new Set([second!])))).toEqual([second])
  // More that have gone than there are now.
  const known = new Set([third!, first!, 'gone-1', 'gone-2', 'gone-3'])
  expect(tasksOf(sampled(cluster, cluster.now, known))).toEqual([first, third])
  expect(tasksOf(sampled(cluster, cluster.now, new Set()))).toEqual([])
})

test('where there are many containers counters go on in turns, and miss no time', async () => {
  const { world, now: startedAt } = aLoadedCluster(4)
  let now = startedAt
  let tick = () => {}
  const clock = {
    ...systemClock,
    now: () => now,
    every: (_ms: number, then: () => void) => {
      tick = then
      return { stop() {} }
    },
  }
  const totals = new Totals()
  let added = 0
  const add = totals.add.bind(totals)
  totals.add = (...counted) => {
    added += 1
    add(...counted)
  }
  const options = { totals, world: () => world, clock, heartbeatIntervalMs: 1_000 }
  startSampler({ ...options, store: () => null, containersCountedMax: 1 })
  const node = world.nodes.get('n1')!
  for (let second = 0; second <= 8; second++) {
    node.heard = { ...node.heard, lastBeatAt: now }
    tick()
    await new Promise((resolve) => setImmediate(resolve))
    now += 1_000
  }
  // In the first round, which does not know yet how many there are, then in each fourth: 7 s after it for the last time.
  expect(added).toBe(3)
  const task = world.tasks.keys().next().value!
  expect(totals.task('n1', task)?.cpuSeconds).toBeCloseTo(7 * 0.25, 6)
})

/** One node whose containers each use a quarter of a core. */
function aLoadedCluster(containers: number) {
  const cluster = aCluster(['n1'])
  const spec = aStackSpec('shop', { web: { replicas: containers } })
  change(cluster, { kind: 'deploy-stack', spec, prune: false })
  run(cluster, 5_000)
  const node = cluster.world.nodes.get('n1')!
  for (const task of cluster.world.tasks.values()) {
    node.containerLoads.set(task.id, { task: task.id, cpuCoresUsed: 0.25, memoryBytesUsed: 1 })
  }
  heartbeat(cluster, 'n1')
  return cluster
}
