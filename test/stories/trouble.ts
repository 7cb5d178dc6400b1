/** What stories about trouble share: short graces, one plain service, asking how the cluster sees it, and putting all back. */
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import type {
  EventDocument,
  IncidentDocument,
  IncidentsDocument,
  NodeDocument,
  Page,
  ServiceDetail,
  TaskDocument,
} from '../../shared/api.ts'
import { type Cluster, type ClusterOptions, startCluster } from '../engines/berth.ts'
import { assertExactly } from '../engines/exactly.ts'
import { type Host, type Hosts, startHosts } from '../engines/hosts.ts'
import { BUSYBOX, loadImages } from '../engines/image.ts'
import type { Command } from '../engines/processes.ts'
import { until } from '../engines/until.ts'

/** Long enough for an agent's restart on a busy machine, short enough to wait for its end. */
const GRACE = '8s'
const OPTIONS: ClusterOptions = {
  coordinatorArgs: [
    ...['--agent-grace', GRACE, '--engine-grace', GRACE, '--start-grace', GRACE],
    ...['--goodbye-grace', '30s', '--check-twice'],
  ],
}

export type Scene = { hosts: Hosts; cluster: Cluster }

/** One scene for all stories of a file, put back after each of them; `made` is called before the first. */
export function shareScene(made: (scene: Scene & { host: Host }) => void): void {
  let scene: Scene | undefined
  beforeAll(async () => {
    scene = await startScene()
    made({ ...scene, host: scene.cluster.hosts[0]! })
  })
  afterEach(async () => {
    if (scene) await putBack(scene)
  })
  afterAll(() => scene?.hosts.stop())
}

async function startScene(): Promise<Scene> {
  const hosts = await startHosts({ count: 3 })
  await loadImages(hosts.hosts)
  return { hosts, cluster: await startCluster(hosts, OPTIONS) }
}

/** @throws Error when an agent or the coordinator has ended by itself: whatever happens around them, neither may */
export async function heal({ cluster, hosts }: Scene): Promise<void> {
  await hosts.plugMachine()
  await Promise.all(hosts.hosts.map((host) => host.heal()))
  const failures: unknown[] = []
  for (const process of [cluster.coordinator, ...cluster.agents]) {
    try {
      process.mustNotHaveFailed()
    } catch (error) {
      failures.push(error)
    }
    process.resume()
    if (!process.alive) await process.start()
  }
  await cluster.ready()
  await cluster.nodesReady()
  if (failures.length > 0) throw failures[0]
}

/** Whatever a story has killed, unplugged or switched off is back, and no stack is left: the next one begins with nothing. */
async function putBack({ cluster, hosts }: Scene): Promise<void> {
  await heal({ cluster, hosts })
  const stacks = await cluster.api<Page<{ name: string }>>('GET', '/v1/stacks')
  for (const { name } of stacks.items) await cluster.api('DELETE', `/v1/stacks/${name}`)
  await assertExactly(hosts.hosts, {})
  await until(async () => (await cluster.status()).stacks.length === 0, 'no stack to be left')
  await hosts.reset()
}

/** A Compose file with one service `web`; `more` are further lines of it. */
export function web(replicas: number, image = BUSYBOX, more: string[] = []): string {
  const lines = [`image: ${image}`, 'pull_policy: never', 'stop_grace_period: 1s', `deploy: { replicas: ${replicas} }`]
  return `services:\n  web:\n${[...lines, ...more].map((line) => `    ${line}\n`).join('')}`
}

/** As `web`, with a named volume. */
export function withData(replicas: number): string {
  return `${web(replicas, BUSYBOX, ['volumes: [data:/data]'])}volumes: { data: {} }\n`
}

/** Deploys and is content with nothing but success. */
export async function deployed(cluster: Cluster, stack: string, compose: string): Promise<void> {
  succeeded(await cluster.deploy(stack, compose))
}

export function succeeded({ exit, stdout, stderr }: Command): void {
  expect(exit, stdout + stderr).toBe(0)
}

export async function node(cluster: Cluster, host: Host): Promise<NodeDocument> {
  return cluster.api<NodeDocument>('GET', `/v1/nodes/${host.name}`)
}

export async function nodeBecomes(cluster: Cluster, host: Host, status: NodeDocument['status']): Promise<NodeDocument> {
  return until(async () => {
    const seen = await node(cluster, host)
    if (seen.status !== status) throw new Error(`${host.name} is ${seen.status}: ${seen.statusReason}`)
    return seen
  }, `${host.name} to be ${status}`)
}

/** Those that are to run, without the ones on nodes that are lost. */
export async function tasks(cluster: Cluster, service: string): Promise<TaskDocument[]> {
  const { items } = await cluster.api<Page<TaskDocument>>('GET', `/v1/tasks?service=${service}&limit=1000`)
  const { nodes } = await cluster.status()
  const lost = new Set(nodes.filter(({ status }) => status === 'lost').map(({ name }) => name))
  return items.filter((task) => task.desired === 'running' && !lost.has(task.node ?? ''))
}

/** Waits until so many run on nodes that are there. */
export async function runElsewhere(cluster: Cluster, service: string, count: number): Promise<TaskDocument[]> {
  return until(async () => {
    const running = (await tasks(cluster, service)).filter(({ state }) => state === 'running')
    if (running.length !== count) throw new Error(`${running.length} run`)
    return running
  }, `${count} tasks of ${service} to run on nodes that are there`)
}

export async function service(cluster: Cluster, name: string): Promise<ServiceDetail> {
  return cluster.api<ServiceDetail>('GET', `/v1/services/${name}`)
}

export async function settled(cluster: Cluster, name: string): Promise<ServiceDetail> {
  return until(async () => {
    const seen = await service(cluster, name)
    if (seen.rollout.state !== 'settled') throw new Error(`${seen.rollout.state}: ${seen.rollout.why}`)
    return seen
  }, `${name} to be settled`)
}

/** Every task was started once, and is in the attempt that it began with. */
export async function assertStartedOnce(cluster: Cluster, service: string): Promise<void> {
  await until(async () => (await tasks(cluster, service)).every(({ state }) => state === 'running'), 'all to run')
  const restarted = (await tasks(cluster, service)).filter(({ attempt }) => attempt !== 1)
  expect(restarted.map(({ id, attempt }) => `${id} is in attempt ${attempt}`)).toEqual([])
}

/** Those behind the one with this number; all that are kept, when it is 0. */
export async function events(cluster: Cluster, after: number): Promise<EventDocument[]> {
  const { items } = await cluster.api<Page<EventDocument>>('GET', `/v1/events?limit=1000&after=${after}`)
  return items
}

export async function lastEvent(cluster: Cluster): Promise<number> {
  const { items } = await cluster.api<Page<EventDocument>>('GET', '/v1/events?limit=1')
  return items[0]?.number ?? 0
}

/** The latest incident of the host's own tells, in this order, that these have happened; others may stand between. */
export async function incidentTells(cluster: Cluster, host: Host, kinds: string[]): Promise<void> {
  await until(
    async () => {
      const { items } = await cluster.api<IncidentsDocument>('GET', `/v1/incidents?node=${host.name}`)
      const [latest] = items.filter(({ task, service }) => task === null && service === null)
      const found = latest && (await cluster.api<IncidentDocument>('GET', `/v1/incidents/${latest.number}`))
      let told = found?.occurrences.map(({ kind }) => kind as string) ?? []
      for (const kind of kinds) {
        if (!told.includes(kind)) throw new Error(`no ${kind} in ${JSON.stringify(found?.occurrences)}`)
        told = told.slice(told.indexOf(kind) + 1)
      }
      return true
    },
    `an incident of ${host.name} that tells ${kinds.join(', ')}`,
  )
}

/** The main process of one of the host's containers ends with SIGKILL. */
export async function crashContainer(host: Host): Promise<string> {
  const victim = (await host.containers()).find(({ state }) => state === 'running')
  if (!victim) throw new Error(`${host.name} runs no container`)
  process.kill(victim.pid, 'SIGKILL')
  await until(
    async () => (await host.containers()).some(({ id, pid }) => id === victim.id && pid !== victim.pid),
    'its end',
  )
  return victim.id
}
