/**
 * Looks at the world every few seconds, says which alerts fire, and tells the receivers. One loop: remember, judge, keep, and
 * deliver beside it, so that a receiver that hangs holds up neither the judging nor the other receivers.
 */
import { type AlertReceiver, type AlertsConfig, withoutSecrets } from '../../shared/alerts/config.ts'
import type { Clock, Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import { conditionsInSteps, type OwnFacts } from '../decide/alerts/conditions.ts'
import { type Alert, type AlertChange, evaluateAlerts, type Silence } from '../decide/alerts/evaluate.ts'
import { type AlertHistory, newAlertHistory, rememberInSteps } from '../decide/alerts/history.ts'
import { delivered, keyOf, type Notification, notDelivered, notificationsDue } from '../decide/alerts/notifications.ts'
import type { NewEvent } from '../events.ts'
import { inTurns } from '../turns.ts'
import type { World } from '../world.ts'
import type { Deliver } from './deliver.ts'
import type { AlertFiles, AlertsKept } from './files.ts'
import { payloadOf } from './payloads.ts'

export const LOOK_EVERY_MS = 2_000
/** In a very large cluster it looks less often: no more than a twentieth of this process's time goes here. */
const REST_TIMES = 20
export const SILENCES_MAX = 100

export type AlerterOptions = {
  files: AlertFiles
  world: () => World
  own: () => OwnFacts
  /** Of the coordinator, for receivers. */
  url: () => string
  /** Puts an event into the stream. */
  tell: (event: NewEvent) => void
  deliver: Deliver
  clock: Clock
  log: Log
}

export type AlertCounts = {
  pending: number
  firing: number
  silenced: number
  sent: number
  failed: number
  timedOut: number
}

export type Alerter = {
  alerts(): readonly Alert[]
  silences(): readonly Silence[]
  /** Without secrets. */
  config(): AlertsConfig
  /** Durable once it resolves. */
  setConfig(config: AlertsConfig): Promise<void>
  silence(asked: Omit<Silence, 'id' | 'startedAt'>): Promise<Silence>
  /** @throws BerthError `not-found` */
  unsilence(id: string): Promise<void>
  /** Sends each receiver a notification that says that it is a test. */
  test(): Promise<{ receiver: string; error: string | null }[]>
  counts(): AlertCounts
  /** One look; for tests. `run` does it again and again. */
  look(): Promise<void>
  run(signal: AbortSignal): Promise<void>
}

export function createAlerter(options: AlerterOptions): Alerter {
  const { files, clock, log, tell } = options
  let { config } = files
  let kept = files.kept
  let history: AlertHistory = { ...newAlertHistory(), crashes: new Map(kept.crashes), endings: new Map(kept.endings) }
  let written = JSON.stringify(kept)
  let writing: Promise<unknown> = Promise.resolve()
  let stop = new AbortController().signal
  const underway = new Set<string>()
  const total = { sent: 0, failed: 0, timedOut: 0 }

  async function look(): Promise<void> {
    const now = clock.now()
    const world = options.world()
    history = await inTurns(rememberInSteps(history, world, now), clock)
    const conditions = await inTurns(conditionsInSteps(world, options.own(), history, config.rules, now), clock)
    // Only from here on: while others had turns somebody may have set a silence.
    const silences = kept.silences.filter(({ endsAt }) => endsAt > now)
    const { alerts, changes } = evaluateAlerts(conditions, kept.alerts, silences, config.rules, now)
    const { positions, notifications } = notificationsDue(config, alerts, kept.positions, now)
    kept = { ...kept, alerts, silences, positions, ...crashesKept(history) }
    for (const change of changes) tell(eventOf(change, now))
    await keep()
    for (const notification of notifications) void send(notification)
  }

  async function send(notification: Notification): Promise<void> {
    const key = keyOf(notification)
    const receiver = config.receivers.find(({ name }) => name === notification.receiver)
    if (receiver === undefined || underway.has(key)) return
    underway.add(key)
    const { failed } = await tryDeliver(receiver, notification)
    underway.delete(key)
    if (stop.aborted) return
    const now = clock.now()
    kept = {
      ...kept,
      positions: kept.positions.map((position) => {
        if (keyOf(position) !== key) return position
        tellDelivery(receiver.name, position.failures, failed, now)
        return failed === null ? delivered(position, notification, now) : notDelivered(position, now)
      }),
    }
    await keep()
  }

  /** `refused`: addresses that do not get it, though others do; it is not sent again, for those would get it twice. */
  async function tryDeliver(
    receiver: AlertReceiver,
    notification: Notification,
  ): Promise<{ failed: BerthError | null; refused: string | null }> {
    const context = { cluster: options.world().cluster, url: options.url(), now: clock.now() }
    try {
      const addresses = await options.deliver(receiver, payloadOf(receiver.kind, notification, context), stop)
      total.sent += 1
      if (addresses.length === 0) return { failed: null, refused: null }
      const refused = `the mail server of receiver ${receiver.name} refuses ${addresses.join(', ')}`
      log.warn({ receiver: receiver.name }, refused)
      return { failed: null, refused }
    } catch (error) {
      const failure = error instanceof BerthError ? error : new BerthError('failed', `receiver ${receiver.name} failed`)
      if (!stop.aborted) total[failure.code === 'timed-out' ? 'timedOut' : 'failed'] += 1
      return { failed: failure, refused: null }
    }
  }

  /** Once for failures in a row, and once when it is over. */
  function tellDelivery(receiver: string, failures: number, failed: BerthError | null, at: Instant): void {
    if (failed !== null) log.warn({ receiver, code: failed.code }, failed.message)
    if (failed !== null && failures === 0) {
      const message = `an alert could not be delivered: ${failed.message}; it is tried again`
      tell({ at, kind: 'alert-not-delivered', level: 'warning', message, by: 'coordinator' })
    }
    if (failed === null && failures > 0) {
      const message = `receiver ${receiver} takes alerts again after ${failures} failures`
      tell({ at, kind: 'alert-delivered', level: 'info', message, by: 'coordinator' })
    }
  }

  /** What cannot be kept now is kept at the next look: meanwhile a restart could tell something twice, and nothing is lost. */
  async function keep(): Promise<void> {
    const text = JSON.stringify(kept)
    if (text === written) return
    try {
      await inOrder(() => files.writeKept(kept))
      written = text
    } catch (error) {
      log.error({ err: error }, 'what alerts have told could not be kept; it is tried again')
    }
  }

  function inOrder<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = writing.then(work)
    writing = done.catch(() => undefined)
    return done
  }

  return {
    alerts: () => kept.alerts,
    silences: () => kept.silences.filter(({ endsAt }) => endsAt > clock.now()),
    config: () => withoutSecrets(config),
    async setConfig(next) {
      await inOrder(() => files.writeConfig(next))
      config = next
      tell({
        at: clock.now(),
        kind: 'alerts-set',
        level: 'info',
        message: 'alert rules and receivers were set',
        by: 'operator',
      })
    },
    // In order: each builds on what the one before left.
    silence: (asked) =>
      inOrder(async () => {
        const now = clock.now()
        const silences = kept.silences.filter(({ endsAt }) => endsAt > now)
        if (silences.length >= SILENCES_MAX) {
          throw new BerthError('too-many-requests', `there are ${SILENCES_MAX} silences already; end one first`)
        }
        const made: Silence = { ...asked, id: `s${kept.nextSilence}`, startedAt: now }
        const next = { silences: [...silences, made], nextSilence: kept.nextSilence + 1 }
        await files.writeKept({ ...kept, ...next })
        kept = { ...kept, ...next }
        return made
      }),
    unsilence: (id) =>
      inOrder(async () => {
        if (!kept.silences.some((each) => each.id === id)) {
          throw new BerthError('not-found', `there is no silence ${id}; \`berth alerts ls\` shows those there are`)
        }
        const silences = kept.silences.filter((each) => each.id !== id)
        await files.writeKept({ ...kept, silences })
        kept = { ...kept, silences }
      }),
    async test() {
      const at = clock.now()
      const alert: Alert = {
        id: 'test',
        rule: 'test',
        severity: 'warning',
        labels: {},
        reason: 'this is a test of the receiver: nothing is wrong',
        state: 'firing',
        since: at,
        silencedBy: null,
      }
      return Promise.all(
        config.receivers.map(async (receiver) => {
          const notification = { receiver: receiver.name, rule: alert.rule, firing: [alert], resolved: [] }
          const { failed, refused } = await tryDeliver(receiver, notification)
          return { receiver: receiver.name, error: failed?.message ?? refused }
        }),
      )
    },
    counts() {
      const firing = kept.alerts.filter(({ state }) => state === 'firing')
      return {
        pending: kept.alerts.length - firing.length,
        firing: firing.length,
        silenced: firing.filter(({ silencedBy }) => silencedBy !== null).length,
        ...total,
      }
    },
    look,
    async run(signal) {
      stop = signal
      while (!signal.aborted) {
        const startedAt = clock.monotonicMs()
        // Whatever breaks here must not take the coordinator along, nor end the looking.
        await look().catch((err: unknown) => log.error({ err }, 'alerts could not be judged; it is tried again'))
        const tookMs = clock.monotonicMs() - startedAt
        await clock.sleep(Math.max(LOOK_EVERY_MS, REST_TIMES * tookMs), signal).catch(() => undefined)
      }
      await writing
    },
  }
}

function eventOf({ kind, alert: { id, rule, labels, reason, silencedBy } }: AlertChange, at: Instant): NewEvent {
  const { node, service } = labels
  const names = { ...(node !== undefined && { node }), ...(service !== undefined && { service }) }
  const silent =
    silencedBy === null
      ? ''
      : ` (nobody is told: ${silencedBy === 'drained' ? 'the node is drained' : `silence ${silencedBy}`})`
  if (kind === 'resolved') {
    return { at, kind: 'alert-resolved', level: 'info', message: `alert ${id} is over`, by: 'coordinator', ...names }
  }
  return {
    at,
    kind: 'alert-firing',
    level: 'warning',
    message: `alert ${rule}: ${reason}${silent}`,
    by: 'coordinator',
    ...names,
  }
}

/** A restart of the coordinator must not end the alert of a task that goes on crashing. Tasks that never ended need no keeping. */
function crashesKept({ crashes, endings }: AlertHistory): Pick<AlertsKept, 'crashes' | 'endings'> {
  return { crashes: [...crashes], endings: [...endings] }
}
