import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { certificateRequest } from '../../../agent/link/certificate-request.ts'
import { openSecurity, type SecurityOptions } from '../../../coordinator/security/open.ts'
import { aFakeLog } from '../../build/fake-core.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'

const DAY_MS = 86_400_000
const start = Date.parse('2026-11-23T10:00:00Z')

async function opened(dir: string, options: Partial<SecurityOptions> = {}) {
  const security = await openSecurity({ dir, names: ['localhost', '127.0.0.1', '::1'], now: () => start, ...options })
  return security
}

function request(node: string): string {
  return certificateRequest(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, node)
}

describe('the first start', () => {
  test('makes files that only their owner may read', async () => {
    const dir = join(await temporaryFolder(), 'security')
    await opened(dir)
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
    const names = (await readdir(dir)).sort()
    expect(names).toEqual(['ca.pem', 'operator-token', 'server.pem', 'ticket-key.json', 'tokens.json'])
    for (const name of names) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600)
  })

  test('makes an operator token that is in clear in its own file only', async () => {
    const dir = await temporaryFolder()
    const security = await opened(dir)
    const token = (await readFile(join(dir, 'operator-token'), 'utf8')).trim()
    expect(token).toMatch(/^berth-op-[\w-]{43}$/)
    expect(security.isOperator(token)).toBe(true)
    expect(security.isOperator(`${token}x`)).toBe(false)
    expect(security.isOperator('')).toBe(false)
    expect(await readFile(join(dir, 'tokens.json'), 'utf8')).not.toContain(token)
  })

  test('gives the server a certificate for its names, signed by the CA, of no use to a client', async () => {
    const security = await opened(await temporaryFolder())
    const { cert, ca } = security.serverTls()
    const certificate = new X509Certificate(cert)
    const caCertificate = new X509Certificate(ca)
    expect(certificate.checkIssued(caCertificate) && certificate.verify(caCertificate.publicKey)).toBe(true)
    expect(certificate.checkHost('localhost')).toBe('localhost')
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
    expect(certificate.checkIP('::1')).toBe('::1')
    expect(certificate.checkHost('elsewhere')).toBeUndefined()
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(caCertificate.ca).toBe(true)
    expect(certificate.ca).toBe(false)
  })
})

describe('a later start', () => {
  test('finds everything as it was', async () => {
    const dir = await temporaryFolder()
    const first = await opened(dir)
    const second = await opened(dir)
    expect(second.serverTls()).toEqual(first.serverTls())
    expect(second.joinToken()).toBe(first.joinToken())
    expect(second.cluster).toBe(first.cluster)
  })

  test('after a crash between any two writes of the first start completes what is missing', async () => {
    const writes = ['ca.pem', 'server.pem', 'operator-token', 'tokens.json']
    for (let written = 0; written <= writes.length; written++) {
      const dir = await temporaryFolder()
      const first = await opened(dir)
      for (const name of writes.slice(written)) await rm(join(dir, name))
      const second = await opened(dir)
      second.checkJoinToken(second.joinToken())
      expect(second.isOperator((await readFile(join(dir, 'operator-token'), 'utf8')).trim())).toBe(true)
      if (written >= 1) expect(second.cluster).toBe(first.cluster)
      if (written >= 2) expect(second.serverKeyPin).toBe(first.serverKeyPin)
    }
  })

  test('after a crash in the middle of a rotation takes the token that stands in clear', async () => {
    const dir = await temporaryFolder()
    await opened(dir)
    const newer = `berth-op-${'n'.repeat(43)}`
    await writeFile(join(dir, 'operator-token'), `${newer}\n`)
    const security = await opened(dir)
    expect(security.isOperator(newer)).toBe(true)
  })

  test.each(['', 'secret\n', 'berth-op-short'])('lets no %j in the place of a token take over', async (text) => {
    const dir = await temporaryFolder()
    const token = await (await opened(dir)).rotateOperatorToken()
    await writeFile(join(dir, 'operator-token'), text)
    const security = await opened(dir)
    expect([security.isOperator(token), security.isOperator(text.trim())]).toEqual([true, false])
  })

  test('accepts that the operator has taken the token in clear away', async () => {
    const dir = await temporaryFolder()
    const token = await (await opened(dir)).rotateOperatorToken()
    await rm(join(dir, 'operator-token'))
    expect((await opened(dir)).isOperator(token)).toBe(true)
    expect(await readdir(dir)).not.toContain('operator-token')
  })

  test('knows read-only tokens again after a start, by their hashes alone, and so many of them', async () => {
    const dir = await temporaryFolder()
    const security = await opened(dir)
    const token = await security.createReader('prometheus')
    await expect(security.createReader('prometheus')).rejects.toMatchObject({ code: 'name-taken' })
    const again = await opened(dir)
    expect([again.readerOf(token), again.readerOf(`${token}x`), again.isOperator(token)]).toEqual([
      'prometheus',
      null,
      false,
    ])
    expect(again.readers().map(({ name }) => name)).toEqual(['prometheus'])
    for (let count = 1; count < 100; count += 1) await again.createReader(`r${count}`)
    await expect(again.createReader('one-more')).rejects.toMatchObject({ code: 'conflict' })
    await again.removeReader('prometheus')
    expect((await opened(dir)).readerOf(token)).toBe(null)
    await expect(again.removeReader('prometheus')).rejects.toMatchObject({ code: 'not-found' })
  })

  test('refuses to make a second CA where one has been', async () => {
    const dir = await temporaryFolder()
    await opened(dir)
    await rm(join(dir, 'ca.pem'))
    await expect(opened(dir)).rejects.toThrow(/ca\.pem is gone: restore it from a backup/)
  })

  test('names the file that is damaged', async () => {
    const dir = await temporaryFolder()
    await opened(dir)
    await writeFile(join(dir, 'tokens.json'), '{"operatorTok')
    await expect(opened(dir)).rejects.toThrow(/tokens\.json is damaged/)
  })
})

describe('the key of tickets', () => {
  test('survives a restart, for a week', async () => {
    let now = start
    const dir = await temporaryFolder()
    const first = (await opened(dir, { now: () => now })).serverTls().ticketKeys
    now = start + 6 * DAY_MS
    const second = await opened(dir, { now: () => now })
    expect(second.serverTls().ticketKeys).toEqual(first)

    let told = 0
    second.onServerCertificate(() => told++)
    await second.renewIfDue()
    expect(told).toBe(0)
    now = start + 7 * DAY_MS
    await second.renewIfDue()
    expect(told).toBe(1)
    expect(second.serverTls().ticketKeys).not.toEqual(first)
    expect((await opened(dir, { now: () => now })).serverTls().ticketKeys).toEqual(second.serverTls().ticketKeys)
  })

  test.each(['', 'nonsense', '{"madeAt":1,"key":"c2hvcnQ="}'])('is made anew where the file holds %j', async (text) => {
    const dir = await temporaryFolder()
    const before = (await opened(dir)).serverTls().ticketKeys
    await writeFile(join(dir, 'ticket-key.json'), text)
    const after = (await opened(dir)).serverTls().ticketKeys
    expect(after).toHaveLength(48)
    expect(after).not.toEqual(before)
  })
})

describe("the server's certificate", () => {
  test('is renewed when less than a third of its life is left, for the same key, and listeners are told', async () => {
    let now = start
    const security = await opened(await temporaryFolder(), { now: () => now, lifetimes: { ticketMs: 365 * DAY_MS } })
    const before = security.serverTls()
    let told = 0
    security.onServerCertificate(() => told++)

    now = start + 59 * DAY_MS
    await security.renewIfDue()
    expect(told).toBe(0)

    now = start + 61 * DAY_MS
    await security.renewIfDue()
    expect(told).toBe(1)
    const after = security.serverTls()
    expect(after.key).toBe(before.key)
    expect(after.cert).not.toBe(before.cert)
    expect(new X509Certificate(after.cert).validToDate.getTime()).toBe(now + 90 * DAY_MS)
  })

  test('that cannot be renewed is said in the log with its end, and is tried again', async () => {
    let now = start
    const dir = await temporaryFolder()
    const log = aFakeLog()
    const security = await opened(dir, { now: () => now, log, lifetimes: { ticketMs: 365 * DAY_MS } })
    const before = security.serverTls().cert
    now = start + 80 * DAY_MS
    await rename(dir, `${dir}.away`)
    await security.renewIfDue()
    expect(log.lines).toMatchObject([{ level: 'error', message: expect.stringContaining('2027-02-21T10:00:00.000Z') }])
    expect(security.serverTls().cert).toBe(before)
    await rename(`${dir}.away`, dir)
    await security.renewIfDue()
    expect(security.serverTls().cert).not.toBe(before)
    expect(log.lines[1]).toMatchObject({ level: 'info', message: "the server's certificate was renewed" })
  })

  test('is made anew for the same key when the names differ', async () => {
    const dir = await temporaryFolder()
    const first = await opened(dir)
    const second = await opened(dir, { names: ['berth.example', '10.0.0.5'] })
    expect(second.serverKeyPin).toBe(first.serverKeyPin)
    expect(new X509Certificate(second.serverTls().cert).checkHost('berth.example')).toBe('berth.example')
  })
})

describe('the join token', () => {
  test('that was rotated is refused, now and after a start', async () => {
    const dir = await temporaryFolder()
    const security = await opened(dir)
    const old = security.joinToken()
    const fresh = await security.rotateJoinToken()
    for (const each of [security, await opened(dir)]) {
      each.checkJoinToken(fresh)
      expect(() => each.checkJoinToken(old)).toThrow(expect.objectContaining({ code: 'token-invalid' }))
    }
  })

  test('of another cluster is told from a wrong one', async () => {
    const security = await opened(await temporaryFolder())
    const other = await opened(await temporaryFolder())
    expect(() => security.checkJoinToken(other.joinToken())).toThrow(expect.objectContaining({ code: 'wrong-cluster' }))
    expect(() => security.checkJoinToken('BRTH-1-nonsense')).toThrow(expect.objectContaining({ code: 'token-invalid' }))
  })

  test('with an expiry is refused from then on', async () => {
    let now = start
    const security = await opened(await temporaryFolder(), { now: () => now })
    const token = await security.rotateJoinToken({ expiresAt: start + 1000 })
    security.checkJoinToken(token)
    now = start + 1000
    expect(() => security.checkJoinToken(token)).toThrow(expect.objectContaining({ code: 'token-expired' }))
  })

  test('is the last one when several are asked for at once', async () => {
    const security = await opened(await temporaryFolder())
    const tokens = await Promise.all([1, 2, 3].map(() => security.rotateJoinToken()))
    expect(security.joinToken()).toBe(tokens[2])
  })
})

describe("a node's certificate", () => {
  test('is for the name it was signed for, for a day, of no use to a server', async () => {
    const security = await opened(await temporaryFolder())
    const { certificatePem, keyFingerprint } = await security.sign(request('somebody-else'), 'web-1')
    const certificate = new X509Certificate(certificatePem)
    expect(certificate.subject).toBe('CN=web-1')
    expect(certificate.verify(new X509Certificate(security.caCertificatePem).publicKey)).toBe(true)
    expect(certificate.validToDate.getTime()).toBe(start + DAY_MS)
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(keyFingerprint).toMatch(/^[0-9a-f]{64}$/)
  })

  test('is refused for what is no request, for another kind of key, and for a request its key did not sign', async () => {
    const security = await opened(await temporaryFolder())
    const p384 = certificateRequest(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, 'web-1')
    const good = request('web-1')
    const bytes = Buffer.from(good.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
    bytes[20] = bytes[20]! ^ 1
    const altered = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----`
    for (const bad of ['', 'nonsense', p384, altered]) {
      await expect(security.sign(bad, 'web-1')).rejects.toThrow(expect.objectContaining({ code: 'invalid-request' }))
    }
  })
})
