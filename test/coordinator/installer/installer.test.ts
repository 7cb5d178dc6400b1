import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installerRoutes } from '../../../coordinator/api/installer.ts'
import { neededPackages } from '../../../coordinator/installer/packages.ts'
import { assignments } from '../../../coordinator/installer/script.ts'

const ROOT = join(import.meta.dirname, '../../..')
const CA = '-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----\n'
const PIN = 'sha256//YWJj+/w='

describe('what a host downloads to join', () => {
  let dir: string
  let api: FastifyInstance
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'berth-installer-'))
    api = fastify()
    const security = { serverKeyPin: PIN, caCertificatePem: CA }
    api.register(installerRoutes({ root: ROOT, cacheDir: join(dir, 'cache'), url: 'https://10.0.0.5:23784', security }))
  })
  afterAll(async () => {
    await api.close()
    rmSync(dir, { recursive: true, force: true })
  })

  const get = (url: string, host = '10.0.0.9:23784') => api.inject({ url, headers: { host } })

  test('install.sh carries the address by which it was fetched, the key pin and the CA, and is a whole shell script', async () => {
    const { body } = await get('/install.sh')
    expect(body).toContain("origin_url='https://10.0.0.9:23784'")
    expect(body).toContain(`origin_pin='${PIN}'`)
    expect(body).toContain(`origin_ca='${CA.trim()}'`)
    writeFileSync(join(dir, 'install.sh'), body)
    execFileSync('sh', ['-n', join(dir, 'install.sh')])
  })

  test('a host name that a shell could read as more than a name is not taken over', async () => {
    const { body } = await get('/install.sh', "x';evil;'")
    expect(body).toContain("origin_url='https://10.0.0.5:23784'")
    expect(body).not.toContain('evil')
  })

  test('values that could end their quotes are refused', () => {
    expect(() => assignments({ url: "https://a'b", serverKeyPin: PIN, caCertificatePem: CA })).toThrow(/cannot stand/)
  })

  test('the bundle has the sum that is told, is whole, and holds no secrets and nothing of the coordinator', async () => {
    const arch = process.arch
    const { body: sum } = await get(`/v1/agent-bundle.sha256?arch=${arch}`)
    const bundle = await get(`/v1/agent-bundle.tar.gz?arch=${arch}`)
    expect(createHash('sha256').update(bundle.rawPayload).digest('hex')).toBe(sum.trim())
    expect(Number(bundle.headers['content-length'])).toBe(bundle.rawPayload.length)
    const archive = join(dir, 'bundle.tar.gz')
    writeFileSync(archive, bundle.rawPayload)
    const names = execFileSync('tar', ['-tzf', archive], { encoding: 'utf8', maxBuffer: 64 << 20 }).split('\n')
    for (const wanted of [
      'bin/berth',
      'runtime/node',
      'install.sh',
      'agent/parts.ts',
      'agent/install/berth-agent.service',
    ]) {
      expect(names).toContain(wanted)
    }
    expect(
      names.filter((name) => /^(coordinator|test|\.git)\/|node_modules\/(fastify|lmdb|vitest)\//.test(name)),
    ).toEqual([])
  })

  test('the same content gives the same bytes, made once', async () => {
    const first = await get(`/v1/agent-bundle.sha256?arch=${process.arch}`)
    const again = fastify()
    const options = { root: ROOT, cacheDir: join(dir, 'cache-2'), url: 'https://10.0.0.5:23784' }
    again.register(installerRoutes({ ...options, security: { serverKeyPin: PIN, caCertificatePem: CA } }))
    const leftByKilled = join(options.cacheDir, `agent-${process.arch}-${'0'.repeat(16)}.99.new`)
    mkdirSync(options.cacheDir)
    writeFileSync(leftByKilled, 'half an archive')
    const second = await again.inject({ url: `/v1/agent-bundle.sha256?arch=${process.arch}` })
    expect(second.body).toBe(first.body)
    expect(existsSync(leftByKilled)).toBe(false)
    await again.close()
  })

  test('a download that is not taken is cut off, and its place is free again', async () => {
    const slow = fastify({ forceCloseConnections: true })
    const options = { root: ROOT, cacheDir: join(dir, 'cache'), url: 'https://10.0.0.5:23784', downloadMaxMs: 300 }
    slow.register(installerRoutes({ ...options, security: { serverKeyPin: PIN, caCertificatePem: CA } }))
    await slow.listen({ port: 0, host: '127.0.0.1' })
    const client = connect((slow.server.address() as AddressInfo).port, '127.0.0.1')
    client.on('error', () => undefined)
    client.write(`GET /v1/agent-bundle.tar.gz?arch=${process.arch} HTTP/1.1\r\nhost: a\r\n\r\n`)
    client.once('readable', () => undefined)
    await new Promise((resolve) => slow.server.once('connection', (socket) => socket.once('close', resolve)))
    client.destroy()
    await slow.close()
  })

  test('a processor that Berth does not know, or has no Node.js for, is an error that says so', async () => {
    expect((await get('/v1/agent-bundle.sha256?arch=mips')).statusCode).toBe(400)
    const other = process.arch === 'x64' ? 'arm64' : 'x64'
    const { body } = await get(`/v1/agent-bundle.sha256?arch=${other}`)
    expect(body).toContain(`no Node.js for ${other} hosts`)
  })

  test('packages are found from the imports: what is imported for its types alone is left out', async () => {
    const packages = await neededPackages(ROOT, ['shared'], 'x64')
    expect(packages).toContain('node_modules/typebox')
    expect(packages).not.toContain('node_modules/vitest')
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object }
    const all = await neededPackages(ROOT, ['agent', 'shared', 'cli', 'coordinator'], 'x64')
    expect(all.filter((path) => path === 'node_modules/typescript')).toEqual([])
    expect(Object.keys(manifest.dependencies)).toContain('typebox')
  })
})
