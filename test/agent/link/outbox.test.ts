import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OUTBOX_NOTICES_MAX, Outbox } from '../../../agent/link/outbox.ts'
import { aTaskObservation } from '../../build/wire.ts'
import { anEngine, NOW } from '../../build/world.ts'

type Fact = { task: string; attempt: number; gone: boolean }

const facts = fc.array(
  fc.record({ task: fc.constantFrom('a', 'b', 'c'), attempt: fc.nat({ max: 1000 }), gone: fc.boolean() }),
)

function put(outbox: Outbox, { task, attempt, gone }: Fact): void {
  outbox.putChange({
    engine: anEngine(),
    tasks: gone ? [] : [aTaskObservation({ task, attempt })],
    gone: gone ? [task] : [],
  })
}

/** What a coordinator that hears of these facts holds in the end. */
function told(known: Map<string, number | 'gone'>, outbox: Outbox): void {
  const { change } = outbox.take()
  for (const { task, attempt } of change?.tasks ?? []) known.set(task, attempt)
  for (const task of change?.gone ?? []) known.set(task, 'gone')
}

test('however often it is emptied on the way, the latest fact about each task is what is known in the end', () => {
  fc.assert(
    fc.property(fc.array(facts), (batches) => {
      const outbox = new Outbox()
      const known = new Map<string, number | 'gone'>()
      const latest = new Map<string, number | 'gone'>()
      for (const batch of batches) {
        for (const fact of batch) {
          put(outbox, fact)
          latest.set(fact.task, fact.gone ? 'gone' : fact.attempt)
        }
        told(known, outbox)
      }
      expect(known).toEqual(latest)
    }),
  )
})

test('no task is told twice at once, or both as there and as gone', () => {
  fc.assert(
    fc.property(facts, (some) => {
      const outbox = new Outbox()
      for (const fact of some) put(outbox, fact)
      const { change } = outbox.take()
      const names = [...(change?.tasks ?? []).map(({ task }) => task), ...(change?.gone ?? [])]
      expect(new Set(names).size).toBe(names.length)
    }),
  )
})

test('it is empty once taken, and says when it is', () => {
  const outbox = new Outbox()
  expect(outbox.isEmpty).toBe(true)
  put(outbox, { task: 'a', attempt: 1, gone: false })
  expect(outbox.isEmpty).toBe(false)
  outbox.take()
  expect(outbox.isEmpty).toBe(true)
  expect(outbox.take()).toEqual({ change: null, notices: [], noticesDropped: 0 })
})

test('notices beyond the bound push out the oldest, and are counted', () => {
  const outbox = new Outbox()
  for (let i = 0; i < OUTBOX_NOTICES_MAX + 3; i++) {
    outbox.putNotice({ kind: 'notice', at: NOW, code: `notice-${i}`, message: '' })
  }
  const { notices, noticesDropped } = outbox.take()
  expect(notices[0]?.code).toBe('notice-3')
  expect(notices).toHaveLength(OUTBOX_NOTICES_MAX)
  expect(noticesDropped).toBe(3)
})
