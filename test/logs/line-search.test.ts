import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import type { BlockPlace } from '../../coordinator/logs/kept-lines.ts'
import { LineSearch } from '../../coordinator/logs/line-search.ts'
import { linesHolding } from '../../coordinator/logs/lines-holding.ts'
import { aFolder } from './log-bed.ts'

const TEXT = 'one fish\ntwo\nred fish, blue fish\nthree cats\nlast cat'

test('lines that hold one of the texts are found once each and in order, the last one without its end', () => {
  const found = (...texts: string[]) =>
    linesHolding(
      Buffer.from(TEXT),
      texts.map((text) => Buffer.from(text)),
    ).toString()
  expect(found('fish')).toBe('one fish\nred fish, blue fish\n')
  expect(found('cat', 'fish', 'blue')).toBe('one fish\nred fish, blue fish\nthree cats\nlast cat')
  expect(found('dog')).toBe('')
  expect(found('three', 'dog')).toBe('three cats\n')
})

function aBlock(bytes: Buffer, encoding: 'raw' | 'zstd', path = join(aFolder(), 'segment')): BlockPlace {
  writeFileSync(path, Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]))
  const head = { container: 'c', task: 't', file: 'f', offset: 0, end: TEXT.length, after: null, lines: 5, longest: 20 }
  return {
    path,
    head: { ...head, from: 0, to: 0, gap: false, encoding, bytes: bytes.length, name: 't', node: 'n' },
    bytesAt: 6,
  }
}

test('a thread finds them in blocks, packed or not; of what it cannot read it says that it does not know, and goes on', async () => {
  const search = new LineSearch()
  onTestFinished(() => search.close())
  const packed = aBlock(zstdCompressSync(TEXT), 'zstd')
  const blocks = [
    aBlock(Buffer.from(TEXT), 'raw'),
    packed,
    { ...packed, path: join(aFolder(), 'gone') },
    aBlock(Buffer.from('no such thing'), 'zstd'),
    { ...packed, bytesAt: 1e6 },
    packed,
  ]
  const found = await Promise.all(blocks.map((block) => search.find(block, ['two', 'blue'])))
  const lines = 'two\nred fish, blue fish\n'
  expect(found.map((each) => each?.toString())).toEqual([lines, lines, undefined, undefined, undefined, lines])
  expect((await search.find(packed, ['dog']))?.length).toBe(0)
})
