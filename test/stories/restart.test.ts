/** Everything at once, a host that loses its power, upgrades one after the other, and trouble by chance. */
import { expect, test } from 'vitest'
import { chanceFrom, oneOf, testSeed } from '../build/chance.ts'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly, assertUnchanged, snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX, BUSYBOX_2 } from '../engines/image.ts'
import { identify, pause, signal } from '../engines/processes.ts'
import { until } from '../engines/until.ts'
import {
  assertStartedOnce,
  deployed,
  heal,
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

const CHAOS_MS = 30_000

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

/** Power loss: not even the network says goodbye. */
async function losePower(victim: Host): Promise<void> {
  await victim.unplug()
  await victim.crash()
  await cluster.agents[hosts.indexOf(victim)]!.kill()
}

test('coordinator, agents and Engines killed at once and started again: exactly the wanted containers, nothing lost', async () => {
  await deployed(cluster, 'one', web(6))
  await deployed(cluster, 'two', web(3))
  await cluster.api('POST', '/v1/services/two_web/scale', { replicas: 4 })
  await Promise.all([
    ...[cluster.coordinator, ...cluster.agents].map((process) => process.kill('SIGKILL')),
    ...hosts.map((each) => each.killEngine('SIGKILL')),
  ])
  await Promise.all([
    ...hosts.map((each) => each.startEngine()),
    ...[cluster.coordinator, ...cluster.agents].map((process) => process.start()),
  ])
  await cluster.ready()
  await cluster.nodesReady()
  await assertExactly(hosts, { one_web: 6, two_web: 4 })
})

test('a host that loses its power while the coordinator is away starts its containers from what its agent kept', async () => {
  await deployed(cluster, 'demo', web(6))
  const since = await snapshot(hosts)
  const its = [...since.values()].filter((container) => container.host === host.name)
  await cluster.coordinator.kill()
  await losePower(host)
  await host.boot()
  await cluster.agents[0]!.start()
  const running = async () => (await host.containers()).filter(({ state }) => state === 'running').map(({ id }) => id)
  await until(async () => (await running()).length === its.length, 'its containers to run again')
  expect((await running()).sort()).toEqual(its.map(({ id }) => id).sort())
  await host.plug()
  await cluster.coordinator.start()
  await cluster.ready()
  await cluster.nodesReady()
  for (const { id } of its) since.delete(id)
  await assertExactly(hosts, { demo_web: 6 }, { since })
})

test('a host that loses its power and comes back: its tasks ran elsewhere, and none is there twice', async () => {
  await deployed(cluster, 'demo', web(6))
  const others = await snapshot(hosts.slice(1))
  await losePower(host)
  await nodeBecomes(cluster, host, 'lost')
  await runElsewhere(cluster, 'demo_web', 6)
  await host.boot()
  await host.plug()
  await cluster.agents[0]!.start()
  await nodeBecomes(cluster, host, 'ready')
  await assertExactly(hosts, { demo_web: 6 }, { since: others })
})

test('a coordinator and agents that are upgraded one after the other restart no container', async () => {
  await deployed(cluster, 'demo', web(6))
  const since = await snapshot(hosts)
  await cluster.coordinator.restart('SIGTERM')
  await cluster.ready()
  for (const agent of cluster.agents) {
    await agent.restart('SIGTERM')
    await cluster.nodesReady()
    assertUnchanged(since, await snapshot(hosts))
  }
  await assertExactly(hosts, { demo_web: 6 }, { since })
  await assertStartedOnce(cluster, 'demo_web')
})

test('whatever goes wrong by chance, once all is mended exactly the wanted containers run', async ({ annotate }) => {
  const seed = testSeed()
  await annotate(`BERTH_TEST_SEED=${seed}`)
  const chance = chanceFrom(seed)
  const told: string[] = []
  const wanted: Wanted = { replicas: 9, image: BUSYBOX }
  await deployed(cluster, 'demo', rolling(wanted))
  await deployed(cluster, 'base', withData(2))
  const homes = await homesOf('base_web')
  const endsAt = Date.now() + CHAOS_MS
  while (Date.now() < endsAt) {
    const index = Math.floor(chance() * hosts.length)
    const trouble = oneOf(Object.keys(TROUBLES), chance)
    const amount = chance()
    told.push(`${trouble} ${hosts[index]!.name} ${amount.toFixed(3)}`)
    await TROUBLES[trouble]!(index, amount, wanted)
    await pause(chance() * 1_000)
  }
  const story = `BERTH_TEST_SEED=${seed}, wanted ${JSON.stringify(wanted)} after\n  ${told.join('\n  ')}`
  try {
    await heal(scene)
    await settled(cluster, 'demo_web')
    const now = await assertExactly(hosts, { demo_web: wanted.replicas, base_web: 2 })
    const ofDemo = [...now.values()].filter((container) => container.service === 'demo_web')
    expect(ofDemo.filter(({ image }) => image !== wanted.image)).toEqual([])
    expect(await homesOf('base_web')).toEqual(homes)
    const seen = await until(async () => {
      const { counts } = await service(cluster, 'demo_web')
      return counts.running === wanted.replicas ? tasks(cluster, 'demo_web') : null
    }, 'the coordinator to see all of them run')
    expect(seen.map(({ containerId }) => containerId).sort()).toEqual(ofDemo.map(({ id }) => id).sort())
  } catch (error) {
    throw new Error(story, { cause: error })
  }
})

/** Where each slot's container is. */
async function homesOf(service: string): Promise<string[]> {
  const found = [...(await snapshot(hosts)).values()].filter((container) => container.service === service)
  return found.map((container) => `${container.task} on ${container.host}`).sort()
}

type Wanted = { replicas: number; image: string }

/** Failures go on being expected: nothing is paused or rolled back. */
function rolling({ replicas, image }: Wanted): string {
  const rules = 'update_config: { parallelism: 3, order: start-first, monitor: 0s, failure_action: continue }'
  return web(replicas, image).replace(`replicas: ${replicas}`, `replicas: ${replicas}, ${rules}`)
}

/** Each with the number of a host and an amount in [0, 1). What it changes of what is wanted it writes down. */
const TROUBLES: Record<string, (index: number, amount: number, wanted: Wanted) => Promise<unknown>> = {
  async killAgent(index, amount) {
    await cluster.agents[index]!.kill()
    await pause(amount * 2_000)
    if (hosts[index]!.isOn) await cluster.agents[index]!.start()
  },
  async killCoordinator() {
    cluster.coordinator.mustLive()
    await cluster.coordinator.restart('SIGKILL')
    await cluster.ready()
  },
  async killEngine(index) {
    if (hosts[index]!.hasEngine) await hosts[index]!.killEngine('SIGKILL')
  },
  async restartEngine(index, amount) {
    if (hosts[index]!.hasEngine) await hosts[index]!.restartEngine(amount < 0.5 ? 'SIGKILL' : 'SIGTERM')
  },
  async pauseAgent(index) {
    cluster.agents[index]!.pause()
  },
  async pauseCoordinator(_index, amount) {
    cluster.coordinator.pause()
    await pause(amount * 4_000)
    cluster.coordinator.resume()
  },
  unplug: (index) => hosts[index]!.unplug(),
  losePower: (index) => losePower(hosts[index]!),
  async killContainers(index, amount) {
    if (!hosts[index]!.hasEngine) return
    const running = (await hosts[index]!.containers()).filter(({ state }) => state === 'running')
    for (const { pid } of running.slice(0, Math.ceil(amount * running.length))) {
      const main = identify(pid)
      if (main) signal(main, 'SIGKILL')
    }
  },
  async scale(_index, amount, wanted) {
    wanted.replicas = 3 + Math.floor(amount * 12)
    await cluster.api('POST', '/v1/services/demo_web/scale', { replicas: wanted.replicas })
  },
  async change(_index, amount, wanted) {
    wanted.image = amount < 0.5 ? BUSYBOX : BUSYBOX_2
    succeeded(await cluster.deploy('demo', rolling(wanted), '--detach'))
  },
  mend: (index) => mend(index),
  mendAgain: (index) => mend(index),
}

async function mend(index: number): Promise<void> {
  await hosts[index]!.heal()
  cluster.agents[index]!.resume()
  if (!cluster.agents[index]!.alive) await cluster.agents[index]!.start()
}
