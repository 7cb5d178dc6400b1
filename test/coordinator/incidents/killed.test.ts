/** A coordinator killed anywhere between deciding what went bad and its incident's file: each failure is counted once. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { draftWrites } from '../../../coordinator/incidents/drafts.ts'
import { SAME_WITHIN_MS } from '../../../coordinator/incidents/flight-recorder.ts'
import type { MemoryStore } from '../../../coordinator/store/memory.ts'
import type { WorldValue } from '../../../coordinator/world.ts'
import { aRecorder, exit } from '../../build/flight-recorder.ts'
import { aHostLoad, NOW } from '../../build/world.ts'

const LOST: WorldValue = {
  at: NOW,
  decision: { kind: 'set-node-status', node: 'n1', status: { name: 'lost', since: NOW, why: 'quiet for 30 s' } },
}

function draftsIn(store: MemoryStore): unknown[] {
  return [...store.range(['incident', 'draft'])]
}

test('killed before the loss of a node is stored: it is decided again, and counted once', async () => {
  const killed = await aRecorder()
  expect(killed.recorder.value(LOST, killed.world, 0)).toHaveLength(1)
  await killed.recorder.close()
  const { recorder, listed, world, store } = await aRecorder(killed)
  await recorder.resume()
  const drafts = recorder.value(LOST, world, 0)
  await store.transact(draftWrites(drafts))
  recorder.stored(drafts)
  await recorder.close()
  expect(await listed()).toMatchObject([{ number: 1, kind: 'node-lost', count: 1 }])
})

test('killed between the loss of a node and its file: it is taken down at the start, with its samples, and told', async () => {
  const killed = await aRecorder()
  const load = aHostLoad({ cpuCoresUsed: 3.9 })
  const beat = { kind: 'heartbeat' as const, node: 'n1', revision: 1, load, containers: [] }
  killed.recorder.value({ at: NOW - 1_000, observation: beat }, killed.world, 0)
  await killed.store.transact(draftWrites(killed.recorder.value(LOST, killed.world, 0)))
  const { recorder, listed, events, writes, store } = await aRecorder(killed)
  await recorder.resume()
  await recorder.close()
  expect(await listed()).toMatchObject([{ number: 1, kind: 'node-lost', node: 'n1', count: 1 }])
  expect(await recorder.get(1)).toMatchObject({ samples: [{ cpuCoresUsed: 3.9 }], tasks: { count: 20 } })
  expect(events).toMatchObject([{ kind: 'incident', node: 'n1', at: NOW }])
  await store.transact(writes)
  expect(draftsIn(store)).toEqual([])
})

test('killed after the file and before the draft is forgotten: it is not counted again, and told since it was not', async () => {
  const killed = await aRecorder()
  const drafts = killed.recorder.value(LOST, killed.world, 0)
  await killed.store.transact(draftWrites(drafts))
  killed.recorder.stored(drafts)
  await killed.recorder.close()
  const { recorder, listed, events, writes } = await aRecorder(killed)
  await recorder.resume()
  await recorder.close()
  expect(await listed()).toMatchObject([{ number: 1, count: 1 }])
  expect(events).toHaveLength(1)
  expect(writes).toEqual(killed.writes)
})

test('what a kill left is taken down before what is new, whichever is asked for first', async () => {
  const killed = await aRecorder()
  await killed.store.transact(draftWrites(killed.recorder.value(exit(1, NOW), killed.world, 0)))
  const { recorder, listed, store, world } = await aRecorder(killed)
  const drafts = recorder.value(exit(2, NOW + 1), world, 0)
  await store.transact(draftWrites(drafts))
  recorder.stored(drafts)
  await recorder.resume()
  await recorder.close()
  expect((await listed()).map(({ number, taskName }) => [number, taskName])).toEqual([
    [2, 'shop_web.2'],
    [1, 'shop_web.1'],
  ])
})

test('however often it is killed, and wherever: each failure that is stored is counted once, each incident told once', async () => {
  const step = fc.record({
    slots: fc.array(fc.integer({ min: 1, max: 14 }), { minLength: 1, maxLength: 4 }),
    laterMs: fc.constantFrom(1, SAME_WITHIN_MS / 3, SAME_WITHIN_MS + 1),
    killed: fc.constantFrom('no', 'no', 'before', 'between', 'after'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      let run = await aRecorder()
      const again = async () => {
        const { dir, store, recorder } = run
        // Files that are under way are written: a folder has but one recorder at a time.
        await recorder.close()
        run = await aRecorder({ dir, store })
        await run.recorder.resume()
      }
      let [stored, told, at] = [0, 0, NOW]
      for (const { slots, laterMs, killed } of steps) {
        at += laterMs
        const drafts = slots.flatMap((slot, index) => run.recorder.value(exit(slot, at), run.world, index))
        // What it asked for meanwhile goes with the transaction.
        const writes = run.writes.splice(0)
        const events = run.events.splice(0)
        if (killed !== 'before') {
          await run.store.transact([...writes, ...draftWrites(drafts)])
          stored += drafts.length
          told += events.length
        }
        if (killed === 'no' || killed === 'after') run.recorder.stored(drafts)
        await run.recorder.close()
        if (killed !== 'no') await again()
      }
      await again()
      await run.recorder.close()
      const counts = (await run.listed()).map(({ count }) => count)
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(stored)
      expect(told + run.events.length).toBe(counts.length)
    }),
    { numRuns: 60 },
  )
})
