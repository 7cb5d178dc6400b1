import { describe, expect, test } from 'vitest'
import { type Condition, conditionsOf, type OwnFacts } from '../../../coordinator/decide/alerts/conditions.ts'
import { type Alert, evaluateAlerts, type Silence } from '../../../coordinator/decide/alerts/evaluate.ts'
import { fullAt, newAlertHistory, remember } from '../../../coordinator/decide/alerts/history.ts'
import {
  backOffMs,
  delivered,
  notDelivered,
  notificationsDue,
} from '../../../coordinator/decide/alerts/notifications.ts'
import { ALERT_RULES_DEFAULT, ALERTS_CONFIG_DEFAULT, type AlertsConfig } from '../../../shared/alerts/config.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const own: OwnFacts = {
  certificateEndsAt: NOW + 90 * 86_400_000,
  nodeCertificates: [],
  storeBytes: 1,
  logsTrouble: null,
  targetTroubles: [],
}
const rules = ALERT_RULES_DEFAULT
const look = (world: ReturnType<typeof aWorld>, history = newAlertHistory(), facts = own) =>
  conditionsOf(world, facts, history, rules, NOW).map(({ id, reason }) => [id, reason])

describe('conditions', () => {
  test('a cluster in which all is well has none', () => {
    const tasks = [aTask({ service: 'shop_api', node: 'n1' })]
    const world = aWorld({ nodes: [aNode({ name: 'n1' })], services: [aService({ name: 'shop_api' })], tasks })
    expect(look(world)).toEqual([])
  })

  test('a lost node is told with why, and its tasks do not count for their service', () => {
    const lost = aNode({ name: 'n1', status: { name: 'lost', since: NOW, why: 'not heard for 30 s' } })
    const tasks = [aTask({ service: 'shop_api', node: 'n1' })]
    expect(look(aWorld({ nodes: [lost], services: [aService({ name: 'shop_api' })], tasks }))).toEqual([
      ['node-lost/n1', 'n1 is lost: not heard for 30 s'],
      ['service-below-count/shop_api', 'shop_api has 0 of 1 tasks up'],
    ])
  })

  test('three ends of a task within ten minutes are a crash loop, two are not; runs that its Engine ended do not count', () => {
    const conditions = (attempt: number, interruptions: number) => {
      const task = aTask({ id: 't1', service: 'shop_api', slot: 2, node: 'n1', createdAt: NOW - 60_000 })
      Object.assign(task.observed, { attempt, interruptions, state: 'running', since: NOW - 20_000 })
      const node = aNode({ name: 'n1', fullyObserved: true })
      const world = aWorld({ nodes: [node], services: [aService({ name: 'shop_api' })], tasks: [task] })
      return look(world, remember(newAlertHistory(), world, NOW))
    }
    expect(conditions(4, 0)).toEqual([['task-crash-looping/shop_api.2', 'shop_api.2 on n1 ended 3 times in 10 min']])
    expect(conditions(3, 0)).toEqual([])
    expect(conditions(4, 1)).toEqual([])
  })

  test('a task that was started again counts for its service when it has held for ten seconds, not at each start', () => {
    const below = (observed: object) => {
      const task = aTask({ service: 'shop_api', node: 'n1' })
      Object.assign(task.observed, { state: 'running', health: 'none', ...observed })
      const world = aWorld({
        nodes: [aNode({ name: 'n1' })],
        services: [aService({ name: 'shop_api' })],
        tasks: [task],
      })
      return look(world).length > 0
    }
    expect(below({ attempt: 1, since: NOW })).toBe(false)
    expect(below({ attempt: 9, since: NOW - 9_000 })).toBe(true)
    expect(below({ attempt: 9, since: NOW - 10_000 })).toBe(false)
    expect(below({ attempt: 9, since: NOW - 60_000, health: 'healthy', healthSince: NOW - 1_000 })).toBe(true)
  })

  test('a task whose health is not known yet does no work', () => {
    const task = aTask({ service: 'shop_api', node: 'n1' })
    Object.assign(task.observed, { state: 'running', health: 'starting' })
    const world = aWorld({ nodes: [aNode({ name: 'n1' })], services: [aService({ name: 'shop_api' })], tasks: [task] })
    expect(look(world)).toEqual([['service-below-count/shop_api', 'shop_api has 0 of 1 tasks up']])
  })

  test('what an old task went through before it was first seen is no news', () => {
    const task = aTask({ id: 't1', service: 'shop_api', node: 'n1', createdAt: NOW - 86_400_000 })
    task.observed.attempt = 9
    const world = aWorld({ nodes: [aNode({ name: 'n1', fullyObserved: true })], tasks: [task] })
    const first = remember(newAlertHistory(), world, NOW)
    expect(first.crashes.size).toBe(0)
    task.observed.attempt = 10
    expect(remember(first, world, NOW).crashes.get('shop_api.1')?.at).toEqual([NOW])
  })

  test('tasks that never ended are not remembered, and the first end of an old one is news all the same', () => {
    const task = aTask({ id: 't1', service: 'shop_api', node: 'n1', createdAt: NOW - 86_400_000 })
    task.observed.attempt = 1
    const world = aWorld({ nodes: [aNode({ name: 'n1', fullyObserved: true })], tasks: [task] })
    const first = remember(newAlertHistory(), world, NOW)
    expect(first.endings.size).toBe(0)
    task.observed.attempt = 2
    const second = remember(first, world, NOW + 1_000)
    expect(second.crashes.get('shop_api.1')?.at).toEqual([NOW + 1_000])
    expect(remember(second, world, NOW + 2_000).crashes).toBe(second.crashes)
  })

  test('what a task went through before its node was first heard after a start is no news, even if others were', () => {
    const task = aTask({ id: 't1', service: 'shop_api', node: 'n1', createdAt: NOW - 86_400_000 })
    task.observed.attempt = 5
    const node = aNode({ name: 'n1', fullyObserved: false })
    const world = aWorld({ nodes: [node, aNode({ name: 'n2', fullyObserved: true })], tasks: [task] })
    const first = remember(newAlertHistory(), world, NOW)
    node.fullyObserved = true
    const second = remember(first, world, NOW + 1_000)
    expect(second.crashes.size).toBe(0)
    task.observed.attempt = 6
    expect(remember(second, world, NOW + 2_000).crashes.get('shop_api.1')?.at).toEqual([NOW + 2_000])
  })

  test("the coordinator's own certificate and store", () => {
    const facts = { ...own, certificateEndsAt: NOW + 86_400_000, storeBytes: 3 * 2 ** 30 }
    expect(look(aWorld(), newAlertHistory(), facts)).toEqual([
      ['certificate-ends-soon', "the coordinator's certificate ends at 2026-11-24T12:00:00.000Z and was not renewed"],
      ['store-near-bound', "the coordinator's store has 3072 MiB, and 2048 MiB were allowed it"],
    ])
  })

  test('a node whose certificate is in its last hours, since it is renewed long before', () => {
    const hours = (left: number) => NOW + left * 3_600_000
    const nodeCertificates = [
      { node: 'n1', endsAt: hours(8) },
      { node: 'n2', endsAt: hours(2) },
    ]
    const world = aWorld({ nodes: [aNode({ name: 'n1' }), aNode({ name: 'n2' })] })
    expect(look(world, newAlertHistory(), { ...own, nodeCertificates })).toEqual([
      ['certificate-ends-soon/n2', expect.stringContaining('the certificate of n2 ends at')],
    ])
  })

  test('a disk that takes no log lines', () => {
    expect(look(aWorld(), newAlertHistory(), { ...own, logsTrouble: 'ENOSPC: no space left on device' })).toEqual([
      ['logs-not-kept', expect.stringContaining('log lines cannot be kept: ENOSPC')],
    ])
  })

  test('targets of forwarding that do not take what they are sent, each for itself', () => {
    const why = 'target loki cannot be reached (ECONNREFUSED)'
    const targetTroubles = [
      { target: 'loki', why },
      { target: 'siem', why: 'target siem: it answered with status 503' },
    ]
    expect(look(aWorld(), newAlertHistory(), { ...own, targetTroubles })).toEqual([
      ['target-failing/loki', `forwarding: ${why}`],
      ['target-failing/siem', expect.stringContaining('status 503')],
    ])
  })
})

describe('extrapolation', () => {
  const samples = (bytesEach: number, count = 20) =>
    Array.from({ length: count }, (_, index) => ({ at: NOW + index * 30_000, bytes: 500 + index * bytesEach }))

  test('a line goes on as it went', () => {
    // 10 bytes each half minute from 690 bytes: 31 half minutes to 1000.
    expect(fullAt(samples(10), 1000)).toBeCloseTo(NOW + (19 + 31) * 30_000, -1)
  })
  test('what stays, shrinks or has been seen a few times only is never full', () => {
    expect([fullAt(samples(0), 1000), fullAt(samples(-5), 1000), fullAt(samples(10, 9), 1000)]).toEqual([
      null,
      null,
      null,
    ])
  })
})

const condition = (given: Partial<Condition> = {}): Condition => ({
  id: 'service-below-count/shop_api',
  rule: 'service-below-count',
  labels: { service: 'shop_api' },
  reason: 'r',
  isDrained: false,
  ...given,
})

describe('alerts', () => {
  const at = (now: number, conditions: Condition[], before: Alert[] = [], silences: Silence[] = []) =>
    evaluateAlerts(conditions, before, silences, rules, now)

  test('fire once their condition has lasted, and are over when it is; in between nothing is news', () => {
    const first = at(NOW, [condition()])
    expect([first.alerts[0]!.state, first.changes]).toEqual(['pending', []])
    const early = at(NOW + 59_999, [condition()], first.alerts)
    expect([early.alerts[0]!.state, early.changes]).toEqual(['pending', []])
    const fires = at(NOW + 60_000, [condition()], early.alerts)
    expect(fires.changes.map(({ kind }) => kind)).toEqual(['firing'])
    const goesOn = at(NOW + 90_000, [condition()], fires.alerts)
    expect([goesOn.changes, goesOn.alerts[0]!.since]).toEqual([[], NOW + 60_000])
    expect(at(NOW + 95_000, [], goesOn.alerts).changes.map(({ kind }) => kind)).toEqual(['resolved'])
  })

  test('one that was only pending ends without a word', () => {
    expect(at(NOW + 1, [], at(NOW, [condition()]).alerts)).toEqual({ alerts: [], changes: [] })
  })

  test('a silence that names what they are about covers them until it ends by itself; a drained node its own', () => {
    const silence: Silence = { id: 's1', service: 'shop_api', startedAt: NOW, endsAt: NOW + 10, comment: '' }
    const silencedBy = (now: number, given: Partial<Condition>) =>
      at(now, [condition(given)], [], [silence]).alerts[0]!.silencedBy
    expect(silencedBy(NOW + 9, {})).toBe('s1')
    expect(silencedBy(NOW + 10, {})).toBeNull()
    expect(silencedBy(NOW, { labels: { service: 'shop_web' } })).toBeNull()
    expect(silencedBy(NOW, { labels: { node: 'n1' }, isDrained: true })).toBe('drained')
  })
})

describe('notifications', () => {
  const config: AlertsConfig = {
    ...ALERTS_CONFIG_DEFAULT,
    receivers: [{ name: 'ops', kind: 'webhook', url: 'https://ops.example' }],
  }
  const firing = (id: string, silencedBy: string | null = null): Alert => ({
    ...{ id, rule: 'node-lost', severity: 'critical', labels: { node: id }, reason: 'r' },
    ...{ state: 'firing', since: NOW, silencedBy },
  })

  test('alerts of a rule are told together, once they have been waited for, and then not again', () => {
    const first = notificationsDue(config, [firing('a')], [], NOW)
    expect(first.notifications).toEqual([])
    const due = notificationsDue(config, [firing('a'), firing('b')], first.positions, NOW + 10_000)
    expect(due.notifications.map((notification) => notification.firing.map(({ id }) => id))).toEqual([['a', 'b']])
    const told = [delivered(due.positions[0]!, due.notifications[0]!, NOW + 10_000)]
    // As read from the file after a restart.
    const kept = JSON.parse(JSON.stringify(told)) as typeof told
    expect(notificationsDue(config, [firing('a'), firing('b')], kept, NOW + 600_000).notifications).toEqual([])
    const over = notificationsDue(config, [firing('b')], kept, NOW + 600_000)
    const resolved = notificationsDue(config, [firing('b')], over.positions, NOW + 610_000).notifications[0]!
    expect([resolved.firing.map(({ id }) => id), resolved.resolved.map(({ id }) => id)]).toEqual([['b'], ['a']])
    expect(
      notificationsDue(config, [firing('a'), firing('b')], kept, NOW + 5 * 3_600_000).positions[0]!.dueSince,
    ).not.toBeNull()
  })

  test('what is silenced is not told, and one that was told and is silenced since is not said to be over', () => {
    const told = [
      delivered(aPosition(), { receiver: 'ops', rule: 'node-lost', firing: [firing('a')], resolved: [] }, NOW),
    ]
    expect(
      notificationsDue(config, [firing('a', 's1'), firing('b', 's1')], told, NOW + 60_000).positions[0]!.dueSince,
    ).toBeNull()
  })

  test('after a failure it waits, each time longer, up to five minutes', () => {
    expect([0, 1, 2, 3, 20].map(backOffMs)).toEqual([0, 5_000, 10_000, 20_000, 300_000])
    const failed = notDelivered({ ...aPosition(), dueSince: NOW - 60_000 }, NOW)
    expect(notificationsDue(config, [firing('a')], [failed], NOW + 4_999).notifications).toHaveLength(0)
    expect(notificationsDue(config, [firing('a')], [failed], NOW + 5_000).notifications).toHaveLength(1)
  })

  test('a clock that is set back holds nothing up', () => {
    const { positions } = notificationsDue(config, [firing('a')], [], NOW)
    const back = NOW - 3_600_000
    const again = notificationsDue(config, [firing('a')], positions, back).positions
    expect(notificationsDue(config, [firing('a')], again, back + config.groupWaitMs).notifications).toHaveLength(1)
    const failed = notDelivered(aPosition(), NOW)
    const later = notificationsDue({ ...config, groupWaitMs: 0 }, [firing('a')], [failed], back).positions
    expect(
      notificationsDue({ ...config, groupWaitMs: 0 }, [firing('a')], later, back + 5_000).notifications,
    ).toHaveLength(1)
  })

  test('a receiver that is gone is forgotten', () => {
    expect(notificationsDue(ALERTS_CONFIG_DEFAULT, [firing('a')], [aPosition()], NOW).positions).toEqual([])
  })
})

const aPosition = () => ({
  ...{ receiver: 'ops', rule: 'node-lost' as const, told: [], toldAt: 0 },
  ...{ dueSince: null, failures: 0, triedAt: 0 },
})
