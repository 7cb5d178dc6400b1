/** Forwards log lines and figures to the targets that are set: each by itself, so that none waits for another. */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { type ForwardingConfig, type ForwardTarget, withoutSecrets } from '../../shared/forwarding/config.ts'
import type { Log } from '../../shared/log.ts'
import type { NewEvent } from '../events.ts'
import type { ForwardingFiles } from './files.ts'
import type { MetricsPicture } from './formats/otlp-metrics.ts'
import type { Counted } from './kept-batches.ts'
import type { ForwardLine } from './line.ts'
import { type ForwardCounts, type ForwardState, LineForwarder } from './line-forwarder.ts'
import { type MetricsCounts, MetricsForwarder } from './metrics-forwarder.ts'
import { AT_THE_BEGINNING, type KeptLogs, type Position, positionAtEnd, positionFound } from './position.ts'
import { lokiSender, otlpSender } from './senders/http-lines.ts'
import { SEND_LIMIT_MS, type Sender, TEST_LIMIT_MS } from './senders/sender.ts'
import { syslogSender } from './senders/syslog.ts'
import { takeTurns } from './turns.ts'

export type ForwardingOptions = {
  files: ForwardingFiles
  /** Null: no lines are kept, and so none can be forwarded. */
  store: KeptLogs | null
  picture: () => MetricsPicture
  tell: (event: NewEvent) => void
  clock: Clock
  chance?: () => number
  log: Log
}

export type TargetView = {
  /** Without secrets. */
  target: ForwardTarget
  /** Null: it gets no lines. */
  logs: { state: ForwardState; behind: Counted & { seconds: number }; counts: ForwardCounts } | null
  /** Null: it gets no figures. */
  metrics: { trouble: { since: number; why: string } | null; counts: MetricsCounts } | null
}

export type Forwarding = {
  targets(): TargetView[]
  /** Those that do not take what they are sent, and why. */
  troubles(): { target: string; why: string }[]
  /** Durable once it resolves. A target that is not changed goes on undisturbed, and one that keeps its name keeps its position. */
  setConfig(config: ForwardingConfig): Promise<void>
  /** Sends each target a line (and figures) that says that it is a test. */
  test(): Promise<{ target: string; error: string | null }[]>
  run(signal: AbortSignal): Promise<void>
}

type Running = {
  target: ForwardTarget
  lines: LineForwarder | null
  metrics: MetricsForwarder | null
  sender: Sender | null
  stop: AbortController
  ended: Promise<unknown>
}

/** Open it before anything is written to the store: where targets are is found by what is there now. */
export async function openForwarding(options: ForwardingOptions): Promise<Forwarding> {
  const { files, store, clock, log, tell } = options
  const chance = options.chance ?? Math.random
  const inTurn = takeTurns(clock)
  let { config } = files
  const running = new Map<string, Running>()
  /** Of targets that are not running. */
  const positions = new Map<string, Position>()
  let changing: Promise<unknown> = Promise.resolve()
  let isRunning = false

  for (const target of config.targets.filter(hasLines)) {
    if (store !== null) positions.set(target.name, await positionOf(target, store))
    else log.warn({ target: target.name }, 'no lines are kept (--logs-size 0), and so none are forwarded')
  }

  function start(target: ForwardTarget): void {
    const stop = new AbortController()
    const isLines = target.logs !== null && store !== null
    const sender = isLines ? senderOf(target, clock.now, SEND_LIMIT_MS) : null
    const lines =
      isLines && sender !== null
        ? new LineForwarder({
            target,
            sender,
            store,
            position: positions.get(target.name) ?? beginOf(target, store),
            writePosition: (position) => files.writePosition(target.name, position),
            inTurn,
            tell,
            clock,
            chance,
            log,
          })
        : null
    const metrics =
      target.metrics === null
        ? null
        : new MetricsForwarder({ target, picture: options.picture, tell, clock, limitMs: SEND_LIMIT_MS, log })
    const ended = Promise.all([lines?.run(stop.signal), metrics?.run(stop.signal)])
    running.set(target.name, { target, lines, metrics, sender, stop, ended })
  }

  /** What cannot be read begins with the oldest line: better twice than not at all. */
  async function positionOf(target: ForwardTarget, kept: KeptLogs): Promise<Position> {
    try {
      const found = await files.readPosition(target.name)
      return found === null ? beginOf(target, kept) : positionFound(found, kept)
    } catch (err) {
      log.error({ err, target: target.name }, 'its position cannot be read; it gets all that is kept')
      return AT_THE_BEGINNING
    }
  }

  async function end(name: string): Promise<void> {
    const one = running.get(name)
    if (one === undefined) return
    running.delete(name)
    one.stop.abort()
    await one.ended
    one.sender?.close()
    if (one.lines !== null) positions.set(name, one.lines.position)
  }

  async function change(next: ForwardingConfig): Promise<void> {
    if (store === null && next.targets.some(({ logs }) => logs !== null)) {
      const message = 'no lines are kept (--logs-size 0), and they are forwarded from where they are kept'
      throw new BerthError('conflict', `${message}; set "logs: false", or start the coordinator with --logs-size`)
    }
    const before = new Map(config.targets.map((target) => [target.name, target]))
    // Where a new one begins is known before it is set: a crash in between leaves a place, and no target without one.
    for (const target of next.targets) {
      if (store === null || !hasLines(target) || hasLines(before.get(target.name))) continue
      positions.set(target.name, beginOf(target, store))
      await files.writePosition(target.name, positions.get(target.name)!)
    }
    await files.writeConfig(next)
    config = next
    for (const [name, { target }] of running) {
      const wanted = next.targets.find((each) => each.name === name)
      if (wanted === undefined || !isDeepStrictEqual(wanted, target)) await end(name)
    }
    for (const { name } of before.values()) {
      if (hasLines(next.targets.find((each) => each.name === name))) continue
      positions.delete(name)
      await files.removePosition(name)
    }
    if (isRunning) for (const target of next.targets) if (!running.has(target.name)) start(target)
    const message = `${next.targets.length === 1 ? '1 target' : `${next.targets.length} targets`} of forwarding set`
    tell({ at: clock.now(), kind: 'forward-set', level: 'info', message, by: 'operator' })
  }

  function viewOf(target: ForwardTarget): TargetView {
    const one = running.get(target.name)
    const lines = one?.lines ?? null
    const metrics = one?.metrics ?? null
    return {
      target: withoutSecrets(target),
      logs: lines && { state: lines.state, behind: lines.behind(), counts: lines.counts },
      metrics: metrics && { trouble: metrics.trouble, counts: metrics.counts },
    }
  }

  async function testOne(target: ForwardTarget): Promise<string | null> {
    const signal = new AbortController().signal
    const errors: string[] = []
    if (target.logs !== null) {
      const sender = senderOf(target, clock.now, TEST_LIMIT_MS)
      const answer = await sender.send([testLine(clock.now())], signal)
      sender.close()
      if (answer.kind === 'later') errors.push(answer.failure.message)
      else if (answer.refused > 0) errors.push(`target ${target.name} refuses the test: ${answer.why}`)
    }
    if (target.metrics !== null) {
      const metrics = new MetricsForwarder({
        target,
        picture: options.picture,
        tell,
        clock,
        limitMs: TEST_LIMIT_MS,
        log,
      })
      const failure = await metrics.send(signal)
      metrics.close()
      if (failure !== null) errors.push(failure.message)
    }
    return errors.length === 0 ? null : errors.join('; ')
  }

  return {
    targets: () => config.targets.map(viewOf),
    troubles: () =>
      [...running].flatMap(([target, { lines, metrics }]) => {
        const why = lines?.trouble?.why ?? metrics?.trouble?.why
        return why === undefined ? [] : { target, why }
      }),
    setConfig(next) {
      const done = changing.then(() => change(next))
      changing = done.catch(() => {})
      return done
    },
    test: () =>
      Promise.all(config.targets.map(async (target) => ({ target: target.name, error: await testOne(target) }))),
    async run(signal) {
      isRunning = true
      for (const target of config.targets) start(target)
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
      await changing
      isRunning = false
      await Promise.all([...running.keys()].map(end))
    },
  }
}

/** Where a target begins that was not there before. */
function beginOf({ begin }: ForwardTarget, store: KeptLogs): Position {
  return begin === 'oldest' ? AT_THE_BEGINNING : positionAtEnd(store)
}

function hasLines(target: ForwardTarget | undefined): boolean {
  return target !== undefined && target.logs !== null
}

function senderOf(target: ForwardTarget, now: () => number, limitMs: number): Sender {
  if (target.kind === 'loki') return lokiSender(target, now, limitMs)
  return target.kind === 'otlp' ? otlpSender(target, now, limitMs) : syslogSender(target, limitMs)
}

function testLine(at: number): ForwardLine {
  return {
    origin: { service: 'berth', stack: '', node: '', task: '', container: 'berth' },
    at,
    source: 'stdout',
    level: 'info',
    text: 'this is a test of the target: nothing is wrong',
  }
}
