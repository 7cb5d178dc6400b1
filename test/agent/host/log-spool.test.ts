/** Files that the Engine threw away are held for what is in them, and no longer than there is room. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { LogSpool } from '../../../agent/host/log-spool.ts'
import { EngineLogFile } from '../../logs/log-bed.ts'

const FILE_BYTES = 2_000
const ROTATIONS = 20

function aFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'berth-spool-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** The spool after so many rotations, each seen; of each file as many lines as it has room for. */
function rotated(heldBytesMax: number) {
  const log = new EngineLogFile(aFolder(), FILE_BYTES, 2)
  const spool = new LogSpool(log.path, { heldBytesMax: () => heldBytesMax, ready: () => {} })
  onTestFinished(() => spool.close())
  spool.rewind(null)
  const descriptors = () => readdirSync('/proc/self/fd').length
  const before = descriptors()
  let count = 0
  for (let rotation = 0; rotation < ROTATIONS; rotation++) {
    for (let line = 0; line < 20; line++) {
      log.write([`line ${count++}`])
      spool.look()
    }
  }
  return { spool, count, held: descriptors() - before }
}

function readAll(spool: LogSpool) {
  let bytes = 0
  let lines = 0
  let gaps = 0
  for (let block = spool.next(); block !== null; block = spool.next()) {
    bytes += block.bytes.length
    lines += block.bytes.toString().split('\n').length - 1
    if (block.gap) gaps += 1
  }
  return { bytes, lines, gaps }
}

test('nothing of them is lost while there is room', () => {
  const { spool, count } = rotated(1_000_000)
  expect(readAll(spool)).toMatchObject({ lines: count, gaps: 0 })
})

test('beyond that the oldest go, their descriptors too, and the gap is told once', () => {
  const { spool, count, held } = rotated(4 * FILE_BYTES)
  // And the newest, which has its name still.
  expect(held).toBeLessThanOrEqual(5)
  const read = readAll(spool)
  expect(read.gaps).toBe(1)
  expect(read.lines).toBeLessThan(count)
  expect(read.bytes).toBeGreaterThan(FILE_BYTES)
  expect(read.bytes).toBeLessThanOrEqual(5 * FILE_BYTES)
})

test('what is after a gap says so each time it is read, as a block may be lost on its way', () => {
  const log = new EngineLogFile(aFolder(), FILE_BYTES, 2)
  const spool = new LogSpool(log.path, { heldBytesMax: () => 1_000_000, ready: () => {} })
  onTestFinished(() => spool.close())
  spool.rewind(null)
  log.write(['before'])
  const { file, end } = spool.next()!
  // Nobody looks meanwhile.
  for (let line = 0; line < 100; line++) log.write([`line ${line}`])
  for (let time = 0; time < 3; time++) {
    spool.rewind({ file, offset: end })
    expect(readAll(spool).gaps).toBe(1)
  }
})

test('who begins with as many files as the Engine keeps says that there may have been others, with fewer not', () => {
  const log = new EngineLogFile(aFolder(), FILE_BYTES, 3)
  const gapsNow = () => {
    const spool = new LogSpool(log.path, { heldBytesMax: () => 1_000_000, ready: () => {}, filesMax: 3 })
    spool.rewind(null)
    const { gaps } = readAll(spool)
    spool.close()
    return gaps
  }
  log.write(['first'])
  expect(gapsNow()).toBe(0)
  log.rotate()
  log.write(['second'])
  expect(gapsNow()).toBe(0)
  log.rotate()
  log.write(['third'])
  expect(gapsNow()).toBe(1)
})
