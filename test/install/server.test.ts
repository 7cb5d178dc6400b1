import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LABEL } from '../../shared/labels.ts'
import { type Hosts, startHosts } from '../engines/hosts.ts'
import { loadImages } from '../engines/image.ts'
import { until } from '../engines/until.ts'
import { type DebianHost, startDebianHost } from './debian-host.ts'

/** systemd's own judgement, 0 (all forbidden) to 10. */
const COORDINATOR_EXPOSURE_MAX = 2
const AGENT_EXPOSURE_MAX = 3
/** curl's exit code for a server whose key is not the pinned one. */
const CURL_KEY_DIFFERS = 90
const INSTALL_LIMIT_MS = 180_000
const BOOTSTRAP_LIMIT_MS = 900_000

const COMPOSE = `
services:
  sleeper:
    image: bb:1
    pull_policy: never
    deploy: { replicas: 2 }
`

describe('two hosts with systemd: a coordinator, and a node that joins by the printed line', () => {
  let hosts: Hosts
  let server: DebianHost
  let node: DebianHost
  let joinLine: string

  beforeAll(async () => {
    hosts = await startHosts({ count: 2 })
    await loadImages(hosts.hosts)
    server = await startDebianHost(hosts.hosts[0]!, 'systemd')
    node = await startDebianHost(hosts.hosts[1]!, 'systemd')
  }, BOOTSTRAP_LIMIT_MS)
  afterAll(() => hosts?.stop())

  const exposure = async (host: DebianHost, unit: string) => {
    const said = await host.must(`systemd-analyze security --no-pager ${unit}`)
    return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1] ?? 'NaN')
  }
  const tasks = async () =>
    (await hosts.hosts[1]!.containers())
      .filter((container) => container.labels[LABEL.task] && container.state === 'running')
      .map(({ id, startedAt }) => ({ id, startedAt }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  const nodeIsReady = () =>
    until(
      async () => /"status": *"ready"/.test((await server.sh('berth nodes --json')).stdout),
      'the node to be ready',
      { limitMs: 90_000 },
    )

  test('install.sh coordinator sets up the service and prints the line for hosts', async () => {
    const said = await server.must('/src/install.sh coordinator', INSTALL_LIMIT_MS)
    joinLine = /^ *(curl .*)$/m.exec(said)?.[1] ?? ''
    expect(joinLine).toContain('/install.sh')
    expect(await server.must('systemctl is-active berth-coordinator')).toBe('active\n')
    expect(await server.must('systemctl is-enabled berth-coordinator')).toBe('enabled\n')
    expect(await server.must('ps -o user= -C node,MainThread,berth | sort -u')).toBe('berth\n')
    expect(await server.must('stat -c %a /var/lib/berth/coordinator')).toBe('700\n')
  })

  test('the line, typed on a host without Node.js, makes it a node', async () => {
    expect((await node.sh('command -v node npm')).stdout).toBe('')
    const said = await node.must(joinLine, INSTALL_LIMIT_MS)
    expect(said).toContain("the coordinator's CA is the one that the join token names")
    expect(await node.must('systemctl is-active berth-agent')).toBe('active\n')
    await nodeIsReady()
    expect(await node.must('stat -c %a /etc/berth/join-token')).toBe('600\n')
    expect(await node.must('cat /proc/[0-9]*/cmdline | tr "\\0" " "')).not.toMatch(/BRTH-1-[0-9a-f]{64}/)
  })

  test('both services are hardened as far as systemd can judge', async () => {
    expect(await exposure(server, 'berth-coordinator')).toBeLessThanOrEqual(COORDINATOR_EXPOSURE_MAX)
    expect(await exposure(node, 'berth-agent')).toBeLessThanOrEqual(AGENT_EXPOSURE_MAX)
  })

  test('a stack comes up on the node', async () => {
    await server.must(`printf '%s' '${COMPOSE}' >/tmp/compose.yaml && berth deploy -f /tmp/compose.yaml --stack demo`)
    expect(await tasks()).toHaveLength(2)
  })

  test('upgrade and a second join replace the processes and leave the containers alone', async () => {
    const before = await tasks()
    const pid = await node.must('systemctl show -p MainPID berth-agent')
    await server.must('/src/install.sh upgrade', INSTALL_LIMIT_MS)
    await node.must('/opt/berth/current/install.sh upgrade', INSTALL_LIMIT_MS)
    await node.must(joinLine, INSTALL_LIMIT_MS)
    expect(await node.must('systemctl show -p MainPID berth-agent')).not.toBe(pid)
    await nodeIsReady()
    expect(await tasks()).toEqual(before)
  })

  test('after a reboot of both hosts everything comes back by itself', async () => {
    const before = await tasks()
    await Promise.all([server.reboot(), node.reboot()])
    await nodeIsReady()
    expect(await node.must('systemctl is-active berth-agent')).toBe('active\n')
    expect(await tasks()).toEqual(before)
  })

  test('a line with a key that is not the coordinator’s downloads nothing', async () => {
    const wrong = joinLine.replace(/sha256\/\/[^']+/, `sha256//${Buffer.alloc(32).toString('base64')}`)
    const { exit, stdout } = await node.sh(wrong.slice(0, wrong.indexOf('|')))
    expect([exit, stdout]).toEqual([CURL_KEY_DIFFERS, ''])
  })

  test('a token of another cluster is refused before anything is installed', async () => {
    const foreign = joinLine.replaceAll(/BRTH-1-[0-9a-f]{64}/g, `BRTH-1-${'0'.repeat(64)}`)
    const { exit, stderr } = await node.sh(foreign)
    expect([exit, stderr]).toEqual([3, expect.stringContaining('of another cluster')])
  })

  test('uninstall leaves the containers running; with --purge nothing of Berth is left', async () => {
    const before = await tasks()
    await node.must('/opt/berth/current/install.sh uninstall')
    expect((await node.sh('systemctl is-active berth-agent')).stdout).not.toBe('active\n')
    expect((await node.sh('ls /opt/berth /etc/berth /usr/local/bin/berth')).stdout).toBe('')
    expect(await tasks()).toEqual(before)

    await node.must(joinLine, INSTALL_LIMIT_MS)
    await nodeIsReady()
    expect(await tasks()).toEqual(before)

    await node.must('/opt/berth/current/install.sh uninstall --purge')
    expect(await tasks()).toEqual([])
    expect((await node.sh('ls -d /opt/berth /etc/berth /var/lib/berth')).stdout).toBe('')
  })
})
