import { describe, expect, test } from 'vitest'
import { LOG_STREAMS_MAX } from '../../../agent/link/log-sinks.ts'
import type { LogBatch } from '../../../coordinator/core.ts'
import { LOG_WINDOW_LINES } from '../../../shared/wire/log-window.ts'
import type { LogLine } from '../../../shared/wire/up.ts'
import { aDoor, type Door } from '../../build/coordinator-door.ts'
import { aLinkedAgent } from '../../build/linked-agent.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'
import { until } from '../../build/until.ts'

function lines(from: number, count: number): LogLine[] {
  return Array.from({ length: count }, (_, index) => ({
    task: 't1',
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
  const total: LogBatch = { lines: [], dropped: 0, missingNodes: [] }
  for (let next = await batches.next(); !next.done; next = await batches.next()) {
    total.lines.push(...next.value.lines)
    total.dropped += next.value.dropped
    total.missingNodes.push(...next.value.missingNodes)
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
      sink.lines(request.stream, lines(index * 10, 2), 0)
      sink.end(request.stream)
    }
    const total = await reading
    expect(total.lines.map(({ at }) => at).sort((a, b) => a - b)).toEqual([0, 1, 10, 11])
    expect(total).toMatchObject({ dropped: 0, missingNodes: [] })
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

  test('that are followed go on where they were when the agent comes back', async () => {
    const door = await aDoor()
    const dataDir = await temporaryFolder()
    const agent = await connected(door, 'web-1', dataDir)
    const stopping = new AbortController()
    const batches = read(door, { follow: true, signal: stopping.signal })
    const first = batches.next()
    await until(() => agent.logTail.opened.length === 1)
    agent.logTail.opened[0]!.sink.lines(agent.logTail.opened[0]!.request.stream, lines(100, 2), 0)
    expect((await first).value?.lines).toHaveLength(2)
    const second = batches.next()
    await agent.stop()
    expect((await second).value?.missingNodes).toEqual(['web-1'])
    const third = batches.next()
    const back = await connected(door, 'web-1', dataDir)
    await until(() => back.logTail.opened.length === 1)
    const { request, sink } = back.logTail.opened[0]!
    expect(request.since).toBe(102)
    sink.lines(request.stream, lines(102, 1), 0)
    expect((await third).value?.lines).toHaveLength(1)
    stopping.abort()
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
