import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { aDoor, type Door } from '../../build/coordinator-door.ts'
import { aRawAgent, credentialsOf } from '../../build/raw-agent.ts'
import { until } from '../../build/until.ts'

function endLater<S extends Socket>(socket: S): S {
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  return socket
}

/** Connected, and silent: a handshake that never begins. */
function aSilentOne(door: Door): Socket {
  return endLater(connect(door.port, '127.0.0.1'))
}

/** Its handshake is over; it shows no certificate and asks for nothing. */
async function aBrowser(door: Door): Promise<TLSSocket> {
  const socket = endLater(connectTls({ port: door.port, host: '127.0.0.1', ca: door.security.caCertificatePem }))
  await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve))
  return socket
}

function get(door: Door): Promise<{ status: number; body: string; retryAfter: string | undefined }> {
  return new Promise((resolve, reject) => {
    const options = { port: door.port, host: '127.0.0.1', ca: door.security.caCertificatePem, agent: false, path: '/' }
    const asked = request(options, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, body, retryAfter: answer.headers['retry-after'] })
      })
    })
    asked.on('error', reject)
    asked.end()
  })
}

const strangers = (door: Door) => door.connections.stats().strangers

test('agents that have a session are no strangers: more of them than there is room for strangers live behind one address', async () => {
  const door = await aDoor({ strangers: { strangersMax: 2 } })
  for (const name of ['web-1', 'web-2', 'web-3', 'web-4']) {
    const agent = await aRawAgent(door, name)
    await agent.open()
  }
  expect(door.sessions.stats().sessions).toBe(4)
  expect(strangers(door)).toBe(0)
})

test('handshakes that hang find no more room than there is, and that is counted and said once', async () => {
  const door = await aDoor({ strangers: { strangersMax: 3 } })
  const silent = Array.from({ length: 6 }, () => aSilentOne(door))
  await until(() => silent.filter(({ closed }) => closed).length === 3)
  expect(strangers(door)).toBe(3)
  expect(door.connections.stats().refused).toEqual(new Map([['strangers', 3]]))
  expect(door.log.lines.filter(({ message }) => /shown neither certificate nor token/.test(message))).toHaveLength(1)
  for (const socket of silent) socket.destroy()
  await until(() => strangers(door) === 0)
})

test('those of one address without a certificate are turned away with a word, and agents come in all the same', async () => {
  const door = await aDoor({ strangers: { withoutCertificateOfAddressMax: 2 } })
  const credentials = await credentialsOf(door)
  await until(() => strangers(door) === 0)
  await aBrowser(door)
  await aBrowser(door)
  const { status, body, retryAfter } = await get(door)
  expect(status).toBe(429)
  expect(JSON.parse(body)).toMatchObject({ code: 'too-many-requests', detail: expect.stringContaining('your address') })
  expect(Number(retryAfter)).toBeGreaterThan(0)
  expect(door.connections.stats().refused).toEqual(new Map([['strangers-of-address', 1]]))
  const agent = await aRawAgent(door, 'web-1', credentials)
  await agent.open()
})
