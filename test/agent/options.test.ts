import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { compareVersions, connectEngine, imageSource } from '../../agent/docker/engine.ts'
import { engineError, pullError } from '../../agent/docker/engine-error.ts'
import { enginePlace } from '../../agent/docker/place.ts'
import { ownKey, requestFor } from '../../agent/link/identity.ts'
import { agentOptions } from '../../agent/options.ts'
import { openSecurity } from '../../coordinator/security/open.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'

const flags = { coordinator: 'https://10.0.0.5:23784', name: 'web-1' }

test('flags win over the environment, and the rest is what is usual', () => {
  const env = { BERTH_COORDINATOR: 'https://other:1', DOCKER_HOST: 'unix:///d.sock', BERTH_JOIN_TOKEN: ' token ' }
  const options = agentOptions(flags, env)
  expect(options).toMatchObject({
    dataDir: '/var/lib/berth/agent',
    coordinator: 'https://10.0.0.5:23784',
    node: 'web-1',
    engineHost: 'unix:///d.sock',
    labels: {},
    logLevel: 'info',
  })
  expect(options.joinToken()).toBe('token')
})

test('countable things of the host are named with how many there are', () => {
  expect(agentOptions({ ...flags, resource: { gpu: 2 } }, {}).resources).toEqual({ gpu: 2 })
  expect(() => agentOptions({ ...flags, resource: { 'g u': 2 } }, {})).toThrow(/--resource: "g u" cannot be the name/)
  expect(() => agentOptions({ ...flags, resource: { gpu: 1e9 } }, {})).toThrow(/--resource gpu: 1000000000 is not/)
})

test('a join file is read when it is asked for, and one that is gone is no token', () => {
  const joinFile = join(tmpdir(), `berth-token-${process.pid}`)
  const { joinToken } = agentOptions({ ...flags, joinFile }, {})
  expect(joinToken()).toBeNull()
  writeFileSync(joinFile, 'secret\n')
  expect(joinToken()).toBe('secret')
})

test('what cannot be is refused with the name of the flag', () => {
  expect(() => agentOptions({ name: 'a' }, {})).toThrow(/--coordinator/)
  expect(() => agentOptions({ ...flags, coordinator: 'http://10.0.0.5' }, {})).toThrow(/https:/)
  expect(() => agentOptions({ ...flags, name: 'Not A Name' }, {})).toThrow(/--name/)
  expect(() => agentOptions({ ...flags, logLevel: 'loud' }, {})).toThrow(/--log-level/)
  expect(() => agentOptions({ ...flags, pullStall: 0 }, {})).toThrow(/--pull-stall/)
  expect(() => agentOptions({ ...flags, hostCgroup: 'lxc/web-1' }, {})).toThrow(
    /--host-cgroup: "lxc\/web-1" is not the path/,
  )
  expect(() => agentOptions({ ...flags, hostCgroup: '/no/such' }, {})).toThrow(
    /--host-cgroup: there is no cgroup \/no\/such/,
  )
  expect(() => agentOptions({ ...flags, label: { ['__proto__']: 'x' } }, {})).toThrow(/--label: __proto__ cannot be/)
  expect(() => agentOptions({ ...flags, label: { a: 'x'.repeat(1025) } }, {})).toThrow(/--label a: .* 1024/)
})

test("the Engine's address is a socket, a path or a host and port", () => {
  expect(enginePlace('unix:///run/d.sock')).toEqual({ name: 'unix:///run/d.sock', socketPath: '/run/d.sock' })
  expect(enginePlace('/run/d.sock')).toMatchObject({ socketPath: '/run/d.sock' })
  const local = { host: '127.0.0.1', port: 2375, tls: null, isElsewhere: false }
  expect(enginePlace('tcp://127.0.0.1')).toEqual({ name: 'tcp://127.0.0.1:2375', ...local })
  expect(enginePlace('tcp://[::1]:1')).toMatchObject({ host: '::1', port: 1, tls: null })
  expect(() => enginePlace('ssh://host')).toThrow(/unix:/)
})

test('an Engine on another machine is not spoken to in the clear', () => {
  expect(() => enginePlace('tcp://10.0.0.9')).toThrow(/in the clear.*DOCKER_CERT_PATH/)
  expect(() => enginePlace('tcp://engine.example')).toThrow(/in the clear/)
  expect(() => enginePlace('tcp://10.0.0.9', '/nowhere')).toThrow(/\/nowhere\/ca.pem cannot be read/)
})

test('an Engine on another machine is spoken to with TLS that both sides check', async () => {
  const folder = await temporaryFolder()
  const ca = await openSecurity({ dir: join(folder, 'ca'), names: ['127.0.0.1'], now: Date.now })
  const key = await ownKey(folder)
  const { certificatePem } = await ca.sign(requestFor(key, 'agent'), 'agent')
  for (const [file, text] of [
    ['ca.pem', ca.caCertificatePem],
    ['cert.pem', certificatePem],
    ['key.pem', key],
  ] as const)
    writeFileSync(join(folder, file), text)
  const server = createServer({ ...ca.serverTls(), requestCert: true, rejectUnauthorized: true }, (request, response) =>
    response.end(request.url === '/_ping' ? 'OK' : '{"Version":"28.0.0","ApiVersion":"1.48"}'),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  vi.stubEnv('DOCKER_CERT_PATH', folder)
  onTestFinished(() => void vi.unstubAllEnvs())
  const engine = connectEngine({ host: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` })
  onTestFinished(() => engine.close())
  expect(await engine.check()).toEqual({ version: '28.0.0', apiVersion: '1.48' })
})

test('an image without a tag means latest, also behind a registry with a port', () => {
  expect(imageSource('web')).toEqual({ fromImage: 'web', tag: 'latest' })
  expect(imageSource('10.0.0.1:5000/a/web')).toEqual({ fromImage: '10.0.0.1:5000/a/web', tag: 'latest' })
  expect(imageSource('10.0.0.1:5000/web:2')).toEqual({ fromImage: '10.0.0.1:5000/web', tag: '2' })
  expect(imageSource('web@sha256:ab')).toEqual({ fromImage: 'web', tag: 'sha256:ab' })
  expect(compareVersions('1.9', '1.41')).toBeLessThan(0)
})

test("the Engine's failures have codes and say what to do", () => {
  const codeOf = (thrown: unknown) => engineError(thrown, 'unix:///d.sock', 'start container x').code
  expect(codeOf({ code: 'ENOENT' })).toBe('engine-unavailable')
  expect(codeOf({ code: 'EACCES' })).toBe('engine-forbidden')
  expect(codeOf({ statusCode: 404, json: { message: 'No such image: a:1' } })).toBe('image-not-found')
  expect(codeOf({ statusCode: 404, json: { message: 'No such container: x' } })).toBe('not-found')
  expect(codeOf({ statusCode: 500, json: { message: 'Bind for 0.0.0.0:80 failed: port is already allocated' } })).toBe(
    'port-taken',
  )
  expect(codeOf({ statusCode: 500, json: { message: 'OCI runtime create failed' } })).toBe('container-refused')
  expect(pullError('a:1', 'manifest unknown').code).toBe('image-not-found')
  const none = 'no matching manifest for linux/arm64/v8 in the manifest list entries'
  expect(pullError('a:1', none).code).toBe('wrong-platform')
  expect(pullError('a:1', 'dial tcp: connection refused').code).toBe('image-unavailable')
})
