/** A node on which a service cannot run where another can: its task goes there by itself, and it is told why. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Cluster } from '../engines/berth.ts'
import { BUSYBOX } from '../engines/image.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, makeBed } from './bed.ts'
import { events, lastEvent, settled, tasks } from './trouble.ts'

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  bed = await makeBed({ hosts: 2 })
  cluster = bed.cluster
})
afterAll(() => bed?.hosts.stop())

const SERVES = ['/bin/httpd', '-f', '-p', '8099']
const COMPOSE = `services:
  web:
    image: ${BUSYBOX}
    pull_policy: never
    network_mode: host
    stop_grace_period: 1s
    command: ${JSON.stringify(SERVES)}
`

test("what fails on one host for that host's own reasons is tried on the other, runs there, and why says so", async () => {
  // Something of the operator's own has the port on both, and goes from the other one.
  await Promise.all(
    bed.hosts.hosts.map((host) => host.docker('run', '-d', '--network=host', '--name=own', BUSYBOX, ...SERVES)),
  )
  const before = await lastEvent(cluster)
  exits(await cluster.deploy('talk', COMPOSE, '--detach'), 0)
  const first = await until(async () => {
    const [task] = await tasks(cluster, 'talk_web')
    if (task?.state !== 'restarting') throw new Error(`it is ${task?.state}`)
    return task
  }, 'its first failure')
  const other = bed.hosts.hosts.find(({ name }) => name !== first.node)!
  await other.docker('rm', '-f', 'own')

  await until(async () => {
    const [task] = await tasks(cluster, 'talk_web')
    if (task?.state !== 'running' || task.node !== other.name) throw new Error(`it is ${task?.state} on ${task?.node}`)
    return true
  }, 'it to run on the other host')
  await settled(cluster, 'talk_web')
  const told = (await events(cluster, before)).filter(({ kind }) => kind === 'node-failing')
  expect(told).toMatchObject([{ node: first.node, task: first.id, service: 'talk_web', level: 'warning' }])
  expect(told[0]!.message).toMatch(/failed there \d times in a row \(exited 1\)/)
  expect(exits(await cluster.berth('why', 'talk_web'), 0)).toMatch(
    new RegExp(`${first.node} gets none of its tasks for another`),
  )
  const { text } = await cluster.request('GET', '/metrics')
  expect(text).toMatch(/^berth_nodes_failing 1$/m)
  await Promise.all(bed.hosts.hosts.map((host) => host.docker('rm', '-f', 'own').catch(() => '')))
})
