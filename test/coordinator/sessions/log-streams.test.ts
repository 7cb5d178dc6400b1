import { describe, expect, test } from 'vitest'
import { LOG_STREAMS_MAX } from '../../../agent/link/log-sinks.ts'
import type { LogBatch, LogTarget } from '../../../coordinator/core.ts'
import { READER_WINDOW_LINES } from '../../../coordinator/sessions/log-reading.ts'
import { LAST_LINES_MS } from '../../../coordinator/sessions/log-streams.ts'
import { LOG_WINDOW_LINES } from '../../../shared/wire/log-window.ts'
import type { LogLine } from '../../../shared/wire/up.ts'
import { aDoor, type Door } from '../../build/coordinator-door.ts'
import { aLinkedAgent } from '../../build/linked-agent.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'
import { until } from '../../build/until.ts'

function lines(from: number, count: number, task = 'task-on-web-1'): LogLine[] {
  return Array.from({ length: count }, (_, index) => ({
    task,
    at: from + index,
    source: 'stdout' as const,
    text: `line ${from + index}`,
  }))
}

function read(door: Door, given: { nodes?: string[]; follow?: boolean; signal?: AbortSignal } = {}) {
  const { nodes = ['web-1'], follow = false, signal = new AbortController().signal } = given
  const tasks = nodes.map((node) => ({ task: `task-on-${node}`, node }))
  return door.sessions.read({ tasks, follow, signal, tailLines: 10 })[Symbol.asyncIterator]()
}

async function all(batches: AsyncIterator<LogBatch>) {
  const total = { lines: [], dropped: 0, missingNodes: [], failures: [] } as Required<LogBatch>
  for (let next = await batches.next(); !next.done; next = await batches.next()) {
    total.lines.push(...next.value.lines)
    total.dropped += next.value.dropped
    total.missingNodes.push(...next.value.missingNodes)
    total.failures.push(...(next.value.failures ?? []))
  }
  return total
}

async function connected(door: Door, node = 'web-1', dataDir?: string) {
  const agent = await aLinkedAgent(door, { node, ...(dataDir && { dataDir }) })
  await until(() => agent.supervisor.assigned.length > 0)
  return agent
}

describe('log lines', () => {
  test('of several agents come to one reader, which ends when they have ended', async () => {
    const door = await aDoor()
    const agents = [await connected(door, 'web-1'), await connected(door, 'web-2')]
    const reading = all(read(door, { nodes: ['web-1', 'web-2'] }))
    for (const [index, agent] of agents.entries()) {
      await until(() => agent.logTail.opened.length === 1)
      const { request, sink } = agent.logTail.opened[0]!
      expect(request).toMatchObject({ tasks: [`task-on-web-${index + 1}`], tailLines: 10, follow: false })
      sink.lines(request.stream, lines(index * 10, 2, request.tasks[0]), 0)
      sink.end(request.stream)
    }
    const total = await reading
    expect(total.lines.map(({ at }) => at).sort((a, b) => a - b)).toEqual([0, 1, 10, 11])
    expect(total).toMatchObject({ dropped: 0, missingNodes: [] })
  })

  test("that a node gives as another node's, or as nobody's, are not given on", async () => {
    const door = await aDoor()
    const agents = [await connected(door, 'web-1'), await connected(door, 'web-2')]
    const reading = all(read(door, { nodes: ['web-1', 'web-2'] }))
    await until(() => agents.every(({ logTail }) => logTail.opened.length === 1))
    const [honest, liar] = agents.map(({ logTail }) => logTail.opened[0]!)
    liar!.sink.lines(liar!.request.stream, [...lines(1, 1, 'task-on-web-1'), ...lines(2, 1, 'task-on-mars')], 0)
    liar!.sink.lines(liar!.request.stream, lines(3, 1, 'task-on-web-2'), 0)
    liar!.sink.end(liar!.request.stream)
    honest!.sink.end(honest!.request.stream)
    expect((await reading).lines).toMatchObject([{ task: 'task-on-web-2', at: 3 }])
  })

  test('of a node that is away are said to be missing', async () => {
    const door = await aDoor()
    const agent = await connected(door)
    const reading = all(read(door, { nodes: ['web-1', 'web-9'] }))
    await until(() => agent.logTail.opened.length === 1)
    await agent.stop()
    expect((await reading).missingNodes.sort()).toEqual(['web-1', 'web-9'])
  })

  test('wait at the agent while the reader is slow, and none is lost', async () => {
    const door = await aDoor()
    const agent = await connected(door)
    const batches = read(door)
    const first = batches.next()
    await until(() => agent.logTail.opened.length === 1)
    const { request, sink } = agent.logTail.opened[0]!
    let sent = 0
    const tail = (async () => {
      while (sent < 3 * LOG_WINDOW_LINES) {
        const goOn = sink.lines(request.stream, lines(sent, 500), 0)
        sent += 500
        if (!goOn) await sink.drained()
      }
      sink.end(request.stream)
    })()
    const begun = await first
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(sent).toBeLessThanOrEqual(2 * LOG_WINDOW_LINES)
    const rest = await all(batches)
    await tail
    expect(rest.dropped).toBe(0)
    expect((begun.value?.lines.length ?? 0) + rest.lines.length).toBe(3 * LOG_WINDOW_LINES)
  })

  test('that an agent left out are counted', async () => {
    const door = await aDoor()
    const agent = await connected(door)
    const reading = all(read(door))
    await until(() => agent.logTail.opened.length === 1)
    const { request, sink } = agent.logTail.opened[0]!
    sink.lines(request.stream, lines(0, 1), 7)
    sink.lines(request.stream, [], 2)
    sink.end(request.stream)
    expect((await reading).dropped).toBe(9)
  })

  test('that are followed end on abort, and the agent is told', async () => {
    const door = await aDoor()
    const agent = await connected(door)
    const stopping = new AbortController()
    const reading = all(read(door, { follow: true, signal: stopping.signal }))
    await until(() => agent.logTail.opened.length === 1)
    stopping.abort()
    await reading
    await until(() => agent.logTail.closed.length === 1)
    expect(agent.logTail.closed).toEqual([agent.logTail.opened[0]?.request.stream])
  })

  test('that are followed go on where each task was when the agent comes back', async () => {
    const door = await aDoor()
    const dataDir = await temporaryFolder()
    const agent = await connected(door, 'web-1', dataDir)
    const stopping = new AbortController()
    const tasks = ['a', 'b', 'quiet'].map((task) => ({ task, node: 'web-1' }))
    const batches = door.sessions.read({ tasks, follow: true, signal: stopping.signal })[Symbol.asyncIterator]()
    const first = batches.next()
    await until(() => agent.logTail.opened.length === 1)
    const { stream } = agent.logTail.opened[0]!.request
    const sameTime = { ...lines(100, 1, 'a')[0]!, text: 'of the same time' }
    agent.logTail.opened[0]!.sink.lines(stream, [...lines(99, 2, 'a'), sameTime, ...lines(200, 1, 'b')], 0)
    expect((await first).value?.lines).toHaveLength(4)
    const second = batches.next()
    await agent.stop()
    expect((await second).value?.missingNodes).toEqual(['web-1'])

    const third = batches.next()
    const back = await connected(door, 'web-1', dataDir)
    await until(() => back.logTail.opened.length === 1)
    const { request, sink } = back.logTail.opened[0]!
    expect(request.from).toEqual({ a: 100, b: 200 })
    const third100 = { ...sameTime, text: 'the third of that time' }
    sink.lines(request.stream, [...lines(100, 1, 'a'), sameTime, third100, ...lines(200, 2, 'b')], 0)
    expect((await third).value?.lines.map(({ text }: LogLine) => text)).toEqual(['the third of that time', 'line 201'])
    stopping.abort()
  })

  test('that a reader has had before, over another line, are passed over and still make room for more', async () => {
    const door = await aDoor()
    const agent = await connected(door)
    const after = { at: 2 * LOG_WINDOW_LINES, lines: 1 }
    const tasks = [{ task: 'task-on-web-1', node: 'web-1', after }]
    const signal = new AbortController().signal
    const reading = all(door.sessions.read({ tasks, follow: false, signal })[Symbol.asyncIterator]())
    await until(() => agent.logTail.opened.length === 1)
    const { request, sink } = agent.logTail.opened[0]!
    expect(request.from).toEqual({ 'task-on-web-1': after.at })
    for (let at = 0; at < 2 * LOG_WINDOW_LINES; at += 500) {
      if (!sink.lines(request.stream, lines(at, 500), 0)) await sink.drained()
    }
    sink.lines(request.stream, lines(after.at, 2), 0)
    sink.end(request.stream)
    expect((await reading).lines.map(({ at }) => at)).toEqual([after.at + 1])
  })

  test('that are followed end on abort or when the coordinator stops, which is no end of them', async () => {
    const door = await aDoor()
    await connected(door)
    const batches = read(door, { follow: true })
    const next = batches.next()
    await door.sessions.close()
    await expect(next).rejects.toThrow(expect.objectContaining({ code: 'unreachable' }))
  })

  describe('of what is followed', () => {
    async function following(given: { now?: () => number; nodes?: string[] } = {}) {
      const door = await aDoor({ now: given.now })
      const agents = new Map<string, Awaited<ReturnType<typeof connected>>>()
      for (const node of given.nodes ?? ['web-1']) agents.set(node, await connected(door, node))
      let tell: (targets: LogTarget[] | null) => void = () => undefined
      const stopping = new AbortController()
      const batches = door.sessions.read({
        tasks: [{ task: 'old', node: 'web-1' }],
        tailLines: 5,
        follow: true,
        signal: stopping.signal,
        watch(targetsAre) {
          tell = targetsAre
          return () => undefined
        },
      })
      const done = all(batches[Symbol.asyncIterator]())
      const tail = (node: string) => agents.get(node)!.logTail
      await until(() => tail('web-1').opened.length === 1)
      return { tell: (targets: LogTarget[] | null) => tell(targets), tail, stopping, all: done }
    }

    test('new tasks join: into the stream of their node, or with one of their own, and with all their lines', async () => {
      const { tell, tail, stopping, all: done } = await following({ nodes: ['web-1', 'web-2'] })
      tell([
        { task: 'old', node: 'web-1' },
        { task: 'new', node: 'web-1' },
        { task: 'moved', node: 'web-2' },
      ])
      await until(() => tail('web-1').added.length === 1 && tail('web-2').opened.length === 1)
      const { stream } = tail('web-1').opened[0]!.request
      expect(tail('web-1').added).toEqual([{ kind: 'log-add', stream, tasks: ['new'] }])
      expect(tail('web-2').opened[0]?.request).toMatchObject({ tasks: ['moved'], from: { moved: 0 }, follow: true })
      tail('web-1').opened[0]!.sink.lines(stream, lines(1, 1, 'new'), 0)
      tail('web-2').opened[0]!.sink.lines(stream, lines(2, 1, 'moved'), 0)
      await new Promise((resolve) => setTimeout(resolve, 100))
      stopping.abort()
      expect((await done).lines.map(({ task }) => task).sort()).toEqual(['moved', 'new'])
    })

    test('tasks that ended may have last lines under way; then their node is let go, and with the last of them the reader', async () => {
      let shiftMs = 0
      const { tell, tail, all: done } = await following({ now: () => Date.now() + shiftMs })
      tell([])
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      expect(tail('web-1').closed).toEqual([])
      const { request, sink } = tail('web-1').opened[0]!
      sink.lines(request.stream, lines(1, 1, 'old'), 0)
      await new Promise((resolve) => setTimeout(resolve, 100))
      shiftMs = LAST_LINES_MS
      await until(() => tail('web-1').closed.length === 1)
      tell(null)
      shiftMs = 2 * LAST_LINES_MS + 1
      expect((await done).lines.map(({ text }) => text)).toEqual(['line 1'])
    })

    test('a log that cannot be read is said once, and the others go on', async () => {
      const { tail, stopping, all: done } = await following()
      const { request, sink } = tail('web-1').opened[0]!
      for (let times = 0; times < 3; times++) {
        sink.failed(request.stream, { task: 'old', code: 'failed', message: 'no driver for it' })
      }
      sink.lines(request.stream, lines(1, 1, 'old'), 0)
      await new Promise((resolve) => setTimeout(resolve, 100))
      stopping.abort()
      const { failures, lines: given } = await done
      expect(failures).toEqual([{ node: 'web-1', task: 'old', message: 'no driver for it' }])
      expect(given).toHaveLength(1)
    })

    test('a stream that an agent ends by itself is opened anew after a while', async () => {
      let shiftMs = 0
      const { tail, stopping, all: done } = await following({ now: () => Date.now() + shiftMs })
      const { request, sink } = tail('web-1').opened[0]!
      sink.end(request.stream, { code: 'too-many-requests', message: '64 log streams are open' })
      await new Promise((resolve) => setTimeout(resolve, 100))
      shiftMs = 6_000
      await until(() => tail('web-1').opened.length === 2)
      stopping.abort()
      expect((await done).failures).toEqual([{ node: 'web-1', task: null, message: '64 log streams are open' }])
    })
  })

  test('weigh by their length, so that long ones of a slow reader do not pile up', async () => {
    const door = await aDoor()
    const agent = await connected(door)
    const batches = read(door)
    const first = batches.next()
    await until(() => agent.logTail.opened.length === 1)
    const { request, sink } = agent.logTail.opened[0]!
    const long = { ...lines(0, 1)[0]!, text: 'x'.repeat(64 * 1024) }
    let sent = 0
    const mayGoOn = () => sink.lines(request.stream, [long], 0)
    while (mayGoOn() && sent < LOG_WINDOW_LINES) sent++
    expect(sent).toBeLessThanOrEqual(2 * (LOG_WINDOW_LINES / 65))
    await first
    sink.end(request.stream)
    await all(batches)
  })

  test('of many nodes share one window', async () => {
    const door = await aDoor()
    const nodes = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8']
    const agent = await connected(door, 'n1')
    const stopping = new AbortController()
    const reading = all(read(door, { nodes, follow: true, signal: stopping.signal }))
    await until(() => agent.logTail.opened.length === 1)
    expect(agent.logTail.opened[0]?.request.window).toBe(READER_WINDOW_LINES / 8)
    stopping.abort()
    await reading
  })

  test('have a bounded number of readers', async () => {
    const door = await aDoor({ limits: { logReadersMax: 1 } })
    await connected(door)
    const stopping = new AbortController()
    const first = all(read(door, { follow: true, signal: stopping.signal }))
    await expect(read(door).next()).rejects.toThrow(expect.objectContaining({ code: 'too-many-requests' }))
    stopping.abort()
    await first
  })

  test('have a bounded number of streams at an agent', async () => {
    const door = await aDoor({ limits: { logReadersMax: LOG_STREAMS_MAX + 1 } })
    const agent = await connected(door)
    const stopping = new AbortController()
    const readings = Array.from({ length: LOG_STREAMS_MAX }, () =>
      all(read(door, { follow: true, signal: stopping.signal })),
    )
    await until(() => agent.logTail.opened.length === LOG_STREAMS_MAX)
    expect(await all(read(door))).toMatchObject({ lines: [] })
    stopping.abort()
    await Promise.all(readings)
  })
})
