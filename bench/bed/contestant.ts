/** Berth doing what peers/swarm.ts has Swarm do: the same work, asked for and waited for through the API, each in its best way. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventDocument, TaskDocument } from '../../shared/api.ts'
import { aServiceSpec, type ServiceSpecGiven } from '../../test/build/spec.ts'
import type { Cluster } from '../../test/engines/berth.ts'
import type { Host } from '../../test/engines/hosts.ts'
import { engineCall, filters } from '../peers/engine-client.ts'
import { SLEEPER } from '../peers/raw.ts'
import { type Api, apiOf } from './api.ts'
import { Told, type Watch } from './watch.ts'

const WAIT_LIMIT_MS = 180_000
const POLL_MS = 10
const POLL_SLOWLY_MS = 50

export type Contestant = { cluster: Cluster; api: Api }

export function contestant(cluster: Cluster): Contestant {
  return { cluster, api: apiOf(cluster) }
}

/** A service of one task: request → running, milliseconds. */
export async function berthOne(berth: Contestant, name: string): Promise<number> {
  const ms = await berthMany(berth, name, 1)
  return ms
}

/** A service of `count` tasks: request → all running, milliseconds. Removed afterwards. */
export async function berthMany(berth: Contestant, name: string, count: number): Promise<number> {
  const watch = await watchRunning(berth, name)
  const began = performance.now()
  await deploy(berth, name, { replicas: count })
  await watch.reaches(count)
  await untilRunning(berth, name, count)
  const ms = performance.now() - began
  watch.close()
  await remove(berth, name)
  return ms
}

/** A rolling change of `count` tasks, `parallelism` at a time, start-first: request → all at the new spec, milliseconds. */
export async function berthRollout(berth: Contestant, name: string, count: number, parallelism: number) {
  const update = { parallelism, order: 'start-first', failureAction: 'rollback', monitorMs: 0 } as const
  await deploy(berth, name, { replicas: count, update })
  await untilRunning(berth, name, count)
  const watch = await watchRunning(berth, name)
  const began = performance.now()
  await deploy(berth, name, { replicas: count, update, container: { environment: { V: '2' } } })
  // Only tasks of the new version come to run from here on.
  await watch.reaches(count)
  await untilRunning(berth, name, count, (task) => task.version === 2)
  const ms = performance.now() - began
  watch.close()
  await remove(berth, name)
  return ms
}

/**
 * A container is killed → running again, milliseconds. A service of its own each time: a container that is killed again while it
 * is young is kept waiting on purpose.
 */
export async function berthRestart(berth: Contestant, name: string): Promise<number> {
  await deploy(berth, name, { replicas: 1, restart: { delayMs: 0 } })
  await untilRunning(berth, name, 1)
  await sleep(SETTLE_MS)
  const [before] = await tasks(berth, name)
  const host = berth.cluster.hosts.find((each) => each.name === before?.node)
  if (!before?.containerId || !host) throw new Error(`${name} has no container`)
  const watch = await watchRunning(berth, name)
  const began = performance.now()
  await engineCall(host.socket, 'POST', `/containers/${before.containerId}/kill`)
  await watch.reaches(1)
  await untilRunning(berth, name, 1, (task) => task.attempt > before.attempt)
  const ms = performance.now() - began
  watch.close()
  await remove(berth, name)
  return ms
}

const SETTLE_MS = 500

/**
 * `count` tasks on all hosts; `lost` is unplugged → seen to be lost, all running elsewhere; milliseconds. It is plugged in again
 * afterwards.
 */
export async function berthFailover(
  berth: Contestant,
  name: string,
  count: number,
  lost: Host,
): Promise<{ seenMs: number; allMs: number }> {
  await deploy(berth, name, { replicas: count })
  await untilRunning(berth, name, count)
  // The detector learns a node's interval first, as it has on any node that did not join this very second.
  await sleep(LEARN_MS)
  const { items } = await berth.api.call<{ items: EventDocument[] }>('GET', '/v1/events?limit=1')
  let seenMs = Number.NaN
  const close = await berth.api.events<EventDocument>(
    `/v1/events/live?after=${items.at(-1)?.number ?? 0}`,
    ({ kind, node }) => {
      if (kind === 'node-lost' && node === lost.name) seenMs = performance.now() - began
    },
    () => {},
  )
  const began = performance.now()
  await lost.unplug()
  await untilRunning(berth, name, count, (task) => task.node !== lost.name)
  const allMs = performance.now() - began
  close()
  await lost.plug()
  await berth.cluster.nodesReady()
  await remove(berth, name)
  return { seenMs, allMs }
}

const LEARN_MS = 10_000

export async function deploy({ api }: Contestant, name: string, given: ServiceSpecGiven): Promise<void> {
  const container = { image: SLEEPER.image, command: SLEEPER.command, stopGraceMs: 1000, ...given.container }
  const services = { s: aServiceSpec({ ...given, container }) }
  await api.call('PUT', `/v1/stacks/${name}`, { name, services })
}

export async function tasks({ api }: Contestant, name: string): Promise<TaskDocument[]> {
  const { items } = await api.call<{ items: TaskDocument[] }>('GET', `/v1/tasks?service=${name}_s&limit=1000`)
  return items
}

/** Tasks of the stack that come to run from now on, by Berth's live events. */
async function watchRunning({ api }: Contestant, name: string): Promise<Watch> {
  const told = new Told(WAIT_LIMIT_MS)
  const { items } = await api.call<{ items: EventDocument[] }>('GET', '/v1/events?limit=1')
  const close = await api.events<EventDocument>(
    `/v1/events/live?stack=${name}&after=${items.at(-1)?.number ?? 0}`,
    ({ kind, task }) => kind === 'task-running' && task !== undefined && told.add(task),
    () => told.fail(new Error(`the live events of ${name} ended`)),
  )
  return { reaches: (count) => told.reaches(count), close }
}

export async function untilRunning(
  berth: Contestant,
  name: string,
  count: number,
  also = (_task: TaskDocument) => true,
): Promise<void> {
  await poll(
    POLL_MS,
    `${count} tasks of ${name} running`,
    async () =>
      (await tasks(berth, name)).filter((task) => task.desired === 'running' && task.state === 'running' && also(task))
        .length >= count,
  )
}

/** Removes the stack and waits until its containers are gone, so that the next measure starts on quiet hosts. */
export async function remove({ api, cluster }: Contestant, name: string): Promise<void> {
  await api.call('DELETE', `/v1/stacks/${name}`)
  await poll(POLL_SLOWLY_MS, `containers of ${name} gone`, async () => {
    const left = await Promise.all(
      cluster.hosts.map((host) =>
        engineCall<unknown[]>(
          host.socket,
          'GET',
          `/containers/json?all=true&${filters({ label: [`berth.stack=${name}`] })}`,
        ),
      ),
    )
    return left.flat().length === 0
  })
}

async function poll(everyMs: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  const began = performance.now()
  while (!(await holds())) {
    if (performance.now() - began > WAIT_LIMIT_MS) throw new Error(`berth: ${what}: not within ${WAIT_LIMIT_MS} ms`)
    await sleep(everyMs)
  }
}
