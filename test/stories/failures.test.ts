/** Agent, coordinator and Engine are killed, each alone and at bad moments. */
import { describe, expect, test } from 'vitest'
import { chanceFrom, testSeed } from '../build/chance.ts'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly, assertUnchanged, snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX, BUSYBOX_2, HEALTHY } from '../engines/image.ts'
import { pause } from '../engines/processes.ts'
import { until } from '../engines/until.ts'
import {
  assertStartedOnce,
  crashContainer,
  deployed,
  events,
  incidentTells,
  lastEvent,
  node,
  nodeBecomes,
  runElsewhere,
  service,
  settled,
  shareScene,
  succeeded,
  tasks,
  web,
} from './trouble.ts'

let cluster: Cluster
let hosts: Host[]
let host: Host
const seed = testSeed()
shareScene((made) => {
  cluster = made.cluster
  hosts = cluster.hosts
  host = made.host
})

describe('the agent', () => {
  test('killed while nothing happens: known at once, and back within its grace it has touched no container', async () => {
    await deployed(cluster, 'demo', web(6, HEALTHY))
    const since = await snapshot(hosts)
    const before = await lastEvent(cluster)
    await cluster.agents[0]!.kill()
    await nodeBecomes(cluster, host, 'disconnected')
    assertUnchanged(since, await snapshot(hosts))
    await cluster.agents[0]!.start()
    await nodeBecomes(cluster, host, 'ready')
    await assertExactly(hosts, { demo_web: 6 }, { since })
    await assertStartedOnce(cluster, 'demo_web')
    expect((await events(cluster, before)).filter(({ kind }) => kind === 'node-lost')).toEqual([])
  })

  test('a container that ended while its agent was away is started again, in place, and no other is', async () => {
    await deployed(cluster, 'demo', web(6))
    const since = await snapshot(hosts)
    await cluster.agents[0]!.kill()
    const crashed = await crashContainer(host)
    await cluster.agents[0]!.start()
    await nodeBecomes(cluster, host, 'ready')
    const now = await assertExactly(hosts, { demo_web: 6 })
    expect(now.get(crashed)).toBeDefined()
    since.delete(crashed)
    assertUnchanged(since, now)
    const attempts = async () => (await tasks(cluster, 'demo_web')).map(({ attempt }) => attempt).sort()
    await until(async () => (await attempts()).includes(2), 'the coordinator to hear of the restart')
    expect(await attempts()).toEqual([1, 1, 1, 1, 1, 2])
  })

  test('killed in the middle of a deployment of 30, at several moments: exactly 30, each started once', async () => {
    const chance = chanceFrom(seed)
    for (const stack of ['first', 'second']) {
      const afterMs = Math.round(500 + chance() * 3_000)
      const deploying = cluster.deploy(stack, web(30))
      await pause(afterMs)
      await cluster.agents[0]!.restart('SIGKILL')
      succeeded(await deploying)
      const told = `seed ${seed}: killed after ${afterMs} ms`
      await assertExactly(hosts, { [`${stack}_web`]: 30 }).catch((error) => expect.fail(`${told}: ${error}`))
      await assertStartedOnce(cluster, `${stack}_web`).catch((error) => expect.fail(`${told}: ${error}`))
      await cluster.api('DELETE', `/v1/stacks/${stack}`)
      await assertExactly(hosts, {})
    }
  })

  test('away for longer than its grace its tasks run elsewhere; back again, those placed first are kept', async () => {
    await deployed(cluster, 'demo', web(6, HEALTHY))
    const since = await snapshot(hosts)
    await cluster.agents[0]!.kill()
    await nodeBecomes(cluster, host, 'lost')
    await runElsewhere(cluster, 'demo_web', 6)
    assertUnchanged(since, await snapshot(hosts))
    expect((await service(cluster, 'demo_web')).counts).toMatchObject({ wanted: 6, running: 6 })
    await cluster.agents[0]!.start()
    await nodeBecomes(cluster, host, 'ready')
    await assertExactly(hosts, { demo_web: 6 }, { since })
  })

  test('stopped on purpose and replaced, as by an upgrade: nothing is restarted or moved', async () => {
    await deployed(cluster, 'demo', web(6))
    const since = await snapshot(hosts)
    await cluster.agents[0]!.kill('SIGTERM')
    await until(() => cluster.agents[0]!.exit !== null, 'its exit code')
    expect(cluster.agents[0]!.exit).toBe(0)
    const { statusReason } = await nodeBecomes(cluster, host, 'disconnected')
    expect(statusReason).toBe('the agent stops; its containers go on')
    await cluster.agents[0]!.start()
    await nodeBecomes(cluster, host, 'ready')
    await assertExactly(hosts, { demo_web: 6 }, { since })
    await assertStartedOnce(cluster, 'demo_web')
  })
})

describe('the coordinator', () => {
  test('killed while nothing happens: containers go on, and one that ends meanwhile is started by its agent', async () => {
    await deployed(cluster, 'demo', web(6))
    const since = await snapshot(hosts)
    await cluster.coordinator.kill()
    const crashed = await crashContainer(host)
    await until(
      async () => (await host.containers()).find(({ id }) => id === crashed)?.state === 'running',
      'the agent to start it again, alone',
    )
    since.delete(crashed)
    assertUnchanged(since, await snapshot(hosts))
    await cluster.coordinator.start()
    await cluster.ready()
    await cluster.nodesReady()
    await assertExactly(hosts, { demo_web: 6 }, { since })
    await until(
      async () => (await tasks(cluster, 'demo_web')).find(({ containerId }) => containerId === crashed)?.attempt === 2,
      'the coordinator to hear of the restart',
    )
  })

  test('killed in the middle of a deployment, at several moments: the command goes on, or says what happened', async () => {
    const chance = chanceFrom(seed + 1)
    for (const stack of ['first', 'second']) {
      const afterMs = Math.round(300 + chance() * 3_000)
      const deploying = cluster.deploy(stack, web(30))
      await pause(afterMs)
      await cluster.coordinator.restart('SIGKILL')
      const { exit, stderr, stdout } = await deploying
      const told = `seed ${seed}: killed after ${afterMs} ms; ${stdout}${stderr}`
      expect([0, 3], told).toContain(exit)
      if (exit === 0) expect(stderr, told).toMatch(/^$|what was asked goes on; waiting for the coordinator/)
      else {
        // Not known to be taken: said so, and doing it again is harmless.
        expect(stderr).toMatch(/cannot reach the coordinator/)
        await cluster.ready()
        await deployed(cluster, stack, web(30))
      }
      await assertExactly(hosts, { [`${stack}_web`]: 30 }).catch((error) => expect.fail(`${told}: ${error}`))
      await assertStartedOnce(cluster, `${stack}_web`).catch((error) => expect.fail(`${told}: ${error}`))
      await cluster.api('DELETE', `/v1/stacks/${stack}`)
      await assertExactly(hosts, {})
    }
  })

  test('killed in the middle of a rollout: it goes on where it was, a few at a time', async () => {
    const rollout = (image: string) =>
      web(9, image).replace(
        'replicas: 9',
        'replicas: 9, update_config: { parallelism: 2, order: start-first, monitor: 1s }',
      )
    await deployed(cluster, 'demo', rollout(BUSYBOX))
    const deploying = cluster.deploy('demo', rollout(BUSYBOX_2))
    await until(async () => {
      const images = [...(await snapshot(hosts)).values()].map(({ image }) => image)
      return images.includes(BUSYBOX_2)
    }, 'the first tasks of the new version')
    await cluster.coordinator.restart('SIGKILL')
    succeeded(await deploying)
    await settled(cluster, 'demo_web')
    const now = await assertExactly(hosts, { demo_web: 9 })
    expect([...now.values()].map(({ image }) => image)).toEqual(Array(9).fill(BUSYBOX_2))
    await assertStartedOnce(cluster, 'demo_web')
  })

  test('killed right after it has acknowledged a change: the change is there', async () => {
    await deployed(cluster, 'demo', web(3))
    for (const replicas of [5, 2, 7, 4]) {
      await cluster.api('POST', '/v1/services/demo_web/scale', { replicas })
      await cluster.coordinator.restart('SIGKILL')
      await cluster.ready()
      expect((await service(cluster, 'demo_web')).counts.wanted).toBe(replicas)
    }
    await cluster.nodesReady()
    await assertExactly(hosts, { demo_web: 4 })
  })
})

describe('the Engine', () => {
  test('killed: said by the node, by an event and by `berth nodes`; back, exactly the wanted containers run', async () => {
    await deployed(cluster, 'demo', web(6))
    const others = await snapshot(hosts.slice(1))
    const before = await lastEvent(cluster)
    await host.killEngine('SIGKILL')
    const { statusReason } = await nodeBecomes(cluster, host, 'engine-down')
    expect(statusReason).toContain(host.socket)
    const table = await cluster.berth('nodes')
    expect(table.stdout).toMatch(new RegExp(`${host.name} +engine-down`))
    const told = (await events(cluster, before)).filter(
      (event) => event.node === host.name && event.level === 'warning',
    )
    expect(told.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['engine-unavailable', 'node-engine-down']))
    await incidentTells(cluster, host, ['engine-down'])
    await host.startEngine()
    await nodeBecomes(cluster, host, 'ready')
    await assertExactly(hosts, { demo_web: 6 }, { since: others })
    await runElsewhere(cluster, 'demo_web', 6)
  })

  test('killed in the middle of a deployment: exactly the wanted containers, none twice', async () => {
    const chance = chanceFrom(seed + 2)
    const afterMs = Math.round(800 + chance() * 2_000)
    const deploying = cluster.deploy('demo', web(30))
    await pause(afterMs)
    await host.restartEngine('SIGKILL')
    const { exit, stdout, stderr } = await deploying
    expect(exit, `seed ${seed}: killed after ${afterMs} ms; ${stdout}${stderr}`).toBe(0)
    await assertExactly(hosts, { demo_web: 30 })
  })

  test('away for longer than its grace: its tasks run elsewhere, and on its return none is there twice', async () => {
    await deployed(cluster, 'demo', web(6))
    const since = await snapshot(hosts.slice(1))
    await host.killEngine('SIGTERM')
    await nodeBecomes(cluster, host, 'lost')
    await runElsewhere(cluster, 'demo_web', 6)
    await assertExactly(hosts.slice(1), { demo_web: 6 }, { since })
    await host.startEngine()
    await nodeBecomes(cluster, host, 'ready')
    await incidentTells(cluster, host, ['engine-down', 'node-lost', 'node-back'])
    await assertExactly(hosts, { demo_web: 6 })
  })

  test('standing still, in the middle of a deployment: no call waits for ever, the node says so and goes on after', async () => {
    await deployed(cluster, 'kept', web(3))
    const since = await snapshot(hosts)
    const deploying = cluster.deploy('demo', web(12))
    await pause(800)
    host.pauseEngine()
    const { statusReason } = await nodeBecomes(cluster, host, 'engine-down')
    expect(statusReason).toMatch(/did not answer|did not|in \d+ s/)
    host.resumeEngine()
    await nodeBecomes(cluster, host, 'ready')
    succeeded(await deploying)
    await assertExactly(hosts, { demo_web: 12, kept_web: 3 }, { since, unchanged: ['kept_web'] })
    expect((await node(cluster, host)).status).toBe('ready')
  })
})
