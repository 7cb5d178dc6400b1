/** Sends one notification to one receiver. What it throws never holds the receiver's URL or token, which are its secret. */
import type { AlertReceiver } from '../../shared/alerts/config.ts'
import { BerthError } from '../../shared/errors.ts'
import { post as postTo } from '../outward/post.ts'
import { type Mail, sendMail } from './mail.ts'

/** A receiver that has not answered by then is cut off. */
export const DELIVERY_LIMIT_MS = 10_000

/** Resolves with the addresses that a mail server refused while it took others. */
export type Deliver = (receiver: AlertReceiver, payload: object, signal: AbortSignal) => Promise<readonly string[]>

/** @throws BerthError `timed-out`, `unreachable`, or `failed` when the receiver did not take it */
export const deliver: Deliver = async (receiver, payload, signal) => {
  const { kind, from, to } = receiver
  if (kind !== 'smtp') {
    await post(receiver, payload, signal, DELIVERY_LIMIT_MS)
    return []
  }
  if (from === undefined || to === undefined)
    throw new BerthError('failed', `receiver ${receiver.name} has no from or to`)
  return sendMail({ ...receiver, from, to }, payload as Mail, signal, DELIVERY_LIMIT_MS)
}

/** Its words are of no use: what counts is whether it took it. */
export async function post(
  { name, url, token }: AlertReceiver,
  payload: object,
  signal: AbortSignal,
  limitMs: number,
): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  const { status } = await postTo({ who: `receiver ${name}`, url, headers }, JSON.stringify(payload), signal, limitMs)
  if (status >= 200 && status < 300) return
  throw new BerthError('failed', `receiver ${name} answered with status ${status}`, { details: { status } })
}
