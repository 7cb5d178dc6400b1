/** What stories of deploying and changing share: a cluster on three hosts, clean again after each of them. */
import type { TSchema } from 'typebox'
import { Errors } from 'typebox/value'
import { expect } from 'vitest'
import type { Page, TaskDocument } from '../../shared/api.ts'
import { type Cluster, type ClusterOptions, startCluster } from '../engines/berth.ts'
import { assertExactly } from '../engines/exactly.ts'
import { type Hosts, startHosts } from '../engines/hosts.ts'
import { loadImages } from '../engines/image.ts'
import type { Command } from '../engines/processes.ts'
import { until } from '../engines/until.ts'

export type Bed = { hosts: Hosts; cluster: Cluster }

/** Every beat of its coordinator asserts that planning twice changes nothing. */
export async function makeBed(options: ClusterOptions & { hosts?: number } = {}): Promise<Bed> {
  const hosts = await startHosts({ count: options.hosts ?? 3 })
  await loadImages(hosts.hosts)
  const coordinatorArgs = ['--check-twice', ...(options.coordinatorArgs ?? [])]
  return { hosts, cluster: await startCluster(hosts, { ...options, coordinatorArgs }) }
}

/**
 * Removes every stack, as an operator would, and asserts that this leaves nothing; nodes are as they were at first.
 * @throws Error when the coordinator has ended: a beat after which something was left to decide ends it
 */
export async function remake({ hosts, cluster }: Bed): Promise<void> {
  cluster.coordinator.mustLive()
  const { stacks, nodes } = await cluster.status()
  for (const { name } of stacks) await cluster.request('DELETE', `/v1/stacks/${name}`)
  for (const { name, labels, availability, taints } of nodes) {
    if (availability === 'drain') await cluster.api('POST', `/v1/nodes/${name}/activate`)
    const remove = Object.keys(labels)
    if (remove.length > 0) await cluster.api('PUT', `/v1/nodes/${name}/labels`, { remove })
    if (taints.length > 0)
      await cluster.api('PUT', `/v1/nodes/${name}/taints`, {
        remove: taints.map(({ key, effect }) => ({ key, effect })),
      })
  }
  await until(async () => (await cluster.status()).services.length === 0, 'every service to be gone')
  await assertExactly(hosts.hosts, {})
  await hosts.reset()
}

/** What a command wrote, on either stream. @throws with it, when the exit code is another */
export function exits(command: Command, exit: number): string {
  const said = `${command.stdout}${command.stderr}`
  expect(command.exit, said).toBe(exit)
  return said
}

export async function tasksOf(cluster: Cluster, service: string): Promise<TaskDocument[]> {
  return (await cluster.api<Page<TaskDocument>>('GET', `/v1/tasks?service=${service}`)).items
}

/** The document is what the API's description says it is. */
export function expectShape(schema: TSchema, document: unknown): void {
  expect(Errors(schema, document).slice(0, 5)).toEqual([])
}
