/** Waiting for a stack with its progress in view: what makes `berth deploy`'s exit code worth trusting. */
import type { ProgressDocument, ServiceProgress } from '../shared/api.ts'
import { BerthError } from '../shared/errors.ts'
import { type Client, segment } from './client.ts'
import type { Context } from './context.ts'
import { duration } from './figures.ts'
import { liveLines } from './live.ts'
import { headLine, missingLines, plainLine, progressLines } from './progress-view.ts'

const reconnectMs = 500
/** What a command that was interrupted by Ctrl-C exits with, as shells have it. */
const INTERRUPTED_EXIT = 130

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
}

/**
 * Follows the stack's progress to its end and returns the last picture.
 * @throws BerthError `timed-out` with what is missing and why
 */
export async function waitForStack(context: Context, client: Client, options: WaitOptions): Promise<ProgressDocument> {
  const view = progressView(context, options)
  const timeout = AbortSignal.timeout(options.timeoutMs)
  const stop = new AbortController()
  const onInterrupt = () => {
    view.end()
    context.out.note(`left going: ${options.leaveHint}`)
    process.exit(INTERRUPTED_EXIT)
  }
  process.once('SIGINT', onInterrupt)
  let last: ProgressDocument | null = null
  try {
    for await (const progress of follow(client, options, AbortSignal.any([timeout, stop.signal]))) {
      last = progress
      view.show(progress)
      if (progress.outcome !== 'going' || options.isEnough?.(progress)) return progress
    }
  } finally {
    stop.abort()
    view.end()
    process.removeListener('SIGINT', onInterrupt)
  }
  throw timedOut(options, last)
}

/** Each picture of the stack. A coordinator that goes away in between is waited for: deployments outlive it. */
async function* follow(
  client: Client,
  { stack, isRemoval = false }: WaitOptions,
  signal: AbortSignal,
): AsyncIterable<ProgressDocument> {
  let hasBeenReached = false
  while (!signal.aborted) {
    try {
      for await (const { data } of client.events(`/v1/progress/${segment(stack)}`, {}, signal)) {
        hasBeenReached = true
        yield data as ProgressDocument
      }
    } catch (error) {
      if (error instanceof BerthError && error.code === 'stack-not-found' && (isRemoval || hasBeenReached)) {
        return yield { stack, deployment: 0, outcome: 'gone', services: [] }
      }
      const isAway = error instanceof BerthError && (error.code === 'unreachable' || error.code === 'timed-out')
      if (signal.aborted) return
      if (!isAway || !hasBeenReached) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, reconnectMs))
  }
}

function progressView({ out, json }: Context, options: WaitOptions) {
  const startedAt = performance.now()
  const took = new Map<string, number>()
  const note = (progress: ProgressDocument): ProgressDocument => {
    for (const { service, stage } of progress.services) {
      if (stage !== 'up' && stage !== 'done') took.delete(service)
      else if (!took.has(service)) took.set(service, performance.now() - startedAt)
    }
    const { services } = options
    return services
      ? { ...progress, services: progress.services.filter(({ service }) => services.includes(service)) }
      : progress
  }
  if (json) return { show: note, end: () => {} }
  return out.isTerminal ? liveView(out, options, note, took) : plainView(out, note, took)
}

type Note = (progress: ProgressDocument) => ProgressDocument

function liveView(out: Context['out'], options: WaitOptions, note: Note, took: Map<string, number>) {
  const live = liveLines(out)
  return {
    show(progress: ProgressDocument): void {
      const shown = note(progress)
      const head = headLine(
        shown,
        shown.outcome === 'going' ? out.paint('dim', `Ctrl-C leaves it going; ${options.leaveHint}`) : '',
      )
      live.draw([head, ...progressLines(shown, took, out.paint)])
    },
    end: () => live.keep(),
  }
}

/** A line for each service that differs from its line before. */
function plainView(out: Context['out'], note: Note, took: Map<string, number>) {
  const before = new Map<string, string>()
  const tell = (service: ServiceProgress) => {
    const line = plainLine(service, took.get(service.service))
    if (before.get(service.service) === line) return
    before.set(service.service, line)
    out.line(line)
  }
  return {
    show: (progress: ProgressDocument) => note(progress).services.forEach(tell),
    end: () => {},
  }
}

function timedOut({ stack, timeoutMs, leaveHint }: WaitOptions, last: ProgressDocument | null): BerthError {
  const missing = last ? missingLines(last) : ['nothing was heard of it']
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
