/** Waiting for a stack with its progress in view: what makes `berth deploy`'s exit code worth trusting. */
import type { ProgressDocument, ServiceProgress } from '../shared/api.ts'
import { BerthError } from '../shared/errors.ts'
import { type Client, segment } from './client.ts'
import type { Context } from './context.ts'
import { duration } from './figures.ts'
import { leavingOnInterrupt } from './interrupt.ts'
import { liveLines } from './live.ts'
import { fittingLines, headLine, missingLines, type Noted, plainLine, progressLines, shortOf } from './progress-view.ts'

const reconnectMs = 500

export type WaitOptions = {
  stack: string
  timeoutMs: number
  /** What Ctrl-C tells. */
  leaveHint: string
  /** Narrower than the whole stack: only these services are shown. */
  services?: string[]
  /** True ends the wait before the stack's own `done`. */
  isEnough?: (progress: ProgressDocument) => boolean
  /** That the stack is not there (any more) is what was asked for. */
  isRemoval?: boolean
  /** Nothing was asked of the coordinator before: when it does not answer, that is the answer. */
  mustAnswer?: boolean
  /** Whoever waits for more than this stack looks after Ctrl-C, too, and ends the wait with it. */
  signal?: AbortSignal
}

/**
 * Follows the stack's progress to its end and returns the last picture.
 * @throws BerthError `timed-out` with what is missing and why
 */
export async function waitForStack(context: Context, client: Client, options: WaitOptions): Promise<ProgressDocument> {
  const view = progressView(context, options)
  const wait = () => showUntilOver(client, options, view)
  try {
    return await (options.signal ? wait() : leavingOnInterrupt(context, options.leaveHint, wait, view.end))
  } finally {
    view.end()
  }
}

async function showUntilOver(client: Client, options: WaitOptions, view: View): Promise<ProgressDocument> {
  const stop = new AbortController()
  const signals = [AbortSignal.timeout(options.timeoutMs), stop.signal]
  let last: ProgressDocument | null = null
  try {
    for await (const progress of follow(client, options, view, AbortSignal.any(signals.concat(options.signal ?? [])))) {
      last = progress
      view.show(progress)
      if (progress.outcome !== 'going' || options.isEnough?.(progress)) return progress
    }
  } finally {
    stop.abort()
  }
  options.signal?.throwIfAborted()
  throw timedOut(options, last)
}

/**
 * Each picture of the stack. A coordinator that goes away after it has taken what was asked is waited for: that outlives it.
 */
async function* follow(
  client: Client,
  { stack, isRemoval = false, mustAnswer = false }: WaitOptions,
  view: View,
  signal: AbortSignal,
): AsyncIterable<ProgressDocument> {
  let hasBeenReached = !mustAnswer
  let isAwayTold = false
  while (!signal.aborted) {
    try {
      for await (const { data } of client.events(`/v1/progress/${segment(stack)}`, {}, signal)) {
        hasBeenReached = true
        isAwayTold = false
        yield data as ProgressDocument
      }
    } catch (error) {
      if (error instanceof BerthError && error.code === 'stack-not-found' && (isRemoval || hasBeenReached)) {
        return yield { stack, deployment: 0, outcome: 'gone', services: [] }
      }
      const isAway = error instanceof BerthError && (error.code === 'unreachable' || error.code === 'timed-out')
      if (signal.aborted) return
      if (!isAway || !hasBeenReached) throw error
      if (!isAwayTold) view.away(error.message)
      isAwayTold = true
    }
    await new Promise((resolve) => setTimeout(resolve, reconnectMs))
  }
}

type View = { show(progress: ProgressDocument): void; away(why: string): void; end(): void }

function progressView({ out, json }: Context, options: WaitOptions): View {
  const notes = noteBook()
  const shown = (progress: ProgressDocument): ProgressDocument => {
    notes.note(progress)
    const { services } = options
    return services
      ? { ...progress, services: progress.services.filter(({ service }) => services.includes(service)) }
      : progress
  }
  const away = (why: string) => out.note(`${why}\nwhat was asked goes on; waiting for the coordinator to come back`)
  if (json) return { show: (progress) => void notes.note(progress), away, end: () => {} }
  return out.isTerminal ? liveView(out, options, shown, notes, away) : plainView(out, options, shown, notes, away)
}

/** What a look at the last picture alone would not tell: how long each service took, and whom it waited for. */
function noteBook(): Noted & { note(progress: ProgressDocument): void } {
  const startedAt = performance.now()
  const took = new Map<string, number>()
  const waitedFor = new Map<string, string>()
  return {
    took,
    waitedFor,
    note(progress) {
      for (const service of progress.services) {
        const { service: name, stage, heldBy } = service
        if (stage === 'held') waitedFor.set(name, heldBy.map((each) => shortOf(each.service, service)).join(', '))
        if (stage !== 'up' && stage !== 'done' && stage !== 'rolled-back') took.delete(name)
        else if (!took.has(name)) took.set(name, performance.now() - startedAt)
      }
    },
  }
}

type Shown = (progress: ProgressDocument) => ProgressDocument

const hintOf = ({ outcome }: ProgressDocument, { leaveHint }: WaitOptions) =>
  outcome === 'going' ? `Ctrl-C leaves it going; ${leaveHint}` : ''

type Away = View['away']

function liveView(out: Context['out'], options: WaitOptions, shown: Shown, notes: Noted, away: Away): View {
  const live = liveLines(out)
  return {
    show(progress: ProgressDocument): void {
      const picture = shown(progress)
      const head = headLine(picture, hintOf(picture, options), out.columns)
      if (progress.outcome === 'going') {
        live.draw([head, ...fittingLines(picture, notes, out.paint, out.rows - 2)])
      } else live.last([head, ...progressLines(picture, notes, out.paint)])
    },
    away(why) {
      live.keep()
      away(why)
    },
    end: () => live.keep(),
  }
}

/** A line for each service that differs from its line before, and what is below it once. */
function plainView(out: Context['out'], options: WaitOptions, shown: Shown, notes: Noted, away: Away): View {
  const before = new Map<string, string>()
  const told = new Set<string>()
  const tell = (service: ServiceProgress, lastLines: ProgressDocument['lastLines']) => {
    const [line = '', ...below] = plainLine(service, notes, lastLines).split('\n')
    const fresh = below.filter((text) => !told.has(`${service.service} ${text}`))
    if (before.get(service.service) === line && fresh.length === 0) return
    before.set(service.service, line)
    for (const text of fresh) told.add(`${service.service} ${text}`)
    // How it ended is read by itself, at the end of a long log: with all its reasons.
    const isOver = service.stage === 'failed' || service.stage === 'rolled-back'
    out.line([line, ...(isOver ? below : fresh)].join('\n'))
  }
  let hasHead = options.services !== undefined || options.isRemoval === true
  return {
    show(progress: ProgressDocument): void {
      const picture = shown(progress)
      if (!hasHead) out.line(headLine(picture, hintOf(picture, options)))
      hasHead = true
      for (const service of picture.services) tell(service, picture.lastLines)
    },
    away,
    end: () => {},
  }
}

function timedOut({ stack, timeoutMs, leaveHint }: WaitOptions, last: ProgressDocument | null): BerthError {
  const missing = last ? missingLines(last) : ['nothing was heard of it']
  const waiting = last?.services.find(({ counts, waits }) => counts.waiting > 0 && waits.length > 0)
  if (waiting) missing.push(`berth why ${waiting.service} tells what would let them run`)
  return new BerthError(
    'timed-out',
    `${stack} is not up after ${duration(timeoutMs)}; it goes on (${leaveHint}). Missing:\n${missing.map((line) => `  ${line}`).join('\n')}`,
    {
      details: {
        stack,
        timeoutMs,
        services: last?.services.filter(({ stage }) => stage !== 'up' && stage !== 'done') ?? [],
      },
    },
  )
}
