/**
 * The peer: the same work through Docker Swarm, whose manager is the first host's engine. Swarm tells nobody of its tasks, so it
 * is waited for in the cheapest way there is: by the start events of the Engines, and from the last of them on by
 * asking the manager, over its own socket, until it has the tasks as running.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host } from '../../test/engines/hosts.ts'
import { Told, type Watch } from '../bed/watch.ts'
import { engineCall, engineEvents, filters } from './engine-client.ts'
import { SLEEPER } from './raw.ts'

const WAIT_LIMIT_MS = 180_000
const POLL_MS = 10
const POLL_SLOWLY_MS = 50
const SERVICE_LABEL = 'com.docker.swarm.service.name'

type SwarmTask = {
  ID: string
  NodeID: string
  DesiredState: string
  Status: { State: string }
  Spec: { ContainerSpec: { Env?: string[] } }
}
type SwarmNode = { ID: string; Status: { State: string; Addr: string } }

/** `image` must name a registry that the engines reach: Swarm asks it for the digest and waits 20 s when it cannot. */
export type Swarm = { hosts: Host[]; manager: string; image: string }

export async function startSwarm(hosts: Host[], image: string): Promise<Swarm> {
  const [first, ...others] = hosts
  if (!first) throw new Error('a swarm needs a host')
  await first.docker('swarm', 'init', '--advertise-addr', first.address)
  const token = (await first.docker('swarm', 'join-token', '-q', 'worker')).trim()
  for (const host of others) await host.docker('swarm', 'join', '--token', token, `${first.address}:2377`)
  return { hosts, manager: first.socket, image }
}

export async function stopSwarm(swarm: Swarm): Promise<void> {
  for (const host of [...swarm.hosts].reverse()) await host.docker('swarm', 'leave', '--force')
}

/** A service of one task: request → running, milliseconds. */
export const swarmOne = (swarm: Swarm, name: string): Promise<number> => swarmMany(swarm, name, 1)

/** A service of `count` tasks: request → all running, milliseconds. */
export async function swarmMany(swarm: Swarm, name: string, count: number): Promise<number> {
  const watch = await watchStarts(swarm, name)
  const began = performance.now()
  await create(swarm, serviceSpec(swarm, name, count))
  await watch.reaches(count)
  await untilRunning(swarm, name, count)
  const ms = performance.now() - began
  watch.close()
  await remove(swarm, name)
  return ms
}

/** A rolling change of `count` tasks, `parallelism` at a time, start-first: request → all at the new spec, milliseconds. */
export async function swarmRollout(swarm: Swarm, name: string, count: number, parallelism: number): Promise<number> {
  const update = { Parallelism: parallelism, Delay: 0, Order: 'start-first', FailureAction: 'rollback', Monitor: 1 }
  await create(swarm, { ...serviceSpec(swarm, name, count), UpdateConfig: update })
  await untilRunning(swarm, name, count)
  const service = await call<{ Version: { Index: number } }>(swarm, 'GET', `/services/${name}`)
  const next = { ...serviceSpec(swarm, name, count, ['V=2']), UpdateConfig: update }
  const watch = await watchStarts(swarm, name)
  const began = performance.now()
  await call(swarm, 'POST', `/services/${name}/update?version=${service.Version.Index}`, next)
  await watch.reaches(count)
  await untilRunning(swarm, name, count, (task) => task.Spec.ContainerSpec.Env?.includes('V=2') === true)
  const ms = performance.now() - began
  watch.close()
  await remove(swarm, name)
  return ms
}

/** A task's container is killed → its replacement running, milliseconds. */
export async function swarmRestart(swarm: Swarm, name: string): Promise<number> {
  await create(swarm, serviceSpec(swarm, name, 1))
  await untilRunning(swarm, name, 1)
  await sleep(SETTLE_MS)
  const before = (await tasks(swarm, name)).find((task) => task.DesiredState === 'running')?.ID
  const { host, id } = await containerOf(swarm, name)
  const watch = await watchStarts(swarm, name)
  const began = performance.now()
  await engineCall(host.socket, 'POST', `/containers/${id}/kill`)
  await watch.reaches(1)
  await untilRunning(swarm, name, 1, (task) => task.ID !== before)
  const ms = performance.now() - began
  watch.close()
  await remove(swarm, name)
  return ms
}

const SETTLE_MS = 500

/** `count` tasks on all hosts; `lost` is unplugged → all running elsewhere, milliseconds. It is plugged in again afterwards. */
export async function swarmFailover(swarm: Swarm, name: string, count: number, lost: Host): Promise<number> {
  await create(swarm, serviceSpec(swarm, name, count))
  await untilRunning(swarm, name, count)
  const nodes = await call<SwarmNode[]>(swarm, 'GET', '/nodes')
  const node = nodes.find(({ Status }) => Status.Addr === lost.address)
  const began = performance.now()
  await lost.unplug()
  await untilRunning(swarm, name, count, (task) => task.NodeID !== node?.ID)
  const ms = performance.now() - began
  await lost.plug()
  await untilReady(swarm)
  await remove(swarm, name)
  return ms
}

function serviceSpec(swarm: Swarm, name: string, replicas: number, env: string[] = []) {
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: { Image: swarm.image, Command: SLEEPER.command, Env: env, StopGracePeriod: 1e9 },
      RestartPolicy: { Condition: 'any', Delay: 1 },
    },
    Mode: { Replicated: { Replicas: replicas } },
  }
}

const call = <T = unknown>(swarm: Swarm, method: string, path: string, body?: unknown): Promise<T> =>
  engineCall<T>(swarm.manager, method, path, body)

const create = (swarm: Swarm, spec: unknown) => call(swarm, 'POST', '/services/create', spec)

const tasks = (swarm: Swarm, name: string) => call<SwarmTask[]>(swarm, 'GET', `/tasks?${filters({ service: [name] })}`)

/** Containers of the service that start from now on, on whichever host. */
async function watchStarts(swarm: Swarm, name: string): Promise<Watch> {
  const told = new Told(WAIT_LIMIT_MS)
  const by = { type: ['container'], event: ['start'], label: [`${SERVICE_LABEL}=${name}`] }
  const started = ({ Actor }: { Actor: { ID: string } }) => told.add(Actor.ID)
  const ended = () => told.fail(new Error(`the events of an Engine ended`))
  const ends = await Promise.all(swarm.hosts.map((host) => engineEvents(host.socket, by, started, ended)))
  return {
    reaches: (count) => told.reaches(count),
    close: () => {
      for (const end of ends) end()
    },
  }
}

async function untilRunning(swarm: Swarm, name: string, count: number, also = (_task: SwarmTask) => true) {
  await poll(
    POLL_MS,
    `${count} tasks of ${name} running`,
    async () =>
      (await tasks(swarm, name)).filter(
        (task) => task.DesiredState === 'running' && task.Status.State === 'running' && also(task),
      ).length >= count,
  )
}

const untilReady = (swarm: Swarm) =>
  poll(POLL_SLOWLY_MS, 'all nodes ready', async () =>
    (await call<SwarmNode[]>(swarm, 'GET', '/nodes')).every(({ Status }) => Status.State === 'ready'),
  )

async function containerOf(swarm: Swarm, name: string): Promise<{ host: Host; id: string }> {
  for (const host of swarm.hosts) {
    const found = await engineCall<{ Id: string }[]>(
      host.socket,
      'GET',
      `/containers/json?${filters({ name: [`${name}.`] })}`,
    )
    if (found[0]) return { host, id: found[0].Id }
  }
  throw new Error(`no container of ${name} runs`)
}

/** Removes the service and waits until its containers are gone, so that the next measure starts on quiet hosts. */
async function remove(swarm: Swarm, name: string): Promise<void> {
  await call(swarm, 'DELETE', `/services/${name}`)
  await poll(POLL_SLOWLY_MS, `containers of ${name} gone`, async () => {
    const left = await Promise.all(
      swarm.hosts.map((host) =>
        engineCall<unknown[]>(host.socket, 'GET', `/containers/json?all=true&${filters({ name: [`${name}.`] })}`),
      ),
    )
    return left.flat().length === 0
  })
}

async function poll(everyMs: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  const began = performance.now()
  while (!(await holds())) {
    if (performance.now() - began > WAIT_LIMIT_MS) throw new Error(`swarm: ${what}: not within ${WAIT_LIMIT_MS} ms`)
    await sleep(everyMs)
  }
}
