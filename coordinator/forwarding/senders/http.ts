/** Bodies to targets that speak HTTP: packed, with what the target wants to know of who sends, and what its answer means. */
import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'
import { BerthError } from '../../../shared/errors.ts'
import type { ForwardTarget } from '../../../shared/forwarding/config.ts'
import { wellFormedBrief } from '../../../shared/text.ts'
import { retryAfterMs, type Verdict, verdictOf } from '../../decide/forwarding/answers.ts'
import { keptConnections, post } from '../../outward/post.ts'

export type HttpAnswer =
  | { verdict: Exclude<Verdict, 'later'>; why: string; text: string; bytes: number }
  | { verdict: 'later'; failure: BerthError; waitMs: number }

export type HttpPoster = {
  /** Never throws. */
  post(body: string, signal: AbortSignal): Promise<HttpAnswer>
  close(): void
}

const pack = promisify(gzip)
/** Of what a target says. */
const WHY_CHARS_MAX = 200

/** `path` stands behind that of the target's URL. */
export function httpPoster(target: ForwardTarget, path: string, now: () => number, limitMs: number): HttpPoster {
  const url = new URL(target.url)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`
  const agent = keptConnections(target.url, target.ca)
  const to = { who: `target ${target.name}`, url: url.href, headers: headersOf(target), agent }
  return {
    async post(body, signal) {
      const packed = await pack(body, { level: constants.Z_BEST_SPEED })
      try {
        const { status, retryAfter, text } = await post(to, packed, signal, limitMs)
        const verdict = verdictOf(status)
        const why = `it answered with status ${status}${saidBy(target, text)}`
        if (verdict !== 'later') return { verdict, why, text, bytes: packed.length }
        const failure = new BerthError('failed', `target ${target.name}: ${why}`, { details: { status } })
        return { verdict, failure, waitMs: retryAfterMs(retryAfter, now()) }
      } catch (error) {
        if (!(error instanceof BerthError)) throw error
        return { verdict: 'later', failure: error, waitMs: 0 }
      }
    },
    close: () => agent.destroy(),
  }
}

function headersOf({ token, user, password, headers, tenant }: ForwardTarget): Record<string, string> {
  const basic = user === undefined ? undefined : Buffer.from(`${user}:${password}`).toString('base64')
  return {
    ...headers,
    'content-type': 'application/json',
    'content-encoding': 'gzip',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(basic !== undefined && { authorization: `Basic ${basic}` }),
    ...(tenant !== undefined && { 'x-scope-orgid': tenant }),
  }
}

/** Its own words help who mends it; a target that repeats what it was told must not make a secret known. */
export function saidBy(target: ForwardTarget, text: string): string {
  const { pathname, search } = new URL(target.url)
  const { authorization = '' } = headersOf(target)
  const { token, password, headers = {} } = target
  const secrets = [token, password, authorization.replace(/^\S+ /, ''), ...Object.values(headers), pathname, search]
  let said = text.replaceAll(/[^\P{C}]+|\s+/gu, ' ').trim()
  for (const secret of secrets)
    if (secret !== undefined && secret.length > 3) said = said.replaceAll(secret, '(hidden)')
  return said === '' ? '' : `: ${wellFormedBrief(said, WHY_CHARS_MAX)}`
}
