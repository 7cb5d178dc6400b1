/** Hosts are unplugged from the network and plugged in again: nobody is told, and everything on them goes on. */
import { expect, test } from 'vitest'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly, assertUnchanged, snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX, BUSYBOX_2, HEALTHY } from '../engines/image.ts'
import { pause } from '../engines/processes.ts'
import { stays, until } from '../engines/until.ts'
import {
  assertStartedOnce,
  crashContainer,
  deployed,
  events,
  lastEvent,
  nodeBecomes,
  runElsewhere,
  type Scene,
  service,
  settled,
  shareScene,
  succeeded,
  tasks,
  web,
  withData,
} from './trouble.ts'

let scene: Scene
let cluster: Cluster
let hosts: Host[]
let host: Host
shareScene((made) => {
  scene = made
  cluster = made.cluster
  hosts = cluster.hosts
  host = made.host
})

test('an unplugged host: its tasks run elsewhere while its own containers go on; plugged in, those placed first stay', async () => {
  await deployed(cluster, 'demo', web(9, HEALTHY))
  const since = await snapshot(hosts)
  await host.unplug()
  await nodeBecomes(cluster, host, 'lost')
  await runElsewhere(cluster, 'demo_web', 9)
  expect((await service(cluster, 'demo_web')).counts).toMatchObject({ wanted: 9, running: 9, waiting: 0 })
  assertUnchanged(since, await snapshot(hosts))
  // Cut off, its agent still looks after what it was told to run.
  const crashed = await crashContainer(host)
  await until(
    async () => (await host.containers()).find(({ id }) => id === crashed)?.state === 'running',
    'its restart',
  )
  await host.plug()
  await nodeBecomes(cluster, host, 'ready')
  since.delete(crashed)
  await assertExactly(hosts, { demo_web: 9 }, { since })
  await settled(cluster, 'demo_web')
})

test('unplugged for less than it takes to be missed: nothing is moved or restarted', async () => {
  await deployed(cluster, 'demo', web(6))
  const since = await snapshot(hosts)
  await host.unplug()
  await pause(700)
  await host.plug()
  await nodeBecomes(cluster, host, 'ready')
  await stays(async () => (await tasks(cluster, 'demo_web')).length === 6, 'six tasks', 3_000)
  await assertExactly(hosts, { demo_web: 6 }, { since })
  await assertStartedOnce(cluster, 'demo_web')
})

test('unplugged in the middle of a rollout: it goes on with the others, and the host follows when it is back', async () => {
  const rollout = (image: string) =>
    web(9, image).replace(
      'replicas: 9',
      'replicas: 9, update_config: { parallelism: 2, order: start-first, monitor: 1s }',
    )
  await deployed(cluster, 'demo', rollout(BUSYBOX))
  const deploying = cluster.deploy('demo', rollout(BUSYBOX_2))
  const images = async (of: Host[]) => [...(await snapshot(of)).values()].map(({ image }) => image)
  await until(async () => (await images(hosts)).includes(BUSYBOX_2), 'the first tasks of the new version')
  await host.unplug()
  succeeded(await deploying)
  await assertExactly(hosts.slice(1), { demo_web: 9 })
  await host.plug()
  await nodeBecomes(cluster, host, 'ready')
  await assertExactly(hosts, { demo_web: 9 })
  expect(new Set(await images(hosts))).toEqual(new Set([BUSYBOX_2]))
})

test('two of three unplugged: the third carries all; plugged in one after the other, exactly the wanted are left', async () => {
  await deployed(cluster, 'demo', web(6))
  const since = await snapshot(hosts)
  await Promise.all([hosts[1]!.unplug(), hosts[2]!.unplug()])
  await runElsewhere(cluster, 'demo_web', 6)
  await assertExactly([host], { demo_web: 6 })
  await hosts[1]!.plug()
  await nodeBecomes(cluster, hosts[1]!, 'ready')
  await assertExactly([host, hosts[1]!], { demo_web: 6 })
  await hosts[2]!.plug()
  await nodeBecomes(cluster, hosts[2]!, 'ready')
  await assertExactly(hosts, { demo_web: 6 }, { since })
})

test('the coordinator unplugged: everything goes on, and nothing is restarted when it is back', async () => {
  await deployed(cluster, 'demo', web(6))
  const since = await snapshot(hosts)
  const before = await lastEvent(cluster)
  await scene.hosts.unplugMachine()
  for (const each of hosts) {
    const { statusReason } = await nodeBecomes(cluster, each, 'disconnected')
    expect(statusReason).toMatch(/silent.*the coordinator may be cut off itself/)
  }
  const { counts, waits } = await service(cluster, 'demo_web')
  expect(counts).toMatchObject({ wanted: 6, running: 0, waiting: 6 })
  expect(waits.map(({ message }) => message)).toEqual(['liveness: it is disconnected'])
  assertUnchanged(since, await snapshot(hosts))
  await scene.hosts.plugMachine()
  await cluster.nodesReady()
  await assertExactly(hosts, { demo_web: 6 }, { since })
  // Nor was the first one back given what the others had.
  expect(
    (await events(cluster, before)).filter(({ kind }) => kind === 'node-lost' || kind === 'task-stopping'),
  ).toEqual([])
})

test('a service whose data is on the unplugged host waits for it and says why; plugged in, it is the same container', async () => {
  await deployed(cluster, 'base', withData(1))
  const since = await snapshot(hosts)
  const home = hosts.find(({ name }) => name === [...since.values()][0]!.host)!
  await home.unplug()
  await nodeBecomes(cluster, home, 'lost')
  const seen = await service(cluster, 'base_web')
  expect(seen.counts).toMatchObject({ wanted: 1, running: 0, waiting: 1 })
  expect(seen.waits.map(({ message }) => message)).toContain(`volume: the data is on ${home.name}`)
  const shown = await cluster.berth('services', 'base_web')
  expect(shown.stdout).toContain(`the data is on ${home.name}`)
  expect((await cluster.berth('ps', 'base')).stdout).toContain('node away')
  const others = hosts.filter((each) => each !== home)
  await stays(async () => (await snapshot(others)).size === 0, 'no second one elsewhere', 2_000)
  await home.plug()
  await nodeBecomes(cluster, home, 'ready')
  await assertExactly(hosts, { base_web: 1 }, { since })
  await until(async () => (await service(cluster, 'base_web')).counts.running === 1, 'it to be seen running')
})
