import { statSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FollowedFile, followFile } from '../../../agent/host/follow-file.ts'
import { parseJsonLog } from '../../../shared/json-log.ts'
import { LogFolder } from './log-folder.ts'

let log: LogFolder
let followed: FollowedFile | null = null
const seen: string[] = []
let caughtUp = 0
let gaps = 0

beforeEach(() => {
  log = new LogFolder()
  seen.length = 0
  caughtUp = 0
  gaps = 0
})

afterEach(() => {
  followed?.close()
  log.remove()
})

function follow(offset = 0): FollowedFile {
  followed = followFile(
    log.path,
    { inode: statSync(log.path).ino, offset },
    {
      lines: (lines) =>
        void seen.push(...lines.map((line) => parseJsonLog(line)?.text.trimEnd() ?? `corrupt: ${line}`)),
      caughtUp: () => void caughtUp++,
      gap: () => void gaps++,
      failed: (error) => void seen.push(`failed: ${error.message}`),
    },
  )
  return followed
}

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`)
const writeNumbered = (from: number, to: number) => {
  for (const line of numbered(from, to)) log.write(line)
}
const nextTurn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))

describe('a followed log gives each line once and in order', () => {
  test('what was there and what is written afterwards', async () => {
    writeNumbered(0, 100)
    follow()
    await vi.waitFor(() => expect(caughtUp).toBeGreaterThan(0))
    expect(seen).toEqual(numbered(0, 100))
    writeNumbered(100, 200)
    await vi.waitFor(() => expect(seen).toEqual(numbered(0, 200)))
  })

  test('from a given byte on, also with characters of several bytes before it', async () => {
    log.write('grüße 🚢 vor dem Anfang')
    const offset = statSync(log.path).size
    writeNumbered(0, 3)
    follow(offset)
    await vi.waitFor(() => expect(seen).toEqual(numbered(0, 3)))
  })

  test('across a rotation while the reader is at the end', async () => {
    writeNumbered(0, 10)
    follow()
    await vi.waitFor(() => expect(seen).toHaveLength(10))
    writeNumbered(10, 20)
    log.rotate()
    writeNumbered(20, 30)
    await vi.waitFor(() => expect(seen).toEqual(numbered(0, 30)))
  })

  test('across several rotations in one go, none of whose files is skipped', async () => {
    writeNumbered(0, 10)
    follow()
    await vi.waitFor(() => expect(seen).toHaveLength(10))
    for (let i = 1; i < 4; i++) {
      writeNumbered(i * 10, i * 10 + 10)
      log.rotate()
    }
    writeNumbered(40, 41)
    await vi.waitFor(() => expect(seen).toEqual([...numbered(0, 40), 'line 40']))
  })

  test('across rotations while a writer keeps writing as fast as it can', async () => {
    follow()
    const total = 60_000
    for (let next = 0; next < total; ) {
      for (let i = 0; i < 500; i++) log.write(`line ${next++}`)
      if (next % 5000 === 0) log.rotate()
      await nextTurn()
      // Not further ahead than the files that are kept.
      await vi.waitFor(() => expect(next - seen.length).toBeLessThan(15_000), { timeout: 20_000, interval: 5 })
    }
    await vi.waitFor(() => expect(seen).toHaveLength(total), { timeout: 20_000 })
    expect(seen).toEqual(numbered(0, total))
    expect(gaps).toBe(0)
  })

  test('when its start has been rotated away before it is opened', async () => {
    writeNumbered(0, 10)
    follow()
    log.rotate()
    writeNumbered(10, 20)
    log.rotate()
    writeNumbered(20, 30)
    await vi.waitFor(() => expect(seen).toEqual(numbered(0, 30)))
  })

  test('a line that is written in two halves, cut through the middle of a character', async () => {
    follow()
    const bytes = Buffer.from('{"log":"half 🚢 way\\n","stream":"stdout","time":"2026-11-23T00:00:00Z"}\n')
    const middle = bytes.indexOf(0xf0) + 2
    await vi.waitFor(() => expect(caughtUp).toBeGreaterThan(0))
    const before = caughtUp
    log.writeRaw(bytes.subarray(0, middle))
    await vi.waitFor(() => expect(caughtUp).toBeGreaterThan(before), { timeout: 5000 })
    expect(seen).toEqual([])
    log.writeRaw(bytes.subarray(middle))
    await vi.waitFor(() => expect(seen).toEqual(['half 🚢 way']))
  })
})

describe('a truncated log', () => {
  test('is read from its new beginning, and the gap is told', async () => {
    writeNumbered(0, 100)
    follow()
    await vi.waitFor(() => expect(seen).toHaveLength(100))
    log.truncate()
    writeNumbered(100, 105)
    await vi.waitFor(() => expect(seen).toEqual(numbered(0, 105)))
    expect(gaps).toBe(1)
  })

  test('is noticed even when it has grown beyond where the reader was', async () => {
    writeNumbered(0, 10)
    follow()
    await vi.waitFor(() => expect(seen).toHaveLength(10))
    followed?.pause()
    log.truncate()
    writeNumbered(10, 500)
    followed?.resume()
    await vi.waitFor(() => expect(seen).toEqual(numbered(0, 500)))
    expect(gaps).toBe(1)
  })
})

test('a paused reader reads no more than a buffer, and goes on where it stopped', async () => {
  const count = 20_000
  writeNumbered(0, count)
  const file = follow()
  file.pause()
  await nextTurn(200)
  const whilePaused = seen.length
  expect(whilePaused).toBeLessThan(2000)
  file.resume()
  await vi.waitFor(() => expect(seen).toEqual(numbered(0, count)), { timeout: 10_000 })
})

test('a removed log ends in being caught up with, after its last line', async () => {
  follow()
  await vi.waitFor(() => expect(caughtUp).toBeGreaterThan(0))
  writeNumbered(0, 5)
  const gone = log
  gone.remove()
  log = new LogFolder()
  const before = caughtUp
  followed?.look()
  await vi.waitFor(() => expect(caughtUp).toBeGreaterThan(before))
  expect(seen).toEqual(numbered(0, 5))
})
