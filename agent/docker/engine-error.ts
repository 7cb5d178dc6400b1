/** What dockerode throws → a BerthError with a stable code and a sentence that says how to mend it. */
import { BerthError } from '../../shared/errors.ts'

/** What dockerode and node put on their errors. */
type Thrown = { statusCode?: number; code?: string; message?: string; json?: { message?: string } | Buffer | null }

const GONE_CODES = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EHOSTUNREACH', 'ETIMEDOUT', 'ENOTFOUND'])

/** @param place the Engine's socket or address  @param act what was asked of it, e.g. `start container 0123456789ab` */
export function engineError(thrown: unknown, place: string, act: string): BerthError {
  if (thrown instanceof BerthError) return thrown
  const { statusCode, code = '' } = (thrown ?? {}) as Thrown
  const said = whatItSaid(thrown)
  if (statusCode !== undefined) return refusal(statusCode, said, act, thrown)
  if (code === 'EACCES' || code === 'EPERM') {
    return new BerthError(
      'engine-forbidden',
      `not allowed to use the Docker Engine at ${place}: run the agent as root or as a member of the socket's group (usually docker)`,
      { cause: thrown },
    )
  }
  if (GONE_CODES.has(code) || /socket hang up|aborted/i.test(said)) {
    return new BerthError(
      'engine-unavailable',
      `the Docker Engine at ${place} does not answer (${code || said}): is it running? systemctl status docker`,
      { cause: thrown },
    )
  }
  return new BerthError('failed', `could not ${act}: ${said}`, { cause: thrown })
}

/** It has begun to stop, whatever it still answers. */
export function engineStops(place: string): BerthError {
  const message = `the Docker Engine at ${place} is being stopped: it has told its containers to end and takes no connections`
  return new BerthError('engine-unavailable', message, { details: { stops: true } })
}

export function timedOut(place: string, act: string, limitMs: number): BerthError {
  return new BerthError(
    'timed-out',
    `the Docker Engine at ${place} did not ${act} within ${limitMs / 1000} s; its log may say why: journalctl -u docker`,
  )
}

/** Why a pull failed: the image is not there (or not for us), or its registry cannot be used now. */
export function pullError(image: string, thrown: unknown): BerthError {
  const said = whatItSaid(thrown)
  if (/no matching manifest/i.test(said)) {
    return new BerthError('wrong-platform', `image ${image} is not made for this host: ${said}`, { cause: thrown })
  }
  if (/manifest unknown|not found|does not exist|access denied|invalid reference/i.test(said)) {
    return new BerthError('image-not-found', `image ${image} cannot be had: ${said}`, { cause: thrown })
  }
  return new BerthError('image-unavailable', `image ${image} cannot be fetched now: ${said}`, { cause: thrown })
}

/** The Engine's own words, without dockerode's frame around them. */
export function whatItSaid(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown
  const { json, message } = (thrown ?? {}) as Thrown
  const text = json && !Buffer.isBuffer(json) ? json.message : undefined
  return (text ?? message ?? String(thrown)).replace(/^\(HTTP code \d+\) [a-z ]+ - /, '').trim()
}

function refusal(statusCode: number, said: string, act: string, cause: unknown): BerthError {
  const details = { statusCode }
  if (/port is already allocated|address already in use/i.test(said)) {
    const port = /:(\d+)(?: failed)?: (?:port is|bind)/i.exec(said)?.[1]
    return new BerthError(
      'port-taken',
      `could not ${act}: host port ${port ?? '?'} is taken by something else on this host (ss -ltnp shows by what): ${said}`,
      { cause, details },
    )
  }
  if (isMissingImage(statusCode, said)) return new BerthError('image-not-found', said, { cause, details })
  if (statusCode === 404) return new BerthError('not-found', `could not ${act}: ${said}`, { cause, details })
  if (statusCode === 409) return new BerthError('conflict', `could not ${act}: ${said}`, { cause, details })
  return new BerthError('container-refused', `the Engine refused to ${act}: ${said}`, { cause, details })
}

function isMissingImage(statusCode: number, said: string): boolean {
  return (statusCode === 404 || statusCode === 500) && /no such image|image not known/i.test(said)
}
