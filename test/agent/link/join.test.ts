import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadIdentity } from '../../../agent/link/identity.ts'
import { type JoinOptions, joinCluster } from '../../../agent/link/join.ts'
import { FAILURES_MAX } from '../../../coordinator/security/failure-limit.ts'
import { aDoor, type Door } from '../../build/coordinator-door.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'

async function joining(door: Door, options: Partial<JoinOptions> = {}) {
  const dataDir = options.dataDir ?? (await temporaryFolder())
  return joinCluster({
    coordinator: door.url,
    token: door.security.joinToken(),
    node: 'web-1',
    dataDir,
    now: Date.now,
    ...options,
  })
}

function withCode(code: string) {
  return expect.objectContaining({ code })
}

describe('a host that joins', () => {
  test('gets a certificate for the key it made, and keeps both where only it may read them', async () => {
    const door = await aDoor()
    const dataDir = await temporaryFolder()
    const identity = await joining(door, { dataDir })
    expect(identity).toMatchObject({ node: 'web-1', cluster: door.security.cluster })
    expect(await loadIdentity(dataDir)).toEqual(identity)
    for (const name of ['key.pem', 'identity.json']) {
      expect((await stat(join(dataDir, 'identity', name))).mode & 0o777).toBe(0o600)
    }
    expect(new X509Certificate(identity.certificatePem).subject).toBe('CN=web-1')
    expect(door.core.changes).toMatchObject([{ kind: 'join-node', node: 'web-1' }])
  })

  test('may join again: same key, same name', async () => {
    const door = await aDoor()
    const dataDir = await temporaryFolder()
    await joining(door, { dataDir })
    const key = await readFile(join(dataDir, 'identity', 'key.pem'), 'utf8')
    const identity = await joining(door, { dataDir })
    expect(identity.keyPem).toBe(key)
  })

  test('is refused a name that another key has, with the way out', async () => {
    const door = await aDoor()
    await joining(door)
    const refused = joining(door)
    await expect(refused).rejects.toThrow(withCode('name-taken'))
    await expect(refused).rejects.toThrow(/--name.*berth node rm web-1/)
    expect(door.core.changes).toHaveLength(1)
  })

  test('is refused a name that cannot be one', async () => {
    await expect(joining(await aDoor(), { node: 'Web 1' })).rejects.toThrow(withCode('invalid-request'))
  })

  test('whose clock is hours off is told both times and changes nothing', async () => {
    const door = await aDoor()
    const refused = joining(door, { now: () => Date.now() - 3 * 3_600_000 })
    await expect(refused).rejects.toThrow(withCode('clock-skew'))
    await expect(refused).rejects.toThrow(/host's clock says .*Z, the coordinator's says .*Z.*timedatectl/)
    expect(door.core.changes).toEqual([])
  })
})

describe('the join token', () => {
  test('that is wrong, rotated or expired is refused', async () => {
    let now = Date.now()
    const door = await aDoor({ now: () => now })
    const old = door.security.joinToken()
    const expiring = await door.security.rotateJoinToken({ expiresAt: now + 1000 })
    await expect(joining(door, { token: old, now: () => now })).rejects.toThrow(withCode('token-invalid'))
    await expect(joining(door, { token: 'BRTH-1-nonsense' })).rejects.toThrow(withCode('token-invalid'))
    now += 2000
    await expect(joining(door, { token: expiring, now: () => now })).rejects.toThrow(withCode('token-expired'))
    expect(door.core.changes).toEqual([])
  })

  test('of another cluster is noticed by the host, which then sends nothing', async () => {
    const [door, other] = [await aDoor(), await aDoor()]
    let requests = 0
    door.server.on('request', () => requests++)
    await expect(joining(door, { token: other.security.joinToken() })).rejects.toThrow(withCode('wrong-cluster'))
    expect(requests).toBe(0)
  })

  test('is not told to a node that plays coordinator with its own certificate', async () => {
    const door = await aDoor()
    const node = await joining(door)
    let requests = 0
    const impostor = createServer({ key: node.keyPem, cert: node.certificatePem + node.caPem }, () => requests++)
    onTestFinished(() => void impostor.close())
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
    const coordinator = `https://127.0.0.1:${(impostor.address() as AddressInfo).port}`
    await expect(joining(door, { coordinator, node: 'web-2' })).rejects.toThrow(withCode('wrong-cluster'))
    expect(requests).toBe(0)
  })

  test('cannot be guessed at speed', async () => {
    const door = await aDoor()
    const token = door.security.joinToken().replace(/.{32}$/, '0'.repeat(32))
    for (let i = 0; i < FAILURES_MAX; i++) {
      await expect(joining(door, { token })).rejects.toThrow(withCode('token-invalid'))
    }
    await expect(joining(door, { token })).rejects.toThrow(withCode('too-many-requests'))
  })
})

describe('a coordinator', () => {
  test('that is not there is named with the question to ask', async () => {
    const door = await aDoor()
    await door.kill()
    const refused = joining(door)
    await expect(refused).rejects.toThrow(withCode('unreachable'))
    await expect(refused).rejects.toThrow(/127\.0\.0\.1:\d+ .*ECONNREFUSED.*Is berth-coordinator running there\?/)
  })

  test('that does not answer is given up', async () => {
    const door = await aDoor()
    const silent = createTcpServer()
    onTestFinished(() => void silent.close())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const coordinator = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`
    await expect(joining(door, { coordinator, timeoutMs: 200 })).rejects.toThrow(withCode('timed-out'))
  })

  test('is told by an https address', async () => {
    const door = await aDoor()
    await expect(joining(door, { coordinator: 'http://127.0.0.1:1' })).rejects.toThrow(withCode('invalid-request'))
    await expect(joining(door, { coordinator: 'nonsense' })).rejects.toThrow(withCode('invalid-request'))
  })
})
