import { expect, test } from 'vitest'
import { Outbox } from '../../../agent/link/outbox.ts'
import { Teller } from '../../../agent/link/teller.ts'
import { systemClock } from '../../../shared/clock.ts'
import { LAST_MINUTES_MAX } from '../../../shared/wire/bounds.ts'
import { decodeUp, encode } from '../../../shared/wire/codec.ts'
import type { UpMessage } from '../../../shared/wire/up.ts'
import { DEVICES_SINCE, LAST_MINUTES_SINCE } from '../../../shared/wire/version.ts'
import { aFakeLog } from '../../build/fake-core.ts'
import { aTaskObservation } from '../../build/wire.ts'
import { aHostLoad, anEngine } from '../../build/world.ts'

/** What it says at the beginning of a connection when so many tasks have failed, of each of which a whole minute is known. */
async function saidOf(failed: number, version: number, beats = 0): Promise<UpMessage[]> {
  const said: UpMessage[] = []
  let monotonicMs = 0
  const tasks = Array.from({ length: failed }, (_, index) => {
    return aTaskObservation({ task: `t${index}`, state: 'failed', exitCode: 1 })
  })
  const minute = (figure: number) => Array.from({ length: 60 }, () => figure)
  const figures = { at: minute(Date.now()), cpuCoresUsed: minute(1 / 3), memoryBytesUsed: minute(2 ** 33 + 1) }
  const teller = new Teller({
    supervisor: {
      revision: 1,
      containers: () => [],
      observeAll: async () => ({ engine: anEngine(), tasks, gone: [] }),
    },
    loadMeter: {
      sample: () => ({ load: aHostLoad(), containers: [] }),
      lastMinute: (task, attempt) => ({ task, attempt, ...figures }),
      devices: () => ({ disks: [], networks: [] }),
      close() {},
    },
    outbox: new Outbox(),
    clock: { ...systemClock, monotonicMs: () => monotonicMs },
    log: aFakeLog(),
    send: (message) => said.push(message),
    unsentBytes: () => 0,
  })
  await teller.begin(version)
  for (let beat = 0; beat < beats; beat++) {
    teller.beat()
    monotonicMs += 1000
  }
  teller.end()
  return said
}

test('a coordinator that is older is told no last minutes', async () => {
  expect((await saidOf(2, LAST_MINUTES_SINCE - 1)).map(({ kind }) => kind)).toEqual(['observation'])
  expect((await saidOf(2, LAST_MINUTES_SINCE)).map(({ kind }) => kind)).toEqual(['last-minutes', 'observation'])
})

test('of very many that went bad at once some have none, so that the message keeps within bounds', async () => {
  const [message] = await saidOf(3 * LAST_MINUTES_MAX, LAST_MINUTES_SINCE)
  if (message?.kind !== 'last-minutes') throw new Error(`${message?.kind} came first`)
  expect(message.tasks).toHaveLength(LAST_MINUTES_MAX)
  const frame = encode(message)
  expect(frame.length).toBeLessThan(150_000)
  expect(decodeUp(frame)).toEqual({ ok: true, message })
})

test('what goes through devices is told with the first heartbeat and every 15 s from there, to who knows that', async () => {
  const told = (await saidOf(0, DEVICES_SINCE, 31)).map(({ kind }) => kind).filter((kind) => kind !== 'observation')
  const places = told.flatMap((kind, place) => (kind === 'devices' ? [place] : []))
  expect([told.length, places]).toEqual([34, [1, 17, 33]])
  expect((await saidOf(0, DEVICES_SINCE - 1, 2)).map(({ kind }) => kind)).toEqual([
    'observation',
    'heartbeat',
    'heartbeat',
  ])
})
