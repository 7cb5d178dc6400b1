/** One mail to one server, by nodemailer. What it throws holds no password and no words of the server, which may repeat what it was told. */
import { connect } from 'node:net'
import { isLoopback } from '../../shared/alerts/config.ts'
import { BerthError } from '../../shared/errors.ts'

export type MailServer = {
  name: string
  url: string
  user?: string
  token?: string
  from: string
  to: string[]
  /** In place of the authorities that Node trusts; for tests. */
  ca?: string
}
export type Mail = { subject: string; text: string }

/**
 * Resolves with the addresses that the server refused while it took others.
 * @throws BerthError `timed-out`, `unreachable`, or `failed` when the server did not take it
 */
export async function sendMail(
  server: MailServer,
  mail: Mail,
  signal: AbortSignal,
  limitMs: number,
): Promise<string[]> {
  // Most clusters send none: loaded with the first.
  const { createTransport } = await import('nodemailer')
  const { protocol, hostname, port } = new URL(server.url)
  const { user, token, from, to, ca } = server
  const secure = protocol === 'smtps:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const limit = AbortSignal.timeout(limitMs)
  // A connection of ours, so that it ends when we say so: nodemailer's own limits begin anew with each reply.
  const connection = connect({
    host,
    port: Number(port) || (secure ? 465 : 587),
    signal: AbortSignal.any([signal, limit]),
  })
  try {
    await opened(connection)
    const transport = createTransport({
      connection,
      host,
      secure,
      name: 'berth',
      requireTLS: !secure && (user !== undefined || !isLoopback(hostname)),
      ...(user !== undefined && { auth: { user, pass: token ?? '' } }),
      tls: { ...(ca !== undefined && { ca }) },
      disableFileAccess: true,
      disableUrlAccess: true,
    })
    const { rejected } = await transport.sendMail({
      from: { name: 'Berth', address: from },
      to,
      ...mail,
      textEncoding: 'base64',
    })
    return rejected
  } catch (error) {
    if (limit.aborted) {
      throw new BerthError('timed-out', `receiver ${server.name} has not answered within ${limitMs / 1000} s`)
    }
    throw failureOf(server.name, error)
  } finally {
    connection.destroy()
  }
}

function opened(connection: ReturnType<typeof connect>): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once('connect', resolve)
    // It stays: an end by the signal may come after nodemailer has let go of the connection.
    connection.on('error', reject)
  })
}

function failureOf(name: string, error: unknown): BerthError {
  const { code, command, responseCode } = error as { code?: string; command?: string; responseCode?: number }
  if (code === 'ETLS' && responseCode !== undefined) {
    const message = `receiver ${name} offers no encryption, and nothing is sent without; use smtps:// or another server`
    return new BerthError('failed', message)
  }
  if (responseCode !== undefined) {
    const message = `receiver ${name} answered ${command ?? 'a command'} with ${responseCode}`
    return new BerthError('failed', message, { details: { status: responseCode } })
  }
  return new BerthError('unreachable', `receiver ${name} cannot be reached (${code ?? 'no connection'})`)
}
