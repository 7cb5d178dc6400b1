/** Sends one notification to one receiver. What it throws never holds the receiver's URL or token, which are its secret. */
import type { AlertReceiver } from '../../shared/alerts/config.ts'
import { BerthError } from '../../shared/errors.ts'
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

export async function post(
  receiver: AlertReceiver,
  payload: object,
  signal: AbortSignal,
  limitMs: number,
): Promise<void> {
  const { name, url, token } = receiver
  const limit = AbortSignal.timeout(limitMs)
  let status: number
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(payload),
      // Wherever it would lead, nobody has allowed us to send it there.
      redirect: 'manual',
      signal: AbortSignal.any([signal, limit]),
    })
    status = answer.status
    // Its words are of no use; a body that never ends must not hold the connection.
    await answer.body?.cancel()
  } catch (error) {
    if (limit.aborted) throw new BerthError('timed-out', `receiver ${name} has not answered within ${limitMs / 1000} s`)
    throw new BerthError('unreachable', `receiver ${name} cannot be reached (${reasonOf(error)})`)
  }
  if (status >= 200 && status < 300) return
  throw new BerthError('failed', `receiver ${name} answered with status ${status}`, { details: { status } })
}

/** The code alone: messages of fetch name the URL. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } }
  return typeof cause?.code === 'string' ? cause.code : 'no connection'
}
