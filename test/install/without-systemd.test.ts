import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LABEL } from '../../shared/labels.ts'
import { type Hosts, startHosts } from '../engines/hosts.ts'
import { BUSYBOX, loadImages } from '../engines/image.ts'
import { until } from '../engines/until.ts'
import { type DebianHost, startDebianHost } from './debian-host.ts'

const INSTALL_LIMIT_MS = 180_000
const BOOTSTRAP_LIMIT_MS = 900_000
const COMPOSE = `
services:
  sleeper:
    image: ${BUSYBOX}
    pull_policy: never
`

describe('a host without systemd: coordinator and agent in the background', () => {
  let hosts: Hosts
  let host: DebianHost
  let joinLine: string

  beforeAll(async () => {
    hosts = await startHosts({ count: 1 })
    await loadImages(hosts.hosts)
    host = await startDebianHost(hosts.hosts[0]!, 'none')
  }, BOOTSTRAP_LIMIT_MS)
  afterAll(() => hosts?.stop())

  const tasks = async () =>
    (await hosts.hosts[0]!.containers())
      .filter((container) => container.labels[LABEL.task] && container.state === 'running')
      .map(({ id, startedAt }) => ({ id, startedAt }))
  const nodeIsReady = () =>
    until(async () => /"status": *"ready"/.test((await host.sh('berth nodes --json')).stdout), 'the node to be ready')
  const pidOf = async (part: string) =>
    (await host.sh(`ps -eo pid=,args= | awk '/main.ts ${part}/ && !/awk/ {print $1}'`)).stdout.trim()

  test('install.sh coordinator starts it as its own user, and the line makes the same host a node', async () => {
    const said = await host.must('/src/install.sh coordinator', INSTALL_LIMIT_MS)
    joinLine = /^ *(curl .*)$/m.exec(said)![1]!
    expect((await host.must(`ps -o user= -p ${await pidOf('coordinator')}`)).trim()).toBe('berth')
    await host.must(joinLine, INSTALL_LIMIT_MS)
    await nodeIsReady()
    await host.must(`printf '%s' '${COMPOSE}' >/tmp/compose.yaml && berth deploy -f /tmp/compose.yaml --stack demo`)
    expect(await tasks()).toHaveLength(1)
  })

  test('an agent that is killed is started again, and its containers notice nothing', async () => {
    const before = await tasks()
    const pid = await pidOf('agent')
    await host.must(`kill -9 ${pid}`)
    await until(async () => ![pid, ''].includes(await pidOf('agent')), 'the agent to be started again')
    await nodeIsReady()
    expect(await tasks()).toEqual(before)
  })

  test('stop and start leave the containers alone', async () => {
    const before = await tasks()
    await host.must('/opt/berth/current/install.sh stop')
    expect([await pidOf('agent'), await pidOf('coordinator')]).toEqual(['', ''])
    await host.must('/opt/berth/current/install.sh start')
    await nodeIsReady()
    expect(await tasks()).toEqual(before)
  })

  test('a second join does not take the coordinator away, and up does not start beside it', async () => {
    const before = await tasks()
    await host.must(joinLine, INSTALL_LIMIT_MS)
    await nodeIsReady()
    expect(await pidOf('coordinator')).not.toBe('')
    expect((await host.sh('/src/install.sh up')).stderr).toContain('installed here as a service already')
    expect(await tasks()).toEqual(before)
  })

  test('uninstall --purge leaves nothing of Berth', async () => {
    await host.must('/opt/berth/current/install.sh uninstall --purge')
    expect(await tasks()).toEqual([])
    expect([await pidOf('agent'), await pidOf('coordinator')]).toEqual(['', ''])
    const left = 'ls -d /opt/berth /etc/berth /var/lib/berth /var/log/berth /usr/local/bin/berth; id -un berth'
    expect((await host.sh(left)).stdout).toBe('')
  })
})
