/** An Engine on another machine, over TCP with TLS on both sides. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connectEngine } from '../../agent/docker/engine.ts'
import { aTaskSpec } from '../build/spec.ts'
import { SupervisedNode } from './agent-supervisor.ts'
import { type Host, type Hosts, startHosts } from './hosts.ts'
import { BUSYBOX, loadImages } from './image.ts'
import { must } from './processes.ts'

const PORT = 2376
const folder = mkdtempSync(join(tmpdir(), 'berth-engine-tls-'))
let hosts: Hosts
let host: Host
beforeAll(async () => {
  await makeCertificates()
  const tls = ['--tlsverify', '--tlscacert', 'ca.pem', '--tlscert', 'server.pem', '--tlskey', 'server-key.pem']
  const files = tls.map((each) => (each.endsWith('.pem') ? join(folder, each) : each))
  hosts = await startHosts({ count: 1, engineArgs: ['-H', `tcp://0.0.0.0:${PORT}`, ...files] })
  host = hosts.hosts[0]!
  await loadImages([host])
})
afterAll(async () => {
  await hosts?.stop()
  rmSync(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

/** A CA, a certificate of the Engine for any address of the harness, and one for its clients: files as DOCKER_CERT_PATH wants them. */
async function makeCertificates(): Promise<void> {
  const openssl = (...args: string[]) => must('openssl', args, { cwd: folder })
  const key = ['-newkey', 'rsa:2048', '-nodes']
  await openssl('req', '-x509', ...key, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test CA')
  const addresses = Array.from({ length: 16 }, (_, slot) => `IP:10.78.${slot}.11`).join(',')
  const uses = {
    server: `extendedKeyUsage=serverAuth\nsubjectAltName=${addresses}\n`,
    client: 'extendedKeyUsage=clientAuth\n',
  }
  for (const [name, extensions] of Object.entries(uses)) {
    writeFileSync(join(folder, `${name}.ext`), extensions)
    const prefix = name === 'server' ? 'server' : 'client'
    await openssl('req', ...key, '-keyout', `${prefix}-key.pem`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`]
    await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${prefix}.pem`, ...by)
  }
  for (const [from, to] of [
    ['client.pem', 'cert.pem'],
    ['client-key.pem', 'key.pem'],
  ]) {
    await must('cp', [join(folder, from!), join(folder, to!)])
  }
}

test('an agent runs, restarts and removes containers of it; what is read from files of that machine is left out', async () => {
  vi.stubEnv('DOCKER_CERT_PATH', folder)
  const node = new SupervisedNode(`tcp://${host.address}:${PORT}`).start()
  try {
    const container = { image: BUSYBOX, command: ['sleep', '100000'], stopGraceMs: 0 }
    await node.assign([{ id: 't.1', spec: aTaskSpec({ container, restart: { delayMs: 0 } }) }])
    const before = await node.runs('t.1')
    process.kill((await host.containers())[0]!.pid, 'SIGKILL')
    expect(await node.runs('t.1', 2)).toMatchObject({ containerId: before.containerId })
    expect(node.supervisor.containers()).toMatchObject([{ task: 't.1', pid: 0, logPath: null }])
    await node.assign([])
    await node.isGone('t.1')
    expect(await host.containers()).toEqual([])
  } finally {
    await node.dispose()
  }
})

test('without TLS, and with a certificate that it does not know, it is not used', async () => {
  vi.stubEnv('DOCKER_CERT_PATH', '')
  expect(() => connectEngine({ host: `tcp://${host.address}:${PORT}` })).toThrow(/without TLS/)
  const strange = mkdtempSync(join(tmpdir(), 'berth-engine-tls-'))
  const subject = ['-days', '2', '-subj', '/CN=stranger', '-keyout', 'key.pem', '-out', 'cert.pem']
  await must('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], { cwd: strange })
  await must('cp', [join(folder, 'ca.pem'), strange])
  vi.stubEnv('DOCKER_CERT_PATH', strange)
  const engine = connectEngine({ host: `tcp://${host.address}:${PORT}` })
  await expect(engine.check()).rejects.toMatchObject({ message: expect.stringMatching(/certificate/i) })
  engine.close()
  rmSync(strange, { recursive: true })
})
