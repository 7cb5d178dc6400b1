import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { FlightRecorder } from '../../../coordinator/incidents/flight-recorder.ts'
import { LINES_KEPT } from '../../../coordinator/incidents/last-lines.ts'
import { LAST_MINUTES_KEPT, LastMinutes, SAMPLES_KEPT, Samples } from '../../../coordinator/incidents/samples.ts'
import { aRecorder, exit, PLACED, SECRET, take, withLines } from '../../build/flight-recorder.ts'
import { aHostLoad, NOW } from '../../build/world.ts'

const MINUTE = 60_000

test('an incident holds code, last lines, last loads and why the task was there, and nothing of its environment', async () => {
  const { recorder, logs, world, dir, events } = await aRecorder()
  logs.set(
    'shop_web.1.a',
    Array.from({ length: 500 }, (_, index) => `line ${index}`),
  )
  const load = { task: 'shop_web.1.a', cpuCoresUsed: 1.5, memoryBytesUsed: 7e6 }
  take(
    recorder,
    {
      at: NOW - 1_000,
      observation: { kind: 'heartbeat', node: 'n1', revision: 1, load: aHostLoad(), containers: [load] },
    },
    world,
  )
  take(recorder, exit(1, NOW), world)
  const incident = await withLines(recorder)
  expect(incident).toMatchObject({
    kind: 'exit',
    count: 1,
    service: 'shop_web',
    node: 'n1',
    taskName: 'shop_web.1',
    ending: { exitCode: 137, attempt: 1 },
    placement: { node: 'n1', reason: PLACED },
    samples: [{ at: NOW - 1_000, cpuCoresUsed: 1.5, memoryBytesUsed: 7e6 }],
  })
  expect(incident.lines.kept).toHaveLength(LINES_KEPT)
  expect(incident.lines.kept.at(-1)!.text).toBe('line 499')
  expect(JSON.stringify(incident)).not.toContain(SECRET)
  expect(events).toMatchObject([{ kind: 'incident', service: 'shop_web', task: 'shop_web.1.a' }])
  await recorder.close()
  expect(await readdir(dir)).toEqual(['1.json'])
})

test('what the agent told of the last minute is what an incident of that run shows, by the coordinator’s clock', async () => {
  const { recorder, world } = await aRecorder()
  world.nodes.get('n1')!.clockSkewMs = 5_000
  const load = { task: 'shop_web.1.a', cpuCoresUsed: 0.1, memoryBytesUsed: 1e6, cpuThrottledShare: 0.5 }
  const heartbeat = { kind: 'heartbeat' as const, node: 'n1', revision: 1, load: aHostLoad(), containers: [load] }
  take(recorder, { at: NOW - 1_500, observation: heartbeat }, world)
  const hostNow = NOW + 5_000
  const lastMinute = { at: [hostNow - 2_000, hostNow - 1_000], cpuCoresUsed: [1, 2], memoryBytesUsed: [3e6, 4e6] }
  const told = (slot: number, attempt: number) => ({ task: `shop_web.${slot}.a`, attempt, ...lastMinute })
  recorder.lastMinutes('n1', [told(1, 2), told(2, 1)])
  recorder.lastMinutes('elsewhere', [told(3, 1)])
  take(recorder, exit(1, NOW, 2), world)
  // Of another run, and of a task that the node does not have.
  take(recorder, exit(2, NOW, 2), world)
  take(recorder, exit(3, NOW, 1), world)
  await recorder.close()
  expect((await recorder.get(1)).samples).toEqual([
    { at: NOW - 2_000, cpuCoresUsed: 1, memoryBytesUsed: 3e6, cpuThrottledShare: 0 },
    { at: NOW - 1_000, cpuCoresUsed: 2, memoryBytesUsed: 4e6, cpuThrottledShare: 0.5 },
  ])
  expect((await recorder.get(2)).samples).toEqual([])
  expect((await recorder.get(3)).samples).toEqual([])
})

test('of last minutes that are told for nothing the oldest go', () => {
  const kept = new LastMinutes()
  const nothing = { attempt: 1, at: [], cpuCoresUsed: [], memoryBytesUsed: [] }
  for (let number = 0; number <= LAST_MINUTES_KEPT; number++) kept.add('n1', [{ task: `t${number}`, ...nothing }])
  expect([0, 1, LAST_MINUTES_KEPT].map((number) => kept.of('n1', `t${number}`) !== null)).toEqual([false, true, true])
})

test('a lost node names the tasks that it had, with its own last loads', async () => {
  const { recorder, world } = await aRecorder()
  const load = aHostLoad({ cpuCoresUsed: 3.9, memoryBytesUsed: 7e9 })
  take(
    recorder,
    { at: NOW - 1_000, observation: { kind: 'heartbeat', node: 'n1', revision: 1, load, containers: [] } },
    world,
  )
  const status = { name: 'lost' as const, since: NOW, why: 'quiet for 30 s' }
  take(recorder, { at: NOW, decision: { kind: 'set-node-status', node: 'n1', status } }, world)
  await recorder.close()
  const incident = await recorder.get(1)
  expect(incident).toMatchObject({ kind: 'node-lost', node: 'n1', reason: 'was lost: quiet for 30 s' })
  expect(incident).toMatchObject({ samples: [{ cpuCoresUsed: 3.9 }], lines: { state: 'none' }, tasks: { count: 20 } })
  expect(incident.tasks.names).toContain('shop_web.20.a')
})

test('that a lost node is back stands in the incident of its loss; that it is drained is one of its own', async () => {
  const { recorder, world, events } = await aRecorder()
  const lost = { name: 'lost' as const, since: NOW, why: 'quiet for 30 s' }
  take(recorder, { at: NOW, decision: { kind: 'set-node-status', node: 'n1', status: lost } }, world)
  world.nodes.get('n1')!.status = lost
  const at = NOW + 60_000
  const ready = { name: 'ready' as const, since: at }
  take(recorder, { at, decision: { kind: 'set-node-status', node: 'n1', status: ready } }, world)
  take(recorder, { at, change: { kind: 'set-availability', node: 'n1', availability: 'drain' } }, world)
  await recorder.close()
  const incident = await recorder.get(1)
  expect(incident).toMatchObject({ kind: 'node-lost', count: 2 })
  expect(incident.occurrences.at(-1)).toMatchObject({
    kind: 'node-back',
    reason: 'is back: it was lost for 60 s, quiet for 30 s',
  })
  expect(await recorder.get(2)).toMatchObject({
    ...{ kind: 'node-drained', node: 'n1', reason: 'was drained: an operator asked for it', tasks: { count: 20 } },
  })
  expect(events.map(({ level }) => level)).toEqual(['warning', 'info'])
})

test('a rollout that fails has the lines and the last minute of the task that failed last, also when that is forgotten already', async () => {
  const { recorder, logs, world } = await aRecorder()
  logs.set('shop_web.1.b', ['no such table'])
  const lastMinute = { at: [NOW - 1_000], cpuCoresUsed: [1], memoryBytesUsed: [3e6] }
  recorder.lastMinutes('n1', [{ task: 'shop_web.1.b', attempt: 3, ...lastMinute }])
  const failures = ['shop_web.2.b', 'shop_web.1.b'].map((task) => ({ task, node: 'n1', at: NOW, why: 'exited 1' }))
  const rollout = { version: 1, failed: 2, startedAt: NOW, failures, why: '2 tasks failed' }
  take(
    recorder,
    {
      at: NOW,
      decision: {
        kind: 'set-rollout',
        service: 'shop_web',
        rollout: { state: 'rolling-back', ...rollout },
        wantedVersion: 1,
      },
    },
    world,
  )
  const incident = await withLines(recorder)
  await recorder.close()
  expect(incident).toMatchObject({ kind: 'rollout-failed', service: 'shop_web', tasks: { count: 2 } })
  expect(incident.reason).toBe('its rollout failed: 2 tasks failed')
  expect(incident.lines.kept.map(({ text }) => text)).toEqual(['no such table'])
  expect(incident.samples).toMatchObject([{ at: NOW - 1_000, memoryBytesUsed: 3e6 }])
})

test('a crash loop is one incident that counts, also after a start of the coordinator; after ten quiet minutes it is another', async () => {
  const { recorder, world, dir, events } = await aRecorder()
  for (let count = 0; count < 50; count++) take(recorder, exit(1, NOW + count * 9 * MINUTE, count + 1), world)
  await recorder.close()
  expect(events).toHaveLength(1)

  const last = NOW + 49 * 9 * MINUTE
  const again = await aRecorder({ dir })
  take(again.recorder, exit(1, last + 9 * MINUTE, 51), world)
  take(again.recorder, exit(1, last + 20 * MINUTE, 52), world)
  await again.recorder.close()
  expect((await again.listed()).map(({ number, count }) => [number, count])).toEqual([
    [2, 1],
    [1, 51],
  ])
  expect((await again.recorder.get(1)).occurrences).toHaveLength(20)
})

test('a service whose slots all fail at once does not push out the incidents of others', async () => {
  const { recorder, world, listed } = await aRecorder()
  for (let slot = 1; slot <= 20; slot++) take(recorder, exit(slot, NOW), world)
  await recorder.close()
  const counts = (await listed()).map(({ count }) => count)
  expect(counts).toHaveLength(10)
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20)
})

test('the oldest go when there are too many, or when they take too much room', async () => {
  const { recorder, world, listed } = await aRecorder({ max: { count: 3, bytes: 1e9 } })
  for (let count = 0; count < 8; count++) take(recorder, exit(1, NOW + count * 11 * MINUTE, count + 1), world)
  await recorder.close()
  expect((await listed()).map(({ number }) => number)).toEqual([8, 7, 6])
  await expect(recorder.get(5)).rejects.toMatchObject({ code: 'incident-not-found' })

  const small = await aRecorder({ max: { count: 100, bytes: 1 } })
  for (const slot of [1, 2]) take(small.recorder, exit(slot, NOW), world)
  await small.recorder.close()
  expect((await small.listed()).map(({ number }) => number)).toEqual([2])
})

test('what a kill left half written is nothing, a damaged file hides no other, and numbers go on', async () => {
  const first = await aRecorder()
  take(first.recorder, exit(1, NOW), first.world)
  await first.recorder.close()
  await writeFile(join(first.dir, '2.json'), '{"number":2,')
  await writeFile(join(first.dir, '3.json.0a1b.new'), '{"num')
  const { recorder, listed, world } = await aRecorder({ dir: first.dir })
  take(recorder, exit(2, NOW), world)
  await recorder.close()
  expect((await listed()).map(({ number }) => number)).toEqual([3, 1])
  expect((await readdir(first.dir)).sort()).toEqual(['1.json', '2.json', '3.json'])
})

test('lines that a kill kept from being copied are copied after the start', async () => {
  const first = await aRecorder()
  take(first.recorder, exit(1, NOW), first.world)
  await first.recorder.close()
  expect((await first.recorder.get(1)).lines.state).toBe('waiting')
  const { recorder, logs } = await aRecorder({ dir: first.dir })
  logs.set('shop_web.1.a', ['its last words'])
  await recorder.resume()
  expect((await withLines(recorder)).lines.kept.map(({ text }) => text)).toEqual(['its last words'])
  await recorder.close()
})

test('a list is of a service or node, of a time, and comes in pages', async () => {
  const { recorder, world } = await aRecorder()
  for (const slot of [1, 2, 3]) take(recorder, exit(slot, NOW + slot), world)
  await recorder.close()
  const numbers = async (query: Partial<Parameters<FlightRecorder['list']>[0]>) => {
    const { items, next } = await recorder.list({ limit: 2, ...query })
    return [items.map(({ number }) => number), next]
  }
  expect(await numbers({})).toEqual([[3, 2], 2])
  expect(await numbers({ before: 2 })).toEqual([[1], null])
  expect(await numbers({ node: 'n1', since: NOW + 3 })).toEqual([[3], null])
  expect(await numbers({ service: 'shop_api' })).toEqual([[], null])
})

test('of each the latest samples are kept, and of no more tasks than there is room for', () => {
  const samples = new Samples(1)
  const sample = (at: number) => ({ at, cpuCoresUsed: at, memoryBytesUsed: 1, cpuThrottledShare: 0 })
  for (let at = 0; at < 150; at++) samples.add('a', sample(at), () => false)
  expect(samples.of('a').map(({ at }) => at)).toEqual(Array.from({ length: SAMPLES_KEPT }, (_, index) => 90 + index))
  samples.add('b', sample(1), (name) => name !== 'a')
  expect(samples.of('b')).toEqual([])
  expect([samples.takes('a', 2), samples.takes('b', 2), samples.takes('b', 100_000)]).toEqual([true, false, true])
  samples.add('b', sample(100_000), (name) => name === 'a')
  expect(samples.of('b')).toHaveLength(1)
  expect(samples.of('a')).toEqual([])
})
