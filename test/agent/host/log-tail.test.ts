import { chmodSync } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { QUEUE_LINES_MAX } from '../../../agent/host/line-queue.ts'
import { createLogTail, type LogTailOptions, STREAMS_MAX } from '../../../agent/host/log-tail.ts'
import type { ContainerHandle, LogSink } from '../../../agent/parts.ts'
import { parseLogTime } from '../../../shared/log-time.ts'
import type { LogOpen } from '../../../shared/wire/down.ts'
import type { LogFailure, LogLine, TaskError } from '../../../shared/wire/up.ts'
import { LogFolder } from './log-folder.ts'

class RecordingSink implements LogSink {
  readonly batches: { stream: string; lines: LogLine[]; dropped: number }[] = []
  readonly ends: { stream: string; error: TaskError | undefined }[] = []
  readonly failures: LogFailure[] = []
  isFull = false
  #drain: (() => void) | null = null

  lines = (stream: string, lines: LogLine[], dropped: number) => {
    this.batches.push({ stream, lines, dropped })
    return !this.isFull
  }

  drained = () =>
    new Promise<void>((resolve) => {
      this.#drain = resolve
    })

  failed = (_stream: string, failure: LogFailure) => void this.failures.push(failure)

  end = (stream: string, error?: TaskError) => void this.ends.push({ stream, error })

  release(): void {
    this.isFull = false
    this.#drain?.()
  }

  get all(): LogLine[] {
    return this.batches.flatMap(({ lines }) => lines)
  }
  get texts(): string[] {
    return this.all.map(({ text }) => text)
  }
  get dropped(): number {
    return this.batches.reduce((sum, { dropped }) => sum + dropped, 0)
  }
}

let log: LogFolder
let sink: RecordingSink
let handles: ContainerHandle[]
let tail: ReturnType<typeof createLogTail>

function aHandle(over: Partial<ContainerHandle> = {}): ContainerHandle {
  return { task: 't1', containerId: 'c1', attempt: 1, pid: 1, logPath: log.path, memoryBytesLimit: null, ...over }
}

function tailWith(options: Partial<LogTailOptions> = {}) {
  tail = createLogTail({ containers: () => handles, ...options })
  return tail
}

const request = (over: Partial<LogOpen> = {}): LogOpen => ({
  kind: 'log-open',
  stream: 's1',
  tasks: ['t1'],
  follow: false,
  ...over,
})
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`)
const writeNumbered = (from: number, to: number, folder = log) => {
  for (const line of numbered(from, to)) folder.write(line)
}
const ended = () => vi.waitFor(() => expect(sink.ends).toHaveLength(1), { timeout: 10_000 })

beforeEach(() => {
  log = new LogFolder()
  sink = new RecordingSink()
  handles = [aHandle()]
  tailWith()
})

afterEach(() => {
  tail.closeAll()
  log.remove()
})

describe('the past', () => {
  test('all lines are given with their time, source and task, then the stream ends', async () => {
    const at = log.write('to stdout')
    log.write('to stderr', 'stderr')
    tail.open(request(), sink)
    await ended()
    expect(sink.all).toEqual([
      { task: 't1', at, source: 'stdout', text: 'to stdout' },
      { task: 't1', at: at + 1, source: 'stderr', text: 'to stderr' },
    ])
    expect(sink.ends).toEqual([{ stream: 's1', error: undefined }])
  })

  test.each([0, 1, 2, 10, 700, 4999, 5000, 9000])('the last %i lines, through rotated files', async (tailLines) => {
    for (let i = 0; i < 5; i++) {
      writeNumbered(i * 1000, i * 1000 + 1000)
      if (i < 4) log.rotate()
    }
    tail.open(request({ tailLines }), sink)
    await ended()
    expect(sink.texts).toEqual(numbered(Math.max(0, 5000 - tailLines), 5000))
  })

  test('the last lines are those of when they were asked for: what is written meanwhile is not among them', async () => {
    writeNumbered(0, 100)
    tail.open(request({ tailLines: 3 }), sink)
    writeNumbered(100, 150)
    await ended()
    expect(sink.texts).toEqual(numbered(97, 100))
  })

  test('lines since a time, through rotated files', async () => {
    writeNumbered(0, 3000)
    const since = log.write('the first one wanted')
    writeNumbered(3000, 4000)
    log.rotate()
    writeNumbered(4000, 8000)
    tail.open(request({ since }), sink)
    await ended()
    expect(sink.texts).toEqual(['the first one wanted', ...numbered(3000, 8000)])
  })

  test('with a time and a count, whichever gives fewer lines', async () => {
    writeNumbered(0, 10)
    const since = log.write('ten')
    writeNumbered(11, 20)
    tail.open(request({ since, tailLines: 3 }), sink)
    await ended()
    expect(sink.texts).toEqual(numbered(17, 20))
    tail.open(request({ stream: 's2', since, tailLines: 300 }), sink)
    await vi.waitFor(() => expect(sink.ends).toHaveLength(2))
    expect(sink.texts.slice(3)).toEqual(['ten', ...numbered(11, 20)])
  })

  test('pieces of a long line are joined, and count as one line', async () => {
    writeNumbered(0, 5)
    const at = log.writePiece('a'.repeat(16_384))
    log.write('between', 'stderr')
    log.writePiece('b'.repeat(16_384))
    log.writePiece('c\n')
    tail.open(request({ tailLines: 2 }), sink)
    await ended()
    const long = `${'a'.repeat(16_384)}${'b'.repeat(16_384)}c`
    expect(sink.all.at(-1)).toEqual({ task: 't1', at, source: 'stdout', text: long })
  })

  test('a line that was begun and never ended is given at the end', async () => {
    log.write('done')
    log.writePiece('password: ')
    tail.open(request({ tailLines: 1 }), sink)
    await ended()
    expect(sink.texts).toEqual(['password: '])
  })

  test('lines that are no lines are passed over and counted', async () => {
    log.write('before')
    log.writeRaw('{"log":"cut off\n')
    log.writeRaw('\n')
    log.writeRaw('{"log":7,"time":"never"}\n')
    log.writeRaw(`${'\0'.repeat(4096)}\n`)
    log.write('after')
    tail.open(request({ tailLines: 10 }), sink)
    await ended()
    expect(sink.texts).toEqual(['before', 'after'])
    expect(tail.skippedLines).toBe(4)
  })

  test('no batch holds more than 512 lines', async () => {
    writeNumbered(0, 3000)
    tail.open(request(), sink)
    await ended()
    expect(Math.max(...sink.batches.map(({ lines }) => lines.length))).toBeLessThanOrEqual(512)
    expect(sink.texts).toEqual(numbered(0, 3000))
  })

  test('a task without a container here, and an empty log, end at once', async () => {
    tail.open(request({ tasks: ['elsewhere'] }), sink)
    tail.open(request({ stream: 's2' }), sink)
    await vi.waitFor(() => expect(sink.ends).toHaveLength(2))
    expect(sink.batches).toEqual([])
  })
})

describe('following', () => {
  test('goes on through a rotation, giving each line once', async () => {
    writeNumbered(0, 10)
    tail.open(request({ follow: true, tailLines: 5 }), sink)
    await vi.waitFor(() => expect(sink.texts).toEqual(numbered(5, 10)))
    writeNumbered(10, 20)
    log.rotate()
    writeNumbered(20, 30)
    await vi.waitFor(() => expect(sink.texts).toEqual(numbered(5, 30)))
    expect(sink.ends).toEqual([])
  })

  test('shows a prompt that does not end its line', async () => {
    tail.open(request({ follow: true }), sink)
    log.writePiece('name? ')
    await vi.waitFor(() => expect(sink.texts).toEqual(['name? ']), { timeout: 5000 })
  })

  test('several tasks interleave, and a container that is made later joins them', async () => {
    const other = new LogFolder()
    try {
      handles.push(aHandle({ task: 't2', containerId: 'c2', logPath: other.path }))
      tail.open(request({ follow: true, tasks: ['t1', 't2', 't3'] }), sink)
      log.write('one')
      other.write('two')
      await vi.waitFor(() => expect(sink.texts.toSorted()).toEqual(['one', 'two']))
      const third = new LogFolder()
      third.write('three')
      handles.push(aHandle({ task: 't3', containerId: 'c3', logPath: third.path }))
      await vi.waitFor(() => expect(sink.texts).toContain('three'), { timeout: 5000 })
      third.remove()
    } finally {
      other.remove()
    }
  })

  test('a container that is removed gives its last lines, and its successor goes on in the same stream', async () => {
    tail.open(request({ follow: true }), sink)
    log.write('first container')
    await vi.waitFor(() => expect(sink.texts).toEqual(['first container']))
    const old = log
    log = new LogFolder()
    log.write('second container')
    old.write('last words')
    handles = [aHandle({ containerId: 'c2' })]
    old.remove()
    await vi.waitFor(
      () => expect(sink.texts.toSorted()).toEqual(['first container', 'last words', 'second container']),
      {
        timeout: 5000,
      },
    )
    expect(sink.ends).toEqual([])
  })

  test('each task goes on from a time of its own; tasks that are added come with all their lines', async () => {
    const [other, added] = [new LogFolder(), new LogFolder()]
    try {
      handles = [aHandle(), aHandle({ task: 't2', containerId: 'c2', logPath: other.path })]
      log.write('old')
      const from = { t1: log.write('one') }
      other.write('two')
      tail.open(request({ follow: true, tasks: ['t1', 't2'], tailLines: 0, from }), sink)
      await vi.waitFor(() => expect(sink.texts).toEqual(['one']))
      added.write('three')
      handles.push(aHandle({ task: 't3', containerId: 'c3', logPath: added.path }))
      tail.add({ kind: 'log-add', stream: 's1', tasks: ['t3'] })
      other.write('live')
      await vi.waitFor(() => expect(sink.texts.toSorted()).toEqual(['live', 'one', 'three']), { timeout: 5000 })
    } finally {
      other.remove()
      added.remove()
    }
  })

  test('lines that share a millisecond have times of their own', async () => {
    tail.open(request({ follow: true }), sink)
    for (const micro of ['000001', '000002', '999999']) {
      log.writeRaw(`{"log":"${micro}\\n","stream":"stdout","time":"2026-11-23T10:00:00.123${micro}Z"}\n`)
    }
    await vi.waitFor(() => expect(sink.all).toHaveLength(3))
    expect(new Set(sink.all.map(({ at }) => at)).size).toBe(2)
    expect(sink.all.map(({ at }) => Math.floor(at))).toEqual(Array(3).fill(Date.UTC(2026, 10, 23, 10, 0, 0, 123)))
  })

  test('nothing comes after the stream was closed', async () => {
    tail.open(request({ follow: true }), sink)
    log.write('before')
    await vi.waitFor(() => expect(sink.texts).toEqual(['before']))
    tail.close('s1')
    writeNumbered(0, 10)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(sink.texts).toEqual(['before'])
    expect(sink.ends).toEqual([])
  })
})

describe('a slow reader', () => {
  test('makes the past wait in its file: nothing is dropped', async () => {
    const count = 20_000
    writeNumbered(0, count)
    sink.isFull = true
    tail.open(request(), sink)
    await vi.waitFor(() => expect(sink.batches).toHaveLength(1))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(sink.batches).toHaveLength(1)
    sink.release()
    await ended()
    expect(sink.texts).toEqual(numbered(0, count))
    expect(sink.dropped).toBe(0)
  })

  test('of a live log gets the newest lines and the count of those left out', async () => {
    tail.open(request({ follow: true }), sink)
    log.write('live')
    await vi.waitFor(() => expect(sink.texts).toEqual(['live']))
    sink.isFull = true
    const count = QUEUE_LINES_MAX * 4
    for (let i = 0; i < count; i += 1024) {
      writeNumbered(i, Math.min(count, i + 1024))
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    sink.release()
    await vi.waitFor(() => expect(sink.texts.at(-1)).toBe(`line ${count - 1}`), { timeout: 5000 })
    expect(sink.dropped).toBeGreaterThan(0)
    expect(sink.all.length - 1 + sink.dropped).toBe(count)
    expect(sink.texts.slice(-QUEUE_LINES_MAX / 2)).toEqual(numbered(count - QUEUE_LINES_MAX / 2, count))
  })
})

describe('what cannot be had is said', () => {
  test('a log without a file, where the Engine cannot be asked', async () => {
    handles = [aHandle({ logPath: null })]
    tail.open(request(), sink)
    await ended()
    const message = 'the log of container c1 cannot be read (no file)'
    expect(sink.failures).toEqual([{ task: 't1', code: 'failed', message }])
  })

  test('more than 64 streams, or one of the same name', async () => {
    for (let i = 0; i < STREAMS_MAX; i++) tail.open(request({ stream: `f${i}`, follow: true }), sink)
    tail.open(request({ stream: 'one more', follow: true }), sink)
    expect(sink.ends).toMatchObject([{ stream: 'one more', error: { code: 'too-many-requests' } }])
    tail.open(request({ stream: 'f1', follow: true }), sink)
    expect(sink.ends.at(-1)).toMatchObject({ stream: 'f1', error: { code: 'conflict' } })
    tail.closeAll()
    tail.open(request({ stream: 'room again' }), sink)
    await vi.waitFor(() => expect(sink.ends.at(-1)).toEqual({ stream: 'room again', error: undefined }))
  })
})

describe('the Engine’s own stream, where the file cannot be read', () => {
  const frame = (source: 1 | 2, text: string) => {
    const header = Buffer.from([source, 0, 0, 0, 0, 0, 0, 0])
    header.writeUInt32BE(Buffer.byteLength(text), 4)
    return Buffer.concat([header, Buffer.from(text)])
  }
  const engineGives = (...chunks: Buffer[]) => {
    handles = [aHandle({ logPath: '/nonexistent/c1-json.log' })]
    return tailWith({ engineLogs: async () => Readable.from(chunks) })
  }

  test('frames of both sources, cut anywhere, become lines with their times', async () => {
    const bytes = Buffer.concat([
      frame(1, '2026-11-23T10:00:00.123456789Z grüße\n'),
      frame(2, '2026-11-23T10:00:01.5Z oh no\n'),
    ])
    engineGives(...Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) => bytes.subarray(i * 7, i * 7 + 7)))
    tail.open(request(), sink)
    await ended()
    expect(sink.all).toEqual([
      { task: 't1', at: parseLogTime('2026-11-23T10:00:00.123456789Z'), source: 'stdout', text: 'grüße' },
      { task: 't1', at: Date.UTC(2026, 10, 23, 10, 0, 1, 500), source: 'stderr', text: 'oh no' },
    ])
  })

  test('the bare output of a terminal', async () => {
    engineGives(Buffer.from('2026-11-23T10:00:00Z $ ls\r\n2026-11-23T10:00:01Z file\r\n'))
    tail.open(request(), sink)
    await ended()
    expect(sink.texts).toEqual(['$ ls', 'file'])
  })

  test('when it ends, it is asked again while the container runs, and gives only the lines that are new', async () => {
    const asked: (number | undefined)[] = []
    const lines = (...texts: string[]) => Readable.from(texts.map((text) => frame(1, `2026-11-23T10:00:00.5${text}\n`)))
    handles = [aHandle({ logPath: null })]
    tailWith({
      engineLogs: async (_container, { sinceMs }) => {
        asked.push(sinceMs)
        if (asked.length === 1) return lines('Z one', 'Z two')
        return asked.length === 2 ? lines('Z one', 'Z two', 'Z three', '000007Z four') : new PassThrough()
      },
    })
    tail.open(request({ follow: true }), sink)
    await vi.waitFor(() => expect(asked).toHaveLength(3), { timeout: 5000 })
    expect(sink.texts).toEqual(['one', 'two', 'three', 'four'])
    expect(asked.slice(0, 2)).toEqual([undefined, Date.UTC(2026, 10, 23, 10, 0, 0, 499)])
    expect(sink.ends).toEqual([])
  })

  test('an Engine that refuses is an error of the stream', async () => {
    handles = [aHandle({ logPath: null })]
    tailWith({ engineLogs: () => Promise.reject(new Error('configured logging driver does not support reading')) })
    tail.open(request(), sink)
    await ended()
    expect(sink.failures[0]?.message).toContain('does not support reading')
  })

  test('an Engine that refuses while its log is followed is said once, and asked again only after a while', async () => {
    handles = [aHandle({ logPath: null })]
    let asked = 0
    tailWith({
      engineLogs: () => {
        asked++
        return Promise.reject(new Error('configured logging driver does not support reading'))
      },
    })
    tail.open(request({ follow: true }), sink)
    await vi.waitFor(() => expect(sink.failures).toHaveLength(1))
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect([asked, sink.failures.length, sink.ends.length]).toEqual([1, 1, 0])
  })

  test('a file that may not be read', async () => {
    chmodSync(log.path, 0)
    tailWith({ engineLogs: async () => Readable.from([frame(1, '2026-11-23T10:00:00Z by the Engine\n')]) })
    await asSomebodyElse(async () => {
      tail.open(request(), sink)
      await ended()
    })
    expect(sink.texts).toEqual(['by the Engine'])
  })
})

/** Root may read everything; so this process is nobody for a while when it is root. */
async function asSomebodyElse(work: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

const NOBODY = 65_534
