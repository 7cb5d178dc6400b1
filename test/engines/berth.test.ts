import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, startCluster } from './berth.ts'
import { assertExactly, assertUnchanged, snapshot } from './exactly.ts'
import { type Hosts, startHosts } from './hosts.ts'
import { loadImages } from './image.ts'

const COMPOSE = `
services:
  web:
    image: bb:healthy
    pull_policy: never
    deploy: { replicas: 2 }
  sleeper:
    image: bb:1
    pull_policy: never
`

describe('the harness: a real coordinator with real agents', () => {
  let hosts: Hosts
  let cluster: Cluster
  beforeAll(async () => {
    hosts = await startHosts({ count: 2 })
    await loadImages(hosts.hosts)
    cluster = await startCluster(hosts)
  })
  afterAll(() => hosts?.stop())

  test('every host is a ready node under its name', async () => {
    const { nodes } = await cluster.status()
    expect(nodes.map(({ name, status }) => [name, status]).sort()).toEqual([
      ['host-1', 'ready'],
      ['host-2', 'ready'],
    ])
  })

  test('a stack is deployed through the command line, and exactly its containers exist', async () => {
    const { exit, stderr, stdout } = await cluster.deploy('demo', COMPOSE)
    expect(exit, stdout + stderr).toBe(0)
    await assertExactly(cluster.hosts, { demo_web: 2, demo_sleeper: 1 })
  })

  test('coordinator and agents that are killed come back without a container restarted', async () => {
    const since = await snapshot(cluster.hosts)
    await cluster.coordinator.restart('SIGKILL')
    await cluster.agents[0]!.restart('SIGKILL')
    await cluster.ready()
    await cluster.nodesReady()
    await assertExactly(cluster.hosts, { demo_web: 2, demo_sleeper: 1 }, { since })
  })

  test('a container that is restarted behind the back of Berth is noticed by the check', async () => {
    const before = await snapshot(cluster.hosts)
    const [id, victim] = [...before][0]!
    await cluster.hosts.find((host) => host.name === victim.host)!.docker('restart', '--time', '0', id)
    const now = await assertExactly(cluster.hosts, { demo_web: 2, demo_sleeper: 1 })
    expect(() => assertUnchanged(before, now)).toThrow(/started again|lost its container/)
  })
})
