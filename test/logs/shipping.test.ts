import { renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { FLOOD_BYTES } from '../../agent/host/flood.ts'
import { LogSpool } from '../../agent/host/log-spool.ts'
import type { LogTarget } from '../../coordinator/core.ts'
import type { Log } from '../../shared/log.ts'
import { until } from '../build/until.ts'
import { aFolder, aLogBed, EngineLogFile } from './log-bed.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `line ${from + i} of this log`)
const textsOf = (lines: { text: string }[]) => lines.map(({ text }) => text)

describe('what a container writes is kept', () => {
  test('each line once and in order, also when the container and its files have gone', async () => {
    const bed = aLogBed()
    const dir = aFolder()
    const log = new EngineLogFile(dir)
    bed.run('c1', log.path)
    log.write(numbered(3_000))
    await bed.shipping.lastWords('c1')
    bed.remove('c1')
    rmSync(dir, { recursive: true })
    expect(textsOf(await bed.read())).toEqual(numbered(3_000))
    expect(bed.store.tasks('shop_api')).toEqual([{ task: 'shop_api.1', name: 'shop_api.1', node: 'n1' }])
  })

  test('through small rotating files while agent and coordinator are killed again and again', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder(), 40_000, 5)
    bed.run('c1', log.path)
    let count = 0
    for (let round = 0; round < 60; round++) {
      log.write(numbered(100, count))
      count += 100
      await pause(6)
      if (round % 7 === 3) bed.killAgent()
      if (round % 7 === 5) bed.killCoordinator()
    }
    await bed.shipping.settled('c1', 2_000)
    expect(textsOf(await bed.read())).toEqual(numbered(count))
    expect(bed.notices).toEqual([])
  })

  test('that lines come in a flood is told once, and of few lines not at all', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    bed.shipping.containersChanged()
    log.write(numbered(100))
    await bed.shipping.settled('c1', 10_000)
    expect(bed.floods).toBe(0)
    for (let flood = 0; flood < 2; flood++) {
      log.write(Array.from({ length: FLOOD_BYTES / 100_000 + 1 }, () => 'x'.repeat(100_000)))
      await bed.shipping.settled('c1', 10_000)
      expect(bed.floods).toBe(1)
    }
  })

  test('what an agent had sent when it was killed counts as kept for the next one when it is on the disk, not before', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    for (let round = 0; round < 10; round++) {
      log.write(numbered(500, round * 500))
      while (!bed.store.isWaiting('c1')) await new Promise((resolve) => setImmediate(resolve))
      bed.killAgent()
      await bed.shipping.settled('c1', 10_000)
      expect(bed.store.placeOf('c1')?.offset).toBe(log.bytes)
    }
  })

  test('while the coordinator is away: files that the Engine throws away meanwhile are held', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder(), 20_000, 2)
    bed.run('c1', log.path)
    log.write(numbered(10))
    await pause(400)
    bed.disconnect()
    let count = 10
    for (let round = 0; round < 40; round++) {
      log.write(numbered(100, count))
      count += 100
      await pause(25)
    }
    bed.connect()
    await bed.shipping.settled('c1', 2_000)
    expect(textsOf(await bed.read())).toEqual(numbered(count))
    expect(bed.notices).toEqual([])
  })

  test('a log that is missing for a moment, between two steps of its rotation, is followed on before more of it are thrown away', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder(), Number.POSITIVE_INFINITY, 3)
    bed.run('c1', log.path)
    log.write(numbered(1))
    await bed.read()
    renameSync(log.path, `${log.path}.1`)
    // It was told that something happened, and has found nothing to be watched.
    await pause(60)
    writeFileSync(log.path, '')
    for (let line = 1; line < 20; line++) {
      log.write(numbered(1, line))
      // Longer than until the next look, much shorter than until the next poll.
      await pause(40)
      log.rotate()
    }
    await until(() => bed.store.stats().lines === 20)
    expect(textsOf(await bed.read())).toEqual(numbered(20))
    expect(bed.notices).toEqual([])
  })

  test('a log that rotates fast is watched from before its first line: a container that is made is told where its log will be', async () => {
    const bed = aLogBed()
    const dir = aFolder()
    bed.make('c1', join(dir, 'json.log'), 'shop_api.1')
    bed.shipping.containersChanged()
    await bed.shipping.settled('c1', 2_000)
    const log = new EngineLogFile(dir, Number.POSITIVE_INFINITY, 2)
    for (let line = 0; line < 6; line++) {
      log.write(numbered(1, line))
      // As above. Before all is over nobody knows more of the container than that it was made.
      await pause(40)
      log.rotate()
    }
    await until(() => bed.store.stats().lines === 6)
    bed.run('c1', log.path, 'shop_api.1')
    log.write(numbered(1, 6))
    await until(() => bed.store.stats().lines === 7)
    expect(textsOf(await bed.read())).toEqual(numbered(7))
    expect(bed.notices).toEqual([])
  })

  test('a log that is not where it was expected is found where it is, once its container runs', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    log.write(numbered(5))
    bed.make('c1', join(aFolder(), 'json.log'), 'shop_api.1')
    bed.shipping.containersChanged()
    await bed.shipping.settled('c1', 2_000)
    bed.run('c1', log.path, 'shop_api.1')
    await until(() => bed.store.stats().lines === 5)
    expect(textsOf(await bed.read())).toEqual(numbered(5))
  })

  test('a file that is emptied is read from its new beginning, and said to have a gap', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    bed.shipping.containersChanged()
    log.write(numbered(100))
    await bed.read()
    truncateSync(log.path, 0)
    log.write(numbered(5, 100))
    await bed.read()
    expect(textsOf(await bed.read())).toEqual(numbered(105))
    expect(bed.notices.map(({ code }) => code)).toEqual(['log-gap'])
  })

  test('rotation overtakes an agent that is away: the gap is told, what is left is kept', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder(), 5_000, 2)
    bed.run('c1', log.path)
    log.write(numbered(10))
    await bed.read()
    bed.shipping.close()
    log.write(numbered(500, 10))
    bed.killAgent()
    const texts = textsOf(await bed.read())
    expect(texts.slice(0, 10)).toEqual(numbered(10))
    expect(texts.at(-1)).toBe('line 509 of this log')
    expect(texts.length).toBeLessThan(510)
    // Exactly: of the last line before it, and of the first one after.
    const first = Date.parse('2026-11-26T10:00:00Z') + Number(/\d+/.exec(texts[10]!)![0])
    const span = `between 2026-11-26T10:00:00.009Z and ${new Date(first).toISOString()}`
    expect(bed.notices).toEqual([{ code: 'log-gap', message: expect.stringContaining(span) }])
  })

  test('a line of a megabyte comes in parts that together are the line', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    const long = Array.from({ length: 64 }, (_, i) => String(i).padEnd(16_384, 'x'))
    log.write(long, 'stdout', '')
    log.write(['the end'])
    expect(textsOf(await bed.read()).join('')).toBe(`${long.join('')}the end`)
  })

  test('but for one whose disk gives an error: that is told, the others go on, and so does it when it can be read', async () => {
    const bed = aLogBed()
    const [sick, well] = [new EngineLogFile(aFolder()), new EngineLogFile(aFolder())]
    bed.run('c1', sick.path)
    bed.run('c2', well.path)
    sick.write(['one'])
    await bed.read()
    const failing = vi.spyOn(LogSpool.prototype, 'next').mockImplementationOnce(() => {
      throw new Error('EIO: i/o error, read')
    })
    onTestFinished(() => failing.mockRestore())
    sick.write(['two'])
    await until(() => bed.notices.length > 0)
    well.write(['fine'])
    while ((await bed.read()).length < 3) await pause(50)
    expect(bed.notices).toEqual([{ code: 'log-not-read', message: expect.stringContaining('EIO: i/o error') }])
  })

  test('nothing of a file that stands behind a link', async () => {
    const bed = aLogBed()
    const dir = aFolder()
    const secret = join(dir, 'secret')
    writeFileSync(secret, '{"log":"a secret of the host\\n","stream":"stdout","time":"2026-11-26T10:00:00Z"}\n')
    const log = new EngineLogFile(join(dir, 'engine'))
    bed.run('c1', log.path)
    log.write(['own'])
    expect(textsOf(await bed.read())).toEqual(['own'])
    rmSync(log.path)
    symlinkSync(secret, log.path)
    bed.run('c2', log.path)
    expect(textsOf(await bed.read())).toEqual(['own'])
  })

  test('what is no line of a log harms nothing', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    log.write(['before'])
    writeFileSync(log.path, Buffer.from([0xff, 0xfe, 0x0a, 0x7b, 0x0a]), { flag: 'a' })
    log.write(['after'])
    expect(textsOf(await bed.read())).toEqual(['before', 'after'])
  })

  test('several containers are read in order of time', async () => {
    const bed = aLogBed()
    const logs = [new EngineLogFile(aFolder()), new EngineLogFile(aFolder())]
    logs.forEach((log, index) => void bed.run(`c${index}`, log.path))
    for (let round = 0; round < 20; round++) for (const log of logs) log.write(numbered(50, round * 50))
    const lines = await bed.read()
    expect(lines.length).toBe(2_000)
    expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => at).sort((a, b) => a - b))
  })

  test('a node cannot write into the log of another node’s task', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    bed.forgetTask('shop_api.1')
    log.write(['forged'])
    await pause(400)
    expect(bed.store.services()).toEqual([])
  })
})

describe('the store', () => {
  test('cuts off what a crash left half-written, and takes it again', async () => {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    bed.shipping.containersChanged()
    log.write(numbered(100))
    await bed.read()
    writeFileSync(join(bed.dir, 'shop_api/00000001.log'), 'BLG1 torn', { flag: 'a' })
    bed.killCoordinator()
    log.write(numbered(100, 100))
    expect(textsOf(await bed.read())).toEqual(numbered(200))
    bed.killCoordinator()
    expect(textsOf(await bed.read())).toEqual(numbered(200))
  })

  test('that the disk does not let write takes nothing, says so, and goes on when it does', async () => {
    const bed = aLogBed()
    // Where the service's folder is to be made there is something else.
    writeFileSync(join(bed.dir, 'shop_api'), '')
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    log.write(numbered(1_000))
    await bed.shipping.settled('c1', 300)
    await pause(400)
    expect(bed.store.trouble).toMatch(/EEXIST|ENOTDIR/)
    expect(bed.store.placeOf('c1')).toBe(null)
    rmSync(join(bed.dir, 'shop_api'))
    log.write(numbered(1_000, 1_000))
    await pause(1_300)
    expect(textsOf(await bed.read())).toEqual(numbered(2_000))
    expect(bed.store.trouble).toBe(null)
  })

  test('lets go of lines that are too old, of which nobody has written more, too; their places stay', async () => {
    const day = 24 * 60 * 60 * 1_000
    let now = Date.parse('2026-11-26T10:00:00Z')
    const bed = aLogBed({ ageMaxMs: day, now: () => now })
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    log.write(numbered(10))
    await bed.read()
    await bed.store.sweep()
    expect(textsOf(await bed.read())).toEqual(numbered(10))
    now += 2 * day
    await bed.store.sweep()
    expect(bed.store.stats()).toMatchObject({ bytes: 0, segmentsDropped: 1 })
    bed.killCoordinator()
    expect(bed.store.placeOf('c1')?.offset).toBe(log.bytes)
    expect(await bed.read()).toEqual([])
    log.write(['again'])
    expect(textsOf(await bed.read())).toEqual(['again'])
  })

  test('says once that the disk takes nothing, however many services it is, and once that it takes all again', async () => {
    const said: string[] = []
    const log = {
      debug() {},
      info: (_: unknown, text: string) => said.push(text),
      warn() {},
      error: (_: unknown, text: string) => said.push(text),
    }
    const bed = aLogBed({ log: log as unknown as Log })
    for (const name of ['a', 'b', 'c']) {
      const own = new EngineLogFile(aFolder())
      if (name !== 'c') writeFileSync(join(bed.dir, `shop_${name}`), '')
      bed.run(name, own.path, `shop_${name}.1`, `shop_${name}`)
      own.write([`first ${name}`])
    }
    const kept = (name: string) => bed.store.placeOf(name) !== null
    while (bed.store.trouble === null || !kept('c')) await pause(20)
    await pause(1_200)
    rmSync(join(bed.dir, 'shop_a'))
    while (!kept('a')) await pause(20)
    expect(said).toHaveLength(1)
    rmSync(join(bed.dir, 'shop_b'))
    while (!kept('b')) await pause(20)
    expect(said).toEqual([expect.stringContaining('log lines cannot be kept'), 'log lines are kept again'])
  })

  test('lets the oldest go first when there is no room for all', async () => {
    const bed = aLogBed({ bytesMax: 900 })
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      const own = new EngineLogFile(aFolder())
      own.skipMs(index)
      bed.run(name, own.path, `shop_${name}.1`, `shop_${name}`)
      own.write([`first ${name}`])
      await bed.read()
    }
    await bed.store.sweep()
    expect(bed.store.stats().bytes).toBeLessThanOrEqual(900)
    expect(textsOf(await bed.read({}, ['shop_a.1', 'shop_b.1', 'shop_c.1']))).toEqual(['first b', 'first c'])
  })

  test('a reader that follows hears what is written after retention has taken all that there was', async () => {
    let now = 0
    const bed = aLogBed({ ageMaxMs: 1, now: () => now })
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    log.write(['before'])
    await bed.read()
    const stop = new AbortController()
    const query = { tasks: [{ task: 'shop_api.1', node: 'n1' }], follow: true, signal: stop.signal }
    const reading = bed.reader().read(query)[Symbol.asyncIterator]()
    expect(textsOf((await reading.next()).value?.lines ?? [])).toEqual(['before'])
    now = Number.MAX_SAFE_INTEGER
    await bed.store.sweep()
    expect(bed.store.stats().bytes).toBe(0)
    now = 0
    log.write(['after'])
    expect(textsOf((await reading.next()).value?.lines ?? [])).toEqual(['after'])
    stop.abort()
  })
})

describe('a reader', () => {
  async function aShop() {
    const bed = aLogBed()
    const log = new EngineLogFile(aFolder())
    bed.run('c1', log.path)
    log.write(['starts', '{"level":"warn","msg":"slow"}', 'ERROR no disk', 'goes on', '{"level":30,"msg":"fine"}'])
    await bed.read()
    return { bed, log }
  }

  test('has only the lines that it asks for: by pattern, level, time, with those around', async () => {
    const { bed } = await aShop()
    expect(textsOf(await bed.read({ grep: 'disk' }))).toEqual(['ERROR no disk'])
    expect(textsOf(await bed.read({ grep: '^(starts|goes)' }))).toEqual(['starts', 'goes on'])
    expect(textsOf(await bed.read({ level: 'warn' }))).toEqual(['{"level":"warn","msg":"slow"}', 'ERROR no disk'])
    expect(textsOf(await bed.read({ grep: 'goes', context: 1 }))).toEqual([
      'ERROR no disk',
      'goes on',
      '{"level":30,"msg":"fine"}',
    ])
    expect(textsOf(await bed.read({ tailLines: 2 }))).toEqual(['goes on', '{"level":30,"msg":"fine"}'])
    const [first, second] = await bed.read()
    expect(textsOf(await bed.read({ until: first!.at }))).toEqual(['starts'])
    expect(textsOf(await bed.read({ since: second!.at, tailLines: 1, grep: 'slow' }))).toEqual([
      '{"level":"warn","msg":"slow"}',
    ])
  })

  test('has the lines of tasks that join while it looks for the past once', async () => {
    const { bed } = await aShop()
    const log = new EngineLogFile(aFolder())
    bed.run('c2', log.path)
    log.write(['of the second'])
    await bed.read()
    const stop = new AbortController()
    const [one, two] = ['shop_api.1', 'shop_api.2'].map((task) => ({ task, node: 'n1' })) as [LogTarget, LogTarget]
    const watch = (tell: (targets: LogTarget[] | null) => void) => {
      queueMicrotask(() => tell([one, two]))
      return () => {}
    }
    const query = { tasks: [one], follow: true, signal: stop.signal, watch }
    const texts: string[] = []
    for await (const { lines } of bed.reader().read(query)) {
      texts.push(...textsOf(lines))
      if (texts.includes('of the second')) setTimeout(() => stop.abort(), 100)
    }
    expect(texts.filter((text) => text === 'of the second')).toHaveLength(1)
    expect(texts).toHaveLength(6)
  })

  test('that reads far more files than it keeps open has every line', async () => {
    const bed = aLogBed()
    const services = Array.from({ length: 40 }, (_, index) => `shop_${index}`)
    for (const service of services) {
      const log = new EngineLogFile(aFolder())
      bed.run(service, log.path, `${service}.1`, service)
      log.write([`of ${service}`])
    }
    const read = await bed.read()
    expect(textsOf(read).sort()).toEqual(services.map((service) => `of ${service}`).sort())
  })

  test('with an expression that would not end is refused in a sentence', async () => {
    const { bed, log } = await aShop()
    log.write([`${'a'.repeat(40)}!`])
    await expect(bed.read({ grep: '^(a+)+$' })).rejects.toThrow(/took more than 2 s/)
    await expect(bed.read({ grep: '(' })).rejects.toThrow(/is no regular expression/)
  })

  test('that follows gets what is written, and does not hold up the store when it does not read', async () => {
    const { bed, log } = await aShop()
    const stop = new AbortController()
    const query = { tasks: [{ task: 'shop_api.1', node: 'n1' }], tailLines: 0, follow: true, signal: stop.signal }
    const reading = bed.reader().read(query)[Symbol.asyncIterator]()
    const first = reading.next()
    await pause(50)
    log.write(['first'])
    expect((await first).value?.lines.map(({ text }: { text: string }) => text)).toEqual(['first'])
    log.write(numbered(5_000))
    await bed.shipping.settled('c1', 2_000)
    expect(bed.store.stats().waitingBytes).toBe(0)
    const texts: string[] = []
    while (texts.length < 5_000) texts.push(...textsOf((await reading.next()).value?.lines ?? []))
    expect(texts).toEqual(numbered(5_000))
    stop.abort()
    expect((await reading.next()).done).toBe(true)
  })
})
