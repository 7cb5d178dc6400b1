/** Rotated files that the Engine has compressed (`compress: true`): places in them count as in the files that they were. */
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LogSpool } from '../../agent/host/log-spool.ts'
import { headOfPacked } from '../../agent/host/packed-log.ts'
import { LOG_BLOCK_BYTES_MAX } from '../../shared/wire/log-block.ts'
import { aFolder, aLogBed, EngineLogFile } from './log-bed.ts'

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `line ${from + i} of this log`)
const until = async (holds: () => Promise<boolean>) => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}
const textsOf = (lines: { text: string }[]) => lines.map(({ text }) => text)

describe('of files that the Engine has compressed', () => {
  test('each line comes once and in order, whoever is killed when', async () => {
    const bed = aLogBed()
    const deeds = fc.array(
      fc.record({ lines: fc.nat(200), deed: fc.constantFrom('go on', 'agent dies', 'coordinator dies', 'cut') }),
      { minLength: 1, maxLength: 12 },
    )
    let container = 0
    await fc.assert(
      fc.asyncProperty(deeds, fc.integer({ min: 4_000, max: 20_000 }), async (all, maxBytes) => {
        const log = new EngineLogFile(aFolder(), maxBytes, 1_000, true)
        const [name, task] = [`c${++container}`, `shop_api.${container}`]
        bed.run(name, log.path, task)
        let count = 0
        for (const { lines, deed } of all) {
          log.write(numbered(lines, count))
          count += lines
          await bed.shipping.settled(name, 2)
          if (deed === 'agent dies') bed.killAgent()
          if (deed === 'coordinator dies') bed.killCoordinator()
          if (deed === 'cut') {
            bed.disconnect()
            bed.connect()
          }
        }
        await until(async () => (await bed.read({}, [task])).length >= count)
        expect(textsOf(await bed.read({}, [task]))).toEqual(numbered(count))
        bed.remove(name)
      }),
      { numRuns: 15 },
    )
    expect(bed.notices).toEqual([])
  })

  test('larger than a block, and read from the middle of one that was plain when it was read before', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder(), Number.POSITIVE_INFINITY, 9, true)
    bed.run('c1', log.path)
    log.write(numbered(7))
    await bed.read()
    bed.shipping.close()
    log.write(numbered(20_000, 7))
    expect(log.bytes).toBeGreaterThan(2 * LOG_BLOCK_BYTES_MAX)
    log.rotate()
    log.write(numbered(5, 20_007))
    bed.killAgent()
    await until(async () => (await bed.read()).length >= 20_012)
    expect(textsOf(await bed.read())).toEqual(numbered(20_012))
    expect(bed.notices).toEqual([])
  })

  test('also when the container is removed before they are unpacked', async () => {
    const bed = aLogBed()
    const dir = aFolder()
    const log = new EngineLogFile(dir, 100_000, 99, true)
    bed.disconnect()
    bed.run('c1', log.path)
    log.write(numbered(10_000))
    await bed.shipping.lastWords('c1')
    bed.remove('c1')
    rmSync(dir, { recursive: true })
    bed.connect()
    await until(async () => (await bed.read()).length >= 10_000)
    expect(textsOf(await bed.read())).toEqual(numbered(10_000))
  })

  test('one that is torn, as the Engine was killed meanwhile, is read as far as it goes, and the gap is told', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder(), Number.POSITIVE_INFINITY, 9, true)
    log.write(numbered(1_000))
    log.rotate()
    log.write(['after'])
    truncateSync(`${log.path}.1.gz`, statSync(`${log.path}.1.gz`).size >> 1)
    bed.run('c1', log.path)
    await until(async () => textsOf(await bed.read()).includes('after'))
    const texts = textsOf(await bed.read())
    expect(texts.length).toBeGreaterThan(2)
    expect(texts.length).toBeLessThan(1_000)
    // The last line that can be had of it may be cut.
    expect(texts.slice(0, -2)).toEqual(numbered(texts.length - 2))
    expect(bed.notices.map(({ code }) => code)).toEqual(['log-gap'])
  })

  test('one that is no gzip at all is passed over, and the gap is told', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder(), Number.POSITIVE_INFINITY, 9, true)
    log.rotate()
    writeFileSync(`${log.path}.1.gz`, 'this is none')
    log.write(['after'])
    bed.run('c1', log.path)
    expect(textsOf(await bed.read())).toEqual(['after'])
    expect(bed.notices.map(({ code }) => code)).toEqual(['log-gap'])
  })
})

describe('a spool', () => {
  function linesOf(spool: LogSpool): Promise<{ texts: string[]; gaps: number }> {
    const texts: string[] = []
    let gaps = 0
    return new Promise((resolve) => {
      const look = () => {
        for (let block = spool.next(); block !== null; block = spool.next()) {
          texts.push(
            ...block.bytes
              .toString()
              .split('\n')
              .filter((line) => line !== ''),
          )
          if (block.gap) gaps += 1
        }
        if (spool.isUnpacking) setImmediate(look)
        else resolve({ texts, gaps })
      }
      look()
    })
  }

  test('that holds a file which is compressed meanwhile does not read it twice', async () => {
    const log = new EngineLogFile(aFolder(), Number.POSITIVE_INFINITY, 9, true)
    log.write(numbered(10))
    const spool = new LogSpool(log.path, { heldBytesMax: () => 1e9, ready: () => {} })
    onTestFinished(() => spool.close())
    spool.rewind(null)
    // None of these is seen on its way.
    for (let file = 1; file < 4; file++) {
      log.rotate()
      log.write(numbered(10, 10 * file))
    }
    const { texts, gaps } = await linesOf(spool)
    expect(texts.length).toBe(40)
    expect(gaps).toBe(0)
  })

  test('knows a compressed file by its length where others begin alike', async () => {
    const dir = aFolder()
    const path = join(dir, 'json.log')
    const part = '{"log":"a part of a long line","stream":"stdout","time":"2026-11-26T10:00:00.000000001Z"}\n'
    const [older, place, newer] = [part.repeat(3), part.repeat(5), part.repeat(4)]
    writeFileSync(`${path}.1`, place)
    writeFileSync(path, '')
    const before = new LogSpool(path, { heldBytesMax: () => 1e9, ready: () => {} })
    before.rewind(null)
    const block = before.next()!
    before.close()
    expect(block.end).toBe(place.length)
    rmSync(`${path}.1`)
    for (const [index, text] of [newer, place, older].entries())
      writeFileSync(`${path}.${index + 1}.gz`, gzipSync(text))
    const spool = new LogSpool(path, { heldBytesMax: () => 1e9, ready: () => {} })
    onTestFinished(() => spool.close())
    spool.rewind({ file: block.file, offset: block.end })
    expect(await linesOf(spool)).toMatchObject({ texts: newer.trimEnd().split('\n'), gaps: 0 })
  })

  test('lists files in the middle of a renaming as they follow each other', () => {
    const log = new EngineLogFile(aFolder(), Number.POSITIVE_INFINITY, 9)
    for (let file = 0; file < 4; file++) {
      log.write([`in file ${file}`])
      log.rotate()
    }
    const spool = new LogSpool(log.path, { heldBytesMax: () => 1e9, ready: () => {} })
    onTestFinished(() => spool.close())
    spool.rewind(null)
    // One number is missing between two renamings.
    renameSync(`${log.path}.2`, `${log.path}.9`)
    let texts = ''
    for (let block = spool.next(); block !== null; block = spool.next()) {
      texts += block.bytes
      expect(block.gap).toBe(false)
    }
    expect([...texts.matchAll(/in file (\d)/g)].map(([, file]) => file)).toEqual(['0', '1', '2', '3'])
    expect(existsSync(`${log.path}.9`)).toBe(true)
  })
})

test('the first line of a compressed file is had without unpacking all of it', () => {
  const path = join(aFolder(), 'large.gz')
  const text = `first\n${'nothing but zeros'.repeat(4_000_000)}`
  writeFileSync(path, gzipSync(text))
  const descriptor = openSync(path, 'r')
  const head = headOfPacked(descriptor)
  closeSync(descriptor)
  expect(head.subarray(0, 6).toString()).toBe('first\n')
  expect(head.length).toBeLessThan(text.length / 10)
  expect(readFileSync(path).length).toBeGreaterThan(4096)
})
