/**
 * One mail over SMTP (RFC 5321), with STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4616). Only what a notice needs: one short mail, a
 * dialogue of eight lines. docs/decisions/smtp.md says why no package does it. What it throws holds no password and no words of the server.
 */
import { randomUUID } from 'node:crypto'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
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

/** A server that says more at once is none. */
const REPLY_LENGTH_MAX = 64 * 1024

/** @throws BerthError `timed-out`, `unreachable`, or `failed` when the server did not take it */
export async function sendMail(server: MailServer, mail: Mail, signal: AbortSignal, limitMs: number): Promise<void> {
  const limit = AbortSignal.timeout(limitMs)
  const dialogue = new Dialogue(server, AbortSignal.any([signal, limit]))
  try {
    await dialogue.open()
    await logIn(dialogue, server)
    await dialogue.say(`MAIL FROM:<${server.from}>`, 250)
    for (const to of server.to) await dialogue.say(`RCPT TO:<${to}>`, 250)
    await dialogue.say('DATA', 354)
    await dialogue.say(`${messageOf(server, mail)}\r\n.`, 250, 'the mail')
    // It has taken it; how the goodbye goes is no matter.
    await dialogue.say('QUIT', 221).catch(() => undefined)
  } catch (error) {
    if (limit.aborted) {
      throw new BerthError('timed-out', `receiver ${server.name} has not answered within ${limitMs / 1000} s`)
    }
    if (error instanceof BerthError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new BerthError('unreachable', `receiver ${server.name} cannot be reached (${code ?? 'no connection'})`)
  } finally {
    dialogue.close()
  }
}

async function logIn(dialogue: Dialogue, { name, user, token }: MailServer): Promise<void> {
  let offers = await dialogue.say('EHLO berth', 250)
  if (!dialogue.isEncrypted && /^250[ -]STARTTLS\b/im.test(offers)) {
    await dialogue.say('STARTTLS', 220)
    await dialogue.encrypt()
    offers = await dialogue.say('EHLO berth', 250)
  }
  if (user === undefined || token === undefined) return
  if (!dialogue.isEncrypted) {
    throw new BerthError(
      'failed',
      `receiver ${name} offers no encryption, and a password is not sent without; use smtps://`,
    )
  }
  await dialogue.say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${token}`).toString('base64')}`, 235, 'AUTH')
}

/** Of base64 no line begins with a dot, and none is too long. */
function messageOf({ from, to }: MailServer, { subject, text }: Mail): string {
  const body = Buffer.from(text).toString('base64').replaceAll(/.{76}/g, '$&\r\n')
  return [
    `From: Berth <${from}>`,
    `To: ${to.join(', ')}`,
    `Subject: =?utf-8?B?${Buffer.from(subject.slice(0, 45)).toString('base64')}?=`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${randomUUID()}@berth>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
    '',
    body,
  ].join('\r\n')
}

/** One line to the server, one reply from it. */
class Dialogue {
  private socket: Socket
  private heard = ''
  private failure: Error | null = null
  private wake: () => void = () => undefined
  private readonly name: string
  private readonly host: string
  private readonly trust: { ca?: string }
  isEncrypted: boolean

  constructor({ name, url, ca }: MailServer, signal: AbortSignal) {
    const { protocol, hostname, port } = new URL(url)
    this.name = name
    this.trust = ca === undefined ? {} : { ca }
    this.host = hostname.replace(/^\[|\]$/g, '')
    this.isEncrypted = protocol === 'smtps:'
    const to = { host: this.host, port: Number(port) || (this.isEncrypted ? 465 : 587) }
    this.socket = this.isEncrypted
      ? connectTls({ ...to, servername: nameFor(this.host), ...this.trust })
      : connectPlain(to)
    this.listen()
    const stop = () => this.fail(new Error('stopped'))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  }

  /** Waits for the greeting. */
  open(): Promise<string> {
    return this.reply('the greeting', 220)
  }

  say(line: string, wanted: number, called = line.split(/[ :\r]/, 1)[0] ?? ''): Promise<string> {
    this.socket.write(`${line}\r\n`)
    return this.reply(called, wanted)
  }

  /** The same connection goes on under TLS; the server's certificate is checked. */
  async encrypt(): Promise<void> {
    // What came in clear behind the reply is somebody else's.
    if (this.heard !== '') throw new BerthError('failed', `receiver ${this.name} speaks before it is asked`)
    this.socket.removeAllListeners()
    this.socket = connectTls({ socket: this.socket, host: this.host, servername: nameFor(this.host), ...this.trust })
    this.listen()
    this.isEncrypted = true
  }

  close(): void {
    this.socket.destroy()
  }

  private async reply(called: string, wanted: number): Promise<string> {
    for (;;) {
      const end = /^\d{3} .*\r?\n/m.exec(this.heard)
      if (end !== null) {
        const reply = this.heard.slice(0, end.index + end[0].length)
        this.heard = this.heard.slice(reply.length)
        const code = Number(end[0].slice(0, 3))
        if (code === wanted) return reply
        throw new BerthError('failed', `receiver ${this.name} answered ${called} with ${code}`, {
          details: { status: code },
        })
      }
      if (this.failure !== null) throw this.failure
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  private listen(): void {
    this.socket.setEncoding('utf8')
    this.socket.on('data', (text: string) => {
      this.heard += text
      if (this.heard.length > REPLY_LENGTH_MAX) this.fail(new Error('too much'))
      this.wake()
    })
    this.socket.on('error', (error) => this.fail(error))
    this.socket.on('close', () => this.fail(new Error('closed')))
  }

  private fail(error: Error): void {
    this.failure ??= error
    this.socket.destroy()
    this.wake()
  }
}

/** Certificates are for names; an address is asked for as it is. */
function nameFor(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host
}
