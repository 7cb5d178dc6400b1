import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scanLines } from '../../agent/host/scan-lines.ts'
import { indexSegment } from '../../coordinator/logs/index-segment.ts'
import { createKeptReader } from '../../coordinator/logs/kept-reader.ts'
import { LineSearch } from '../../coordinator/logs/line-search.ts'
import { LogStore } from '../../coordinator/logs/log-store.ts'
import { readIndex } from '../../coordinator/logs/segment-index.ts'
import { ServiceLog } from '../../coordinator/logs/service-log.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import { aFolder } from './log-bed.ts'

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const START_MS = Date.parse('2026-11-26T10:00:00Z')

type Written = { log: string; stream: 'stdout' | 'stderr' }
/** Of one container, in one block. */
type Block = { container: string; lines: Written[] }

const wordsOf = (texts: string[], container = 'c1'): Block => ({
  container,
  lines: texts.map((text) => ({ log: `${text}\n`, stream: 'stdout' })),
})

/** A segment of a service `web`, in the order given. */
async function aSegment(blocks: Block[], dir = aFolder()): Promise<{ dir: string; path: string; bytes: number }> {
  const log = new ServiceLog(join(dir, 'web'), 'web', () => {})
  const offsets = new Map<string, number>()
  let ms = START_MS
  const kept = blocks.map(({ container, lines }, index) => {
    const raw = Buffer.from(
      lines
        .map(({ log, stream }) => `${JSON.stringify({ log, stream, time: new Date(ms++).toISOString() })}\n`)
        .join(''),
    )
    const offset = offsets.get(container) ?? 0
    offsets.set(container, offset + raw.length)
    const bytes = index % 2 === 0 ? raw : zstdCompressSync(raw)
    const after = offset === 0 ? null : { file: 'f', offset }
    const place = { container, task: `t-${container}`, file: 'f', offset, end: offset + raw.length, after, gap: false }
    const encoding: 'raw' | 'zstd' = index % 2 === 0 ? 'raw' : 'zstd'
    const head = { ...place, ...scanLines(raw, 0), encoding, bytes: bytes.length, name: container, node: 'n1' }
    return { head, bytes }
  })
  await log.append(kept)
  await log.close()
  const path = log.segments.at(-1)!.path
  return { dir, path, bytes: statSync(path).size }
}

/** No more is written to it; the next one of the folder is another. */
function seal({ dir, path }: { dir: string; path: string }): void {
  const { summary } = new ServiceLog(join(dir, 'web'), 'web', () => {}).segments.at(-1)!
  writeFileSync(path.replace(/\.log$/, '.json'), JSON.stringify(summary))
}

function aReader(dir: string, search?: LineSearch) {
  const store = new LogStore({ dir, bytesMax: 1e12, ageMaxMs: 1e15, now: Date.now, log: SILENT })
  onTestFinished(() => store.close())
  const reader = createKeptReader({
    store,
    serviceOf: () => 'web',
    look: async () => {},
    isOpen: () => true,
    onNodeClosed: () => () => {},
    ...(search && { search }),
  })
  return {
    store,
    async read(query: object): Promise<LogLine[]> {
      const tasks = store.tasks('web').map(({ task }) => ({ task, node: 'n1' }))
      const lines: LogLine[] = []
      const given = { tasks, follow: false, signal: new AbortController().signal, ...query }
      for await (const batch of reader.read(given)) lines.push(...batch.lines)
      return lines
    },
  }
}

const PART_BYTES = 1_000
const indexOf = ({ path, bytes }: { path: string; bytes: number }, partBytes = PART_BYTES) =>
  indexSegment({ path, bytes, isSealed: true }, partBytes)
const idx = (path: string) => path.replace(/\.log$/, '.idx')

describe('what is found with an index is what is found without', () => {
  const text = fc.oneof(
    fc.stringMatching(/^[ab01 :]{0,10}$/),
    fc.constantFrom('zebra', 'zebrafish', '12345678', '0a1b2c3d', 'ERROR', '{"level":"warn","a":1}', 'ä"\\', 'Zebra'),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
  )
  const written = fc.record({
    log: fc
      .tuple(fc.array(text, { minLength: 1, maxLength: 4 }), fc.constantFrom('\n', '\n', '\n', '\n', ''))
      .map(([texts, end]) => texts.join(' ') + end),
    stream: fc.constantFrom('stdout', 'stdout', 'stderr' as const),
  })
  const long = fc.tuple(text, fc.boolean()).map(([text, isEnd]): Written => {
    return { log: 'x'.repeat(16 * 1024 - 3) + text + (isEnd ? '\n' : ''), stream: 'stdout' }
  })
  const blocks = fc.array(
    fc.record({
      container: fc.constantFrom('c1', 'c2'),
      lines: fc.array(fc.oneof({ weight: 30, arbitrary: written }, { weight: 1, arbitrary: long }), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  const atom = fc.constantFrom(
    'zebra',
    'fish',
    'ebra',
    '1234',
    '0a1b',
    'ab',
    '.',
    '\\d+',
    '(fish|cat)?',
    '(fish|cat)',
    '(zeb(ra|.*)|1234|ERR)',
    '[zE]',
    '(?i:fish)',
    '|',
    'ERR',
    ' ',
    'a',
    ':',
  )
  const grep = fc.oneof(
    fc.array(atom, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
    fc.constantFrom('ä', '"', 'ebra zeb', 'zebrafish', '234567', '(?i:zebra)'),
  )
  const query = fc.record(
    { grep, level: fc.constantFrom('warn', 'error'), context: fc.constantFrom(1), tailLines: fc.constantFrom(1, 5) },
    { requiredKeys: ['grep'] },
  )

  const ended = ({ container, lines }: Block): Block => {
    return {
      container,
      lines: lines.map(({ log, stream }) => ({ log: log.endsWith('\n') ? log : `${log}\n`, stream })),
    }
  }

  // Few blocks are searched by the reader itself, many in a thread.
  test.each([1, 1_000])(
    'whatever the lines and the expression, with a thread from %i blocks on',
    { timeout: 120_000 },
    async (blocksMin) => {
      const search = new LineSearch(blocksMin)
      onTestFinished(() => search.close())
      await fc.assert(
        fc.asyncProperty(blocks, query, fc.constantFrom(1, 300, 3_000), async (given, query, partBytes) => {
          // What is read from the last backwards may begin in the middle of a line.
          const segment = await aSegment(query.tailLines === undefined ? given : given.map(ended))
          const { read } = aReader(segment.dir, search)
          const without = await read(query)
          indexOf(segment, partBytes)
          expect(await read(query)).toEqual(without)
          if (query.level !== undefined || query.context !== undefined || query.tailLines !== undefined) return
          const all = await read({})
          expect(without).toEqual(all.filter(({ text }) => new RegExp(query.grep, 'u').test(text)))
        }),
        { numRuns: 100 },
      )
    },
  )
})

/** Those of odd numbers are packed. */
const PACKED = 31
const rare = (word: string) =>
  Array.from({ length: 40 }, (_, block) =>
    wordsOf(
      Array.from({ length: 20 }, (_, line) =>
        block === PACKED && line === 7 ? `here is ${word} at last` : `block ${block} line ${line} is as all others are`,
      ),
    ),
  )

test('a block without the text is not unpacked: what is written into it afterwards is not found', async () => {
  const segment = await aSegment(rare('zebrafish'))
  const { read } = aReader(segment.dir)
  indexOf(segment)
  const bytes = readFileSync(segment.path, 'latin1')
  const changed = bytes.replaceAll('is as all others are', 'zebrafish others are')
  expect(changed).not.toBe(bytes)
  writeFileSync(segment.path, changed, 'latin1')
  expect((await read({ grep: 'ebrafi' })).map(({ text }) => text)).toEqual(['here is zebrafish at last'])
  rmSync(idx(segment.path))
  expect((await read({ grep: 'ebrafi' })).length).toBeGreaterThan(1)
})

describe('an index that is', () => {
  async function compared(harm: (path: string) => void | Promise<void>) {
    const segment = await aSegment(rare('zebrafish'))
    const { read } = aReader(segment.dir)
    const without = await read({ grep: 'zebrafish' })
    indexOf(segment)
    const whole = readFileSync(idx(segment.path))
    await harm(segment.path)
    expect(await read({ grep: 'zebrafish' })).toEqual(without)
    expect(await read({ tailLines: 3 })).toHaveLength(3)
    indexOf(segment)
    return { whole, again: readFileSync(idx(segment.path)), read, without }
  }

  test('missing is made anew', async () => {
    const { whole, again } = await compared((path) => rmSync(idx(path)))
    expect(again).toEqual(whole)
  })

  test('torn, wherever, is gone on with', async () => {
    for (const part of [0, 0.01, 0.3, 0.5, 0.99]) {
      const { whole, again } = await compared((path) =>
        truncateSync(idx(path), Math.floor(statSync(idx(path)).size * part)),
      )
      expect(again).toEqual(whole)
    }
  })

  test('followed by what a crash left there is gone on with', async () => {
    const { whole, again } = await compared((path) => appendFileSync(idx(path), Buffer.alloc(5_000)))
    expect(again).toEqual(whole)
  })

  test('damaged at any byte misses nothing', { timeout: 60_000 }, async () => {
    const segment = await aSegment(rare('zebrafish'))
    const { read } = aReader(segment.dir)
    const without = await read({ grep: 'zebrafish' })
    indexOf(segment)
    const whole = readFileSync(idx(segment.path))
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Buffer.from(whole)
        damaged[at]! ^= change
        writeFileSync(idx(segment.path), damaged)
        expect(await read({ grep: 'zebrafish' })).toEqual(without)
      }),
      { numRuns: 100 },
    )
  })

  test('of another segment is not believed, and made anew', async () => {
    const other = await aSegment(rare('something else'))
    indexOf(other)
    const { whole, again } = await compared((path) => copyFileSync(idx(other.path), idx(path)))
    expect(again).toEqual(whole)
  })

  test('behind its segment is as good as it goes', async () => {
    const segment = await aSegment(rare('zebrafish'))
    const { read } = aReader(segment.dir)
    const half = [...Array(segment.bytes).keys()].find((bytes) => bytes > segment.bytes / 2)!
    indexSegment({ path: segment.path, bytes: half, isSealed: false }, PART_BYTES)
    const before = readFileSync(idx(segment.path))
    expect((await read({ grep: 'zebrafish' })).length).toBe(1)
    indexOf(segment)
    expect(readFileSync(idx(segment.path)).subarray(0, before.length)).toEqual(before)
    expect((await read({ grep: 'zebrafish' })).length).toBe(1)
  })
})

describe('the store', () => {
  test('makes the indices that are missing, and counts them into its size', async () => {
    const segment = await aSegment(rare('zebrafish'))
    seal(segment)
    const { store, read } = aReader(segment.dir)
    expect(store.stats().unindexedBytes).toBe(segment.bytes)
    await store.indexed()
    expect(store.stats()).toMatchObject({
      unindexedBytes: 0,
      bytes: segment.bytes + statSync(idx(segment.path)).size,
    })
    expect((await read({ grep: 'zebrafish' })).length).toBe(1)
  })

  test('makes an index anew that a reader finds damaged', async () => {
    const segment = await aSegment(rare('zebrafish'))
    const { store, read } = aReader(segment.dir)
    indexOf(segment)
    const own = store.segments('web')[0]!
    own.index = { covered: segment.bytes, length: statSync(idx(segment.path)).size }
    own.sealed = true
    writeFileSync(idx(segment.path), 'nonsense')
    expect((await read({ grep: 'zebrafish' })).length).toBe(1)
    await expect.poll(() => own.index.covered, { timeout: 30_000 }).toBe(segment.bytes)
  })

  test('lets an index go with its segment, and what a crash left of others', async () => {
    const segment = await aSegment(rare('zebrafish'))
    indexOf(segment)
    const orphan = segment.path.replace('00000001.log', '00000009.idx')
    writeFileSync(orphan, 'x')
    const store = new LogStore({ dir: segment.dir, bytesMax: 1e12, ageMaxMs: 1_000, now: Date.now, log: SILENT })
    onTestFinished(() => store.close())
    expect(existsSync(orphan)).toBe(false)
    await store.sweep()
    expect(existsSync(idx(segment.path))).toBe(false)
  })
})

test('the last lines of each task are read from as many segments as it takes, and no more', async () => {
  const first = await aSegment([wordsOf(['a', 'b', 'c'], 'c1'), wordsOf(['d', 'e'], 'c2')])
  seal(first)
  const second = await aSegment([wordsOf(['f', 'g'], 'c2')], first.dir)
  seal(second)
  const third = await aSegment([wordsOf(['h'], 'c2')], first.dir)
  expect([first, second, third].map(({ path }) => path.slice(-12, -4))).toEqual(['00000001', '00000002', '00000003'])
  const { read } = aReader(first.dir)
  const texts = async (tailLines: number) => (await read({ tailLines })).map(({ text }) => text).sort()
  expect(await texts(1)).toEqual(['c', 'h'])
  expect(await texts(2)).toEqual(['b', 'c', 'g', 'h'])
  expect(await texts(4)).toEqual(['a', 'b', 'c', 'e', 'f', 'g', 'h'])
  const damaged = readFileSync(second.path)
  writeFileSync(second.path, damaged.fill(0))
  expect(await texts(1)).toEqual(['c', 'h'])
})

test('an index that could not be written is tried again with the next sweep', async () => {
  const segment = await aSegment(rare('zebrafish'))
  seal(segment)
  mkdirSync(idx(segment.path))
  const { store, read } = aReader(segment.dir)
  await store.indexed()
  expect(store.stats().unindexedBytes).toBe(segment.bytes)
  expect((await read({ grep: 'zebrafish' })).length).toBe(1)
  rmSync(idx(segment.path), { recursive: true })
  await store.sweep()
  await store.indexed()
  expect(store.stats().unindexedBytes).toBe(0)
})

test('who reads a segment as it was before has the parts of that, and hears how far its index goes by now', async () => {
  const segment = await aSegment(rare('zebrafish'))
  indexOf(segment)
  const { parts, covered } = await readIndex(segment.path, segment.bytes - 1)
  expect(covered).toBe(segment.bytes)
  expect(parts.at(-1)!.endsAt).toBeLessThan(segment.bytes)
})
