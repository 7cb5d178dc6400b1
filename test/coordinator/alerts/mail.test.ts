import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { type MailServer, sendMail } from '../../../coordinator/alerts/mail.ts'
import { makeCa, makeServerKey, signServer } from '../../../coordinator/security/certificates.ts'

const SECRET = 'T0P-S3CRET'
const signal = new AbortController().signal
const mail = { subject: 'alert: node-lost', text: 'web-1 is lost: quiet\n.\nzwölf' }

/** A mail server that answers each line as `answers` says, by its first word, or that and the address; what it was sent is kept. */
async function aMailServer(
  answers: Record<string, string> = {},
  greeting = '220 hi',
  tls?: { key: string; cert: string },
) {
  const heard: string[] = []
  const answerTo = (verb: string, line: string) => answers[`${verb} ${/<(.*)>/.exec(line)?.[1]}`] ?? answers[verb]
  function serve(socket: Socket, offers: string): void {
    let rest = ''
    let isData = false
    socket.on('error', () => undefined)
    socket.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        heard.push(line)
        if (isData && line !== '.') continue
        const verb = isData ? '.' : line.split(/[ :]/)[0]!
        isData = verb === 'DATA'
        const usual = { DATA: '354 go on', QUIT: '221 bye', EHLO: `250-mail\r\n250 ${offers}`, AUTH: '235 ok' }[verb]
        if (verb === 'STARTTLS' && !tls) socket.write('502 not here\r\n')
        else if (verb !== 'STARTTLS') socket.write(`${answerTo(verb, line) ?? usual ?? '250 ok'}\r\n`)
        else {
          socket.removeAllListeners('data')
          socket.write('220 go on\r\n')
          serve(new TLSSocket(socket, { isServer: true, ...tls }), 'AUTH PLAIN')
        }
      }
    })
  }
  const server = createTcp((socket: Socket) => {
    if (greeting !== '') socket.write(`${greeting}\r\n`)
    serve(socket, tls ? 'STARTTLS' : '8BITMIME')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`
  const to: MailServer = { name: 'mail', url, from: 'berth@example.com', to: ['a@example.com', 'b@example.com'] }
  return { heard, to }
}

test('a mail goes to all its addresses, and its text arrives as it was', async () => {
  const { heard, to } = await aMailServer()
  await sendMail(to, mail, signal, 5_000)
  const begin = heard.indexOf('DATA')
  expect(heard.slice(0, begin)).toEqual([
    'EHLO berth',
    'MAIL FROM:<berth@example.com>',
    'RCPT TO:<a@example.com>',
    'RCPT TO:<b@example.com>',
  ])
  const message = heard.slice(begin + 1, heard.indexOf('.'))
  const body = message.slice(message.indexOf('') + 1).join('')
  expect(Buffer.from(body, 'base64').toString()).toBe(mail.text)
  expect(message).toContain('To: a@example.com, b@example.com')
})

test('a password is not sent over a connection that is not encrypted', async () => {
  const { heard, to } = await aMailServer()
  await expect(sendMail({ ...to, user: 'u', token: SECRET }, mail, signal, 5_000)).rejects.toThrow(
    'offers no encryption',
  )
  expect(heard.slice(0, 2)).toEqual(['EHLO berth', 'STARTTLS'])
  expect(heard.join()).not.toContain('AUTH')
})

test('a server elsewhere gets no mail without encryption, password or not', async () => {
  const { heard, to } = await aMailServer()
  // The same server, by an address that is not recognised as this host.
  const elsewhere = { ...to, url: to.url.replace('127.0.0.1', '[::ffff:127.0.0.1]') }
  await expect(sendMail(elsewhere, mail, signal, 5_000)).rejects.toThrow('offers no encryption')
  expect(heard.join()).not.toContain('MAIL FROM')
})

test('where the server offers it the dialogue goes on under TLS, if its certificate is right, and only then with the password', async () => {
  const validity = { from: Date.now() - 60_000, until: Date.now() + 3_600_000 }
  const ca = await makeCa('test', validity)
  const key = await makeServerKey()
  const tls = { key, cert: await signServer(ca, key, ['127.0.0.1'], validity) }
  const login = { user: 'u', token: SECRET }

  const right = await aMailServer({}, '220 hi', tls)
  await sendMail({ ...right.to, ...login, ca: ca.certificatePem }, mail, signal, 5_000)
  const auth = `AUTH PLAIN ${Buffer.from(`\0u\0${SECRET}`).toString('base64')}`
  expect(right.heard.slice(0, 5)).toEqual([
    ...['EHLO berth', 'STARTTLS', 'EHLO berth', auth],
    'MAIL FROM:<berth@example.com>',
  ])

  const unknown = await aMailServer({}, '220 hi', tls)
  await expect(sendMail({ ...unknown.to, ...login }, mail, signal, 5_000)).rejects.toMatchObject({
    code: 'unreachable',
  })
  expect(unknown.heard).toEqual(['EHLO berth', 'STARTTLS'])
})

test('what the server refuses is told by its verb and number, not by the words of either', async () => {
  const { to } = await aMailServer({ RCPT: `550 no such user ${SECRET}` })
  const failed = await sendMail(to, mail, signal, 5_000).catch((error: Error) => error)
  expect(failed).toMatchObject({ code: 'failed', message: 'receiver mail answered RCPT TO with 550' })
  const refused = await aMailServer({ '.': '554 spam' })
  await expect(sendMail(refused.to, mail, signal, 5_000)).rejects.toThrow('with 554')
})

test('addresses that the server refuses are named when others take the mail', async () => {
  const { heard, to } = await aMailServer({ 'RCPT b@example.com': '550 gone' })
  expect(await sendMail(to, mail, signal, 5_000)).toEqual(['b@example.com'])
  expect(heard).toContain('DATA')
})

test('one that hangs is cut off, one that is not there or talks without end is said so', async () => {
  const { to } = await aMailServer({}, '')
  await expect(sendMail(to, mail, signal, 100)).rejects.toMatchObject({ code: 'timed-out' })
  const endless = await aMailServer({}, `220-${'x'.repeat(2 * 1024 * 1024)}`)
  await expect(sendMail(endless.to, mail, signal, 5_000)).rejects.toMatchObject({ code: 'unreachable' })
  const nowhere = { ...to, url: 'smtp://127.0.0.1:1' }
  await expect(sendMail(nowhere, mail, signal, 5_000)).rejects.toThrow('cannot be reached (ECONNREFUSED)')
})
