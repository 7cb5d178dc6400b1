import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readSegments } from '../../../coordinator/journal/format.ts'
import { LoadModel } from '../../../coordinator/replay/load-model.ts'
import { replay } from '../../../coordinator/replay/main.ts'
import { type Comparison, replayOtherwise } from '../../../coordinator/replay/otherwise.ts'
import { usualDelays } from '../../../coordinator/replay/usual-delays.ts'
import type { Change, Observation, World } from '../../../coordinator/world.ts'
import { aCluster, change, observe, run } from '../../build/cluster.ts'
import { aJournal, bytesOf, deploy, live } from '../../build/recording.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'
import { aHostLoad, aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

async function recorded(act = live): Promise<Buffer> {
  const { journal } = await aJournal()
  act(aCluster(['n1', 'n2', 'n3'], { recorder: journal }))
  return bytesOf(journal)
}

async function fileWith(bytes: Buffer): Promise<string> {
  const path = join(await temporaryFolder(), 'a.recording')
  writeFileSync(path, bytes)
  return path
}

function otherwise(bytes: Buffer, prepare: (world: World) => void, changes = (change: Change) => change): Comparison {
  const [first] = readSegments(bytes, 'test')
  const delays = usualDelays(readSegments(bytes, 'test'))
  return replayOtherwise(readSegments(bytes, 'test'), first!.snapshot, prepare, changes, delays)
}

test('a recording replayed by the same rules says that each decision was come to again', async () => {
  const report = replay(await fileWith(await recorded()))
  expect(report).toMatchObject({ kind: 'same', reproduced: true, differing: [] })
  expect(report.recording).toMatchObject({ cluster: 'berth-test', versions: ['1.2.3'], gaps: 0, policy: 'spread' })
})

test('with nothing changed, the other course is the recorded one', async () => {
  const {
    recorded: real,
    replayed,
    placedElsewhere,
    placedInBoth,
    changesRefused,
  } = otherwise(await recorded(), () => {})
  expect(placedInBoth).toBeGreaterThan(10)
  expect(placedElsewhere).toBe(0)
  expect(changesRefused).toBe(0)
  expect(replayed.placements).toBe(real.placements)
  expect(replayed.stopped).toBe(real.stopped)
  expect(replayed.refusals).toEqual(real.refusals)
})

test('with one node less its tasks are on the others', async () => {
  const calm = (cluster: Parameters<typeof live>[0]) => {
    deploy(cluster, { web: { replicas: 6, cpuCores: 0.5 } })
    run(cluster, 5_000)
  }
  const {
    recorded: real,
    replayed,
    placedElsewhere,
  } = otherwise(await recorded(calm), (world) => {
    world.nodes.get('n3')!.availability = 'drain'
  })
  expect([real.nodesUsed, replayed.nodesUsed]).toEqual([3, 2])
  expect(replayed.placements).toBe(6)
  expect(placedElsewhere).toBeGreaterThanOrEqual(2)
})

test('tasks that found no room in the other course are counted with the check that refused them', async () => {
  const { recorded: real, replayed } = otherwise(
    await recorded((cluster) => {
      deploy(cluster, { web: { replicas: 6, cpuCores: 2 } })
      run(cluster, 5_000)
    }),
    (world) => {
      world.nodes.get('n3')!.availability = 'drain'
    },
  )
  expect(real.refusals).toEqual({})
  // Two nodes of four cores have room for four of the six.
  expect(replayed.refusals).toEqual({ cpu: 2, availability: 2 })
  expect(replayed.placements).toBe(4)
  expect(replayed.waitingMs).toBeGreaterThan(2 * 3_000)
})

test('a rollout goes to its end in the other course too', async () => {
  const roll = (cluster: Parameters<typeof live>[0]) => {
    deploy(cluster, { web: { replicas: 4 } })
    run(cluster, 12_000)
    deploy(cluster, { web: { replicas: 4, image: 'example/a:2' } })
    run(cluster, 60_000)
  }
  const { recorded: real, replayed } = otherwise(await recorded(roll), (world) => {
    world.nodes.get('n2')!.availability = 'drain'
  })
  expect(real).toMatchObject({ placements: 8, stopped: 4 })
  expect(replayed).toMatchObject({ placements: 8, stopped: 4 })
})

test('a change that the other world does not admit is left out and counted', async () => {
  const bytes = await recorded((cluster) => {
    deploy(cluster, { web: { replicas: 1 } })
    change(cluster, { kind: 'label-node', node: 'n3', set: { disk: 'ssd' }, remove: [] })
    run(cluster, 2_000)
  })
  const toUnknown = (asked: Change): Change => (asked.kind === 'label-node' ? { ...asked, node: 'n9' } : asked)
  expect(otherwise(bytes, () => {}, toUnknown).changesRefused).toBe(1)
})

test('the highest load of a node is told, with the node', async () => {
  const bytes = await recorded((cluster) => {
    run(cluster, 1_000)
    const load = aHostLoad({ cpuCoresUsed: 3, memoryBytesTotal: 8, memoryBytesUsed: 2 })
    observe(cluster, { kind: 'heartbeat', node: 'n2', revision: 0, load, containers: [] })
    run(cluster, 1_000)
  })
  const { recorded: real, replayed } = otherwise(bytes, () => {})
  expect(real.peakCpu).toEqual({ share: 0.75, node: 'n2' })
  expect(replayed.peakMemory).toEqual({ share: 0.25, node: 'n2' })
})

test("a host's own load stays, that of its containers goes with them", () => {
  const service = aService({ name: 'shop_web' })
  const onA = aTask({ id: 'shop_web.1.a', service: service.name, node: 'a' })
  const world = (node: string) =>
    aWorld({ nodes: [aNode({ name: 'a' }), aNode({ name: 'b' })], services: [service], tasks: [{ ...onA, node }] })
  const real = world('a')
  real.nodes.get('a')!.containerLoads.set(onA.id, { task: onA.id, cpuCoresUsed: 1, memoryBytesUsed: 100 })
  const model = new LoadModel(real)
  const beat = (node: string, cpuCoresUsed: number): Extract<Observation, { kind: 'heartbeat' }> => ({
    kind: 'heartbeat',
    node,
    revision: 1,
    load: aHostLoad({ cpuCoresUsed, memoryBytesUsed: 400 }),
    containers: [],
  })
  const moved = world('b')
  expect(model.heartbeat(beat('a', 1.5), moved)).toMatchObject({
    load: { cpuCoresUsed: 0.5, memoryBytesUsed: 300 },
    containers: [],
  })
  expect(model.heartbeat(beat('b', 0.25), moved)).toMatchObject({
    load: { cpuCoresUsed: 1.25, memoryBytesUsed: 500 },
    containers: [{ task: onA.id, cpuCoresUsed: 1, memoryBytesUsed: 100 }],
  })
})

test('how long tasks usually take is learnt from the recording', async () => {
  const bytes = await recorded((cluster) => {
    deploy(cluster, { web: { replicas: 3 } })
    run(cluster, 5_000)
    change(cluster, { kind: 'scale-service', service: 'shop_web', replicas: 1 })
    run(cluster, 5_000)
  })
  const delays = usualDelays(readSegments(bytes, 'test'))
  // The test's agents take one step of 500 ms for pulling, starting, running; and two for stopping.
  expect(delays.startMs('shop_web')).toBe(1_500)
  expect(delays.stopMs('shop_web')).toBeGreaterThan(0)
  expect(delays.startMs('shop_never_seen')).toBe(1_500)
})

test('an unknown policy, a file that is not there and an empty one are told as what they are', async () => {
  const path = await fileWith(await recorded())
  expect(() => replay(path, 'best')).toThrow(
    'there is no policy best; there are first-fit, binpack, spread, least-loaded',
  )
  expect(() => replay('/nowhere/x.recording')).toThrow(/^\/nowhere\/x\.recording cannot be read: ENOENT/)
  const empty = await fileWith(Buffer.alloc(0))
  expect(() => replay(empty)).toThrow(/is empty/)
})

test('a replay under a policy leaves the recording as it was', async () => {
  const path = await fileWith(await recorded())
  expect(replay(path, 'spread')).toMatchObject({ kind: 'other', policy: 'spread', placedElsewhere: 0 })
  expect(replay(path)).toMatchObject({ kind: 'same', reproduced: true })
})

test('instants are those of the recording', async () => {
  const { recording } = replay(await fileWith(await recorded()))
  expect(recording.from).toBe(new Date(NOW).toISOString())
  expect(recording.durationMs).toBe(58_000)
})
