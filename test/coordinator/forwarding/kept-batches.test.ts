import { truncateSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Counted, KeptBatches } from '../../../coordinator/forwarding/kept-batches.ts'
import {
  AT_THE_BEGINNING,
  type Position,
  positionAtEnd,
  positionFound,
} from '../../../coordinator/forwarding/position.ts'
import { ALL_LINES, type LinesWanted } from '../../../shared/forwarding/config.ts'
import { aKeptLog, LOG_START } from '../../build/kept-log.ts'

type KeptLog = Awaited<ReturnType<typeof aKeptLog>>

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `line ${from + index}`)

function aReader(
  kept: KeptLog,
  given: { position?: Position; wanted?: Partial<LinesWanted>; now?: () => number } = {},
) {
  const { position = AT_THE_BEGINNING, wanted = {}, now = () => 0 } = given
  return new KeptBatches(kept.store, position, { ...ALL_LINES, ...wanted }, now)
}

/** All there is, as texts; `after`: where the reader is then, as it is on the disk. */
async function readAll(reader: KeptBatches, bytesMax = 1_000): Promise<{ texts: string[]; lost: Counted }> {
  const texts: string[] = []
  const lost = { lines: 0, rawBytes: 0 }
  const add = ({ lines, rawBytes }: Counted) => {
    lost.lines += lines
    lost.rawBytes += rawBytes
  }
  add(reader.look())
  for (let batch = await reader.next(bytesMax, add); batch !== null; batch = await reader.next(bytesMax, add)) {
    texts.push(...batch.lines.map(({ text }) => text))
    reader.commit()
  }
  return { texts, lost }
}

const onDisk = (position: Position) => JSON.parse(JSON.stringify(position)) as Position

test('each line comes once and in order, with whose it is and its level, and what is kept later comes later', async () => {
  const kept = await aKeptLog()
  await kept.write('shop_api', numbered(0, 50))
  await kept.write('shop_api', ['ERROR broken'], { source: 'stderr', node: 'n2' })
  const reader = aReader(kept)
  const first = await reader.next(1e6, () => {})
  expect(first!.lines.map(({ text }) => text)).toEqual([...numbered(0, 50), 'ERROR broken'])
  expect(first!.lines.at(-1)).toEqual({
    origin: { service: 'shop_api', stack: 'shop', node: 'n2', task: 'task-shop_api-1', container: 'shop_api-1' },
    ...{ at: LOG_START + 50.25, source: 'stderr', level: 'error', text: 'ERROR broken' },
  })
  reader.commit()
  expect(await reader.next(1e6, () => {})).toBeNull()
  await kept.write('shop_api', numbered(50, 60))
  expect((await readAll(reader)).texts).toEqual(numbered(50, 60))
})

test('however it is cut into batches and wherever it is begun anew, nothing is left out and nothing comes twice that was taken', async () => {
  const kept = await aKeptLog()
  const said: string[] = []
  for (let block = 0; block < 30; block++) {
    const texts = numbered(block * 7, block * 7 + 7)
    said.push(...texts)
    await kept.write('shop_api', texts)
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 3_000 }), isTaken: fc.boolean() })),
      async (cuts) => {
        const taken: string[] = []
        let position = AT_THE_BEGINNING
        for (const { bytes, isTaken } of cuts) {
          const reader = aReader(kept, { position })
          const batch = await reader.next(bytes, () => {})
          if (batch !== null && isTaken) {
            taken.push(...batch.lines.map(({ text }) => text))
            reader.commit()
            position = onDisk(reader.position)
          }
        }
        taken.push(...(await readAll(aReader(kept, { position }))).texts)
        expect(taken).toEqual(said)
      },
    ),
    { numRuns: 50 },
  )
})

test('a batch that came to nothing is read again', async () => {
  const kept = await aKeptLog()
  await kept.write('shop_api', numbered(0, 10))
  const reader = aReader(kept)
  await reader.next(1e6, () => {})
  reader.rewind()
  expect((await readAll(reader)).texts).toEqual(numbered(0, 10))
})

test('a long line in pieces is one line, over blocks and over a restart in its middle', async () => {
  const kept = await aKeptLog()
  const piece = 'x'.repeat(16_384)
  await kept.write('shop_api', [piece], { end: '' })
  const first = await readAll(aReader(kept))
  expect(first.texts).toEqual([])
  const reader = aReader(kept)
  await reader.next(1, () => {})
  reader.commit()
  const position = onDisk(reader.position)
  await kept.write('shop_api', [`${piece}end`, 'next'])
  expect((await readAll(aReader(kept, { position }))).texts).toEqual([`${piece}${piece}end`, 'next'])
})

test('what was begun and not ended goes after a while: the last word of a container is not lost', async () => {
  const kept = await aKeptLog()
  let now = 0
  const reader = aReader(kept, { now: () => now })
  await kept.write('shop_api', ['panic: '], { end: '' })
  expect((await readAll(reader)).texts).toEqual([])
  now = 4_999
  expect((await readAll(reader)).texts).toEqual([])
  now = 5_000
  expect((await readAll(reader)).texts).toEqual(['panic: '])
  expect(reader.position.begun).toEqual([])
})

test('services take turns: one that says a lot does not keep the others from their lines', async () => {
  const kept = await aKeptLog()
  for (let block = 0; block < 10; block++) await kept.write('loud_a', numbered(block * 10, block * 10 + 10))
  await kept.write('quiet_b', ['here'])
  const reader = aReader(kept)
  await reader.next(500, () => {})
  reader.commit()
  const second = await reader.next(500, () => {})
  expect(second!.lines[0]!.text).toBe('here')
})

test('what retention takes before the target had it is counted once, and the rest comes', async () => {
  let now = LOG_START
  const kept = await aKeptLog({ ageMaxMs: 3_600_000, now: () => now })
  await kept.write('shop_api', numbered(0, 100))
  const reader = aReader(kept)
  reader.look()
  await reader.next(1, () => {})
  reader.commit()
  await kept.write('shop_api', numbered(100, 150))
  expect(reader.behind()).toMatchObject({ lines: 50 })
  reader.look()
  now += 2 * 3_600_000
  await kept.store.sweep()
  await kept.write('shop_api', numbered(150, 160), { at: now })
  const { texts, lost } = await readAll(reader)
  expect(texts).toEqual(numbered(150, 160))
  expect(lost.lines).toBe(50)
  expect(reader.look()).toEqual({ lines: 0, rawBytes: 0 })
})

test('a block that cannot be read costs its lines, which are counted, and no others', async () => {
  const kept = await aKeptLog()
  await kept.write('shop_api', numbered(0, 10))
  await kept.write('shop_api', numbered(10, 20))
  const [segment] = kept.store.segments('shop_api')
  truncateSync(segment!.path, segment!.summary.bytes - 3)
  const { texts, lost } = await readAll(aReader(kept))
  expect(texts).toEqual(numbered(0, 10))
  expect(lost.lines).toBe(10)
})

test('lines that are not wanted are passed over, and are not behind', async () => {
  const kept = await aKeptLog()
  await kept.write('shop_api', ['INFO a', 'ERROR b', 'c'])
  await kept.write('shop_api', ['ERROR d'], { source: 'stderr' })
  await kept.write('blog_api', ['ERROR e'])
  const texts = async (wanted: Partial<LinesWanted>) => (await readAll(aReader(kept, { wanted }))).texts
  expect(await texts({ services: ['shop_*'] })).toEqual(['INFO a', 'ERROR b', 'c', 'ERROR d'])
  expect(await texts({ stacks: ['blog'] })).toEqual(['ERROR e'])
  expect(await texts({ level: 'warn', streams: ['stdout'] })).toEqual(['ERROR b', 'ERROR e'])

  const reader = aReader(kept, { wanted: { stacks: ['blog'] } })
  reader.look()
  expect(reader.behind()).toMatchObject({ lines: 1 })
  // When it wants the others too, it begins with what comes.
  const wider = aReader(kept, { position: reader.position })
  expect((await readAll(wider)).texts).toEqual(['ERROR e'])
})

test('a target that begins now gets what comes, also of services that are new', async () => {
  const kept = await aKeptLog()
  await kept.write('shop_api', ['old'])
  const reader = aReader(kept, { position: positionAtEnd(kept.store) })
  await kept.write('shop_api', ['new'])
  await kept.write('shop_web', ['first'])
  expect((await readAll(reader)).texts).toEqual(['new', 'first'])
})

test('after a restart a service whose segments have all gone begins anew', async () => {
  let now = LOG_START
  const kept = await aKeptLog({ ageMaxMs: 1_000, now: () => now })
  await kept.write('shop_api', ['old'])
  const position = positionAtEnd(kept.store)
  now += 3_600_000
  await kept.store.sweep()
  await kept.restart()
  const found = positionFound(position, kept.store)
  await kept.write('shop_api', ['new', 'newer'], { at: now })
  expect((await readAll(aReader(kept, { position: found }))).texts).toEqual(['new', 'newer'])
})
