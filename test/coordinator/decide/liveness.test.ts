import { describe, expect, test } from 'vitest'
import { companyOf } from '../../../coordinator/decide/company.ts'
import { judgeLiveness } from '../../../coordinator/decide/liveness.ts'
import { defaultSettings } from '../../../coordinator/decide/settings.ts'
import { heardBeat } from '../../../coordinator/decide/silence.ts'
import type { HeardStatistics, Node } from '../../../coordinator/world.ts'
import { afterIntervals, nothingHeard } from '../../build/heard.ts'
import { aNode, anEngine, NOW } from '../../build/world.ts'

const settings = defaultSettings(NOW - 3_600_000)
const regular = afterIntervals(Array(60).fill(1000))

/** Another node is heard all the time, unless told otherwise. */
function judge(node: Node, now: number, given = settings, others = [aNode({ name: 'n2', heard: heardAt(now) })]) {
  const nodes = new Map([node, ...others].map((each) => [each.name, each]))
  return judgeLiveness(node, now, given, companyOf(nodes, now, given))
}

function heardAt(at: number): HeardStatistics {
  return { ...afterIntervals(Array(60).fill(1000)), lastAt: at, lastBeatAt: at }
}

function statusAt(node: Node, now: number, given = settings): string {
  return judge(node, now, given).status?.name ?? node.status.name
}

describe('silence', () => {
  test('a node that was heard every second is lost after two to three seconds of silence', () => {
    const node = aNode({ heard: regular })
    expect(statusAt(node, NOW + 2_200)).toBe('ready')
    expect(statusAt(node, NOW + 2_500)).toBe('lost')
  })

  test('the time in which the coordinator itself was stalled does not count', () => {
    const node = aNode({ heard: afterIntervals(Array(60).fill(1000)) })
    expect(statusAt(node, NOW + 5_000)).toBe('lost')
    const stalled = { ...settings, stalls: [{ endedAt: NOW + 5_000, ms: 4_500 }] }
    expect(statusAt(node, NOW + 5_000, stalled)).toBe('ready')
    // In the beats after it neither: the node's next heartbeat may still be on its way.
    expect(statusAt(node, NOW + 6_000, stalled)).toBe('ready')
    expect(statusAt(node, NOW + 8_000, stalled)).toBe('lost')
    const closed = { name: 'disconnected', since: NOW, why: 'closed' } as const
    expect(statusAt(aNode({ connection: null, status: closed }), NOW + 16_000, stalled)).toBe('disconnected')
  })

  test('a clock that is set back does not hide silence until it has caught up', () => {
    const heard = heardBeat(heardBeat(nothingHeard, NOW + 3_600_000), NOW)
    expect(statusAt(aNode({ heard }), NOW + 6_000)).toBe('lost')
  })

  test('a node that was heard in another way while its heartbeat is late is silent from then on', () => {
    const node = aNode({ heard: { ...regular, lastAt: NOW + 1_300 } })
    expect(statusAt(node, NOW + 3_700)).toBe('ready')
    expect(statusAt(node, NOW + 3_800)).toBe('lost')
  })

  test('a node that was told to speak less often may be silent for as much longer', () => {
    const connection = { ...aNode().connection!, heartbeatIntervalMs: 5_000 }
    const node = aNode({ heard: regular, connection })
    const at = (now: number) => {
      const others = Array.from({ length: 60 }, (_, index) => aNode({ name: `n${index + 2}`, heard: heardAt(now) }))
      return judge(node, now, settings, others).status?.name
    }
    expect(at(NOW + 7_200)).toBeUndefined()
    expect(at(NOW + 7_300)).toBe('lost')
  })

  test('a node heard again after it was lost is ready', () => {
    const node = aNode({ status: { name: 'lost', since: NOW - 5_000, why: 'silent' } })
    expect(statusAt(node, NOW)).toBe('ready')
  })

  test('it is woken at the instant at which silence would be too long', () => {
    const node = aNode({ heard: afterIntervals(Array(60).fill(1000)) })
    const { wakeAt } = judge(node, NOW)
    expect(statusAt(node, wakeAt! - 1)).toBe('ready')
    expect(statusAt(node, wakeAt!)).toBe('lost')
  })
})

describe('nodes that fall silent together', () => {
  const spoke = (name: string, ms: number) => aNode({ name, heard: heardAt(NOW + ms) })
  const heardAll = (now: number) => aNode({ name: 'n9', heard: heardAt(now) })

  test('are given up together, whoever spoke last: none of them gets the tasks of another', () => {
    const [first, second] = [spoke('n1', 0), spoke('n2', 800)]
    const lostAt = (node: Node, other: Node) =>
      [2_450, 2_700, 3_200, 3_250].filter(
        (ms) => judge(node, NOW + ms, settings, [other, heardAll(NOW + ms)]).status?.name === 'lost',
      )
    expect(lostAt(first, second)).toEqual([3_250])
    expect(lostAt(second, first)).toEqual([3_250])
  })

  test('and one that is heard again keeps nobody waiting', () => {
    const now = NOW + 2_700
    const [first, second] = [spoke('n1', 0), spoke('n2', 800)]
    const { status, wakeAt } = judge(first, now, settings, [second, heardAll(now)])
    expect(status).toBeNull()
    expect(wakeAt).toBeLessThanOrEqual(now + 250)
    expect(judge(first, wakeAt!, settings, [spoke('n2', 2_800), heardAll(now)]).status?.name).toBe('lost')
  })

  test('are not waited for longer than an interval, however long their own habit would have it', () => {
    const irregular = afterIntervals(Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? 9_000 : 10)))
    const second = aNode({ name: 'n2', heard: { ...irregular, lastAt: NOW + 500 } })
    const statuses = [3_400, 3_450].map(
      (ms) => judge(spoke('n1', 0), NOW + ms, settings, [second, heardAll(NOW + ms)]).status?.name,
    )
    expect(statuses).toEqual([undefined, 'lost'])
  })
})

describe('a connection', () => {
  test('a node that is connected but has not said everything yet is not ready', () => {
    const node = aNode({ status: { name: 'lost', since: NOW - 5_000, why: 'silent' }, fullyObserved: false })
    expect(statusAt(node, NOW)).toBe('lost')
  })

  test('once closed leaves a grace, and a longer one after a goodbye', () => {
    const closed = { name: 'disconnected', since: NOW, why: 'closed' } as const
    const node = aNode({ connection: null, status: closed })
    expect([14_999, 15_000].map((ms) => statusAt(node, NOW + ms))).toEqual(['disconnected', 'lost'])
    const polite = aNode({ connection: null, status: { ...closed, goodbye: true } })
    expect([59_999, 60_000].map((ms) => statusAt(polite, NOW + ms))).toEqual(['disconnected', 'lost'])
  })

  test('a grace that began before the coordinator was down begins anew with its start', () => {
    const status = { name: 'disconnected', since: NOW - 100_000, why: 'closed' } as const
    const node = aNode({ connection: null, status })
    const started = defaultSettings(NOW)
    expect([14_999, 15_000].map((ms) => statusAt(node, NOW + ms, started))).toEqual(['disconnected', 'lost'])
  })

  test('after a start of the coordinator a node has a moment without a word, then its grace', () => {
    const node = aNode({ connection: null })
    const started = defaultSettings(NOW)
    expect([1_000, 2_000, 15_000].map((ms) => statusAt(node, NOW + ms, started))).toEqual([
      'ready',
      'disconnected',
      'lost',
    ])
  })
})

test('a node whose Engine is down is not ready, and lost after a while; it is ready again when the Engine is up', () => {
  const down = { engine: anEngine({ state: 'down' }), engineSince: NOW }
  const heardAt = (at: number) => ({ heard: { ...afterIntervals(Array(60).fill(1000)), lastAt: at, lastBeatAt: at } })
  expect(statusAt(aNode({ ...down, ...heardAt(NOW) }), NOW)).toBe('engine-down')
  expect(statusAt(aNode({ ...down, ...heardAt(NOW + 20_000) }), NOW + 20_000)).toBe('lost')
  expect(statusAt(aNode({ status: { name: 'engine-down', since: NOW, why: '' } }), NOW)).toBe('ready')
})

describe('a node that is not heard while no other is heard either', () => {
  const silent = (name: string, given: Partial<Node> = {}) => aNode({ name, heard: heardAt(NOW - 400), ...given })

  test('is not given up, since it may be the coordinator that is cut off', () => {
    const { status, wakeAt } = judge(silent('n1'), NOW + 5_000, settings, [silent('n2')])
    expect(status).toMatchObject({ name: 'disconnected', since: NOW + 5_000, alone: true })
    expect(wakeAt).toBeLessThan(NOW + 6_000)
    const alone = silent('n1', { status: status! })
    expect(judge(alone, NOW + 600_000, settings, [silent('n2')]).status).toBeNull()
  })

  test('is not given up either when the others fell silent a moment after it', () => {
    const { status } = judge(silent('n1'), NOW + 3_050, settings, [silent('n2', { heard: heardAt(NOW + 1_000) })])
    expect(status).toMatchObject({ name: 'disconnected', alone: true })
  })

  test('has a grace from when the first other is back', () => {
    const alone = silent('n1', { status: { name: 'disconnected', since: NOW + 5_000, why: 'silent', alone: true } })
    const back = (at: number) => [
      aNode({ name: 'n2', status: { name: 'ready', since: NOW + 60_000 }, heard: heardAt(at) }),
    ]
    expect(judge(alone, NOW + 60_500, settings, back(NOW + 60_000))).toEqual({ status: null, wakeAt: NOW + 75_000 })
    expect(judge(alone, NOW + 75_000, settings, back(NOW + 74_500)).status?.name).toBe('lost')
  })

  test('is given up at once when it turns out that another was there all the time', () => {
    const alone = silent('n1', { status: { name: 'disconnected', since: NOW + 2_000, why: 'silent', alone: true } })
    expect(judge(alone, NOW + 2_300, settings, [aNode({ name: 'n2', heard: heardAt(NOW + 2_200) })]).status?.name).toBe(
      'lost',
    )
  })

  test('with its connection closed, waits in the same way once its grace is over, and is ready when it is back', () => {
    const closed = silent('n1', { connection: null, status: { name: 'disconnected', since: NOW, why: 'closed' } })
    const { status } = judge(closed, NOW + 20_000, settings, [silent('n2', { connection: null })])
    expect(status).toMatchObject({ name: 'disconnected', alone: true })
    const greeting = aNode({ status: status!, fullyObserved: false, heard: heardAt(NOW + 60_000) })
    expect(statusAt(greeting, NOW + 60_500)).toBe('disconnected')
    expect(statusAt({ ...greeting, fullyObserved: true }, NOW + 60_500)).toBe('ready')
  })
})
