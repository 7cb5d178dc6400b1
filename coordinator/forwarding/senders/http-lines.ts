/** Lines to Loki and OTLP. */
import type { ForwardTarget } from '../../../shared/forwarding/config.ts'
import { lokiPush } from '../formats/loki.ts'
import { partialSuccess } from '../formats/otlp.ts'
import { otlpLogs } from '../formats/otlp-logs.ts'
import type { ForwardLine } from '../line.ts'
import { type HttpPoster, httpPoster, saidBy } from './http.ts'
import { type Answer, BATCH_BYTES_USUAL, type Sender } from './sender.ts'

const LOKI_PATH = '/loki/api/v1/push'
const OTLP_PATH = '/v1/logs'

export function lokiSender(target: ForwardTarget, now: () => number, limitMs: number): Sender {
  // Many write the whole address.
  const path = new URL(target.url).pathname.endsWith('/push') ? '' : LOKI_PATH
  const hasMetadata = target.metadata ?? true
  return senderOf(httpPoster(target, path, now, limitMs), (lines) => lokiPush(lines, hasMetadata))
}

export function otlpSender(target: ForwardTarget, now: () => number, limitMs: number): Sender {
  const said = (why: string) => `it did not take some${saidBy(target, why)}`
  return senderOf(
    httpPoster(target, OTLP_PATH, now, limitMs),
    (lines) => otlpLogs(lines, now()),
    (text) => {
      const partial = partialSuccess(text)
      return partial === null ? null : { refused: partial.rejected, why: said(partial.why) }
    },
  )
}

/** `refusedIn` reads an answer that is good. */
function senderOf(
  poster: HttpPoster,
  bodyOf: (lines: readonly ForwardLine[]) => string,
  refusedIn: (text: string) => { refused: number; why: string } | null = () => null,
): Sender {
  async function send(lines: readonly ForwardLine[], signal: AbortSignal): Promise<Answer> {
    const answer = await poster.post(bodyOf(lines), signal)
    if (answer.verdict === 'later') return { kind: 'later', failure: answer.failure, waitMs: answer.waitMs }
    const { verdict, why, text, bytes } = answer
    if (verdict === 'taken') return { kind: 'taken', refused: 0, why: '', bytes, ...refusedIn(text) }
    if (verdict === 'smaller' && lines.length > 1) return inHalves(lines, signal)
    return { kind: 'taken', refused: lines.length, why, bytes: 0 }
  }

  /** The second after the first, as their order counts. */
  async function inHalves(lines: readonly ForwardLine[], signal: AbortSignal): Promise<Answer> {
    const middle = lines.length >> 1
    const first = await send(lines.slice(0, middle), signal)
    if (first.kind === 'later') return first
    const second = await send(lines.slice(middle), signal)
    if (second.kind === 'later') return second
    const { refused, why, bytes } = second
    return { ...first, refused: first.refused + refused, why: first.why || why, bytes: first.bytes + bytes }
  }

  return { batchBytes: BATCH_BYTES_USUAL, send, close: poster.close }
}
