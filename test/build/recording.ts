/** Recordings for tests: a journal in a folder that is gone with the test, and what it holds as bytes. */

import { type Journal, openJournal } from '../../coordinator/journal/journal.ts'
import { systemClock } from '../../shared/clock.ts'
import { agentOf, type Cluster, change, crash, plugIn, run, unplug } from './cluster.ts'
import { aFakeLog } from './fake-core.ts'
import { aStackSpec, type ServiceSpecGiven } from './spec.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { NOW } from './world.ts'

export async function aJournal(bytesMax = 64 * 1024 * 1024): Promise<{ journal: Journal; dir: string }> {
  const dir = await temporaryFolder()
  return { journal: journalIn(dir, '1.2.3', bytesMax), dir }
}

export function journalIn(dir: string, version: string, bytesMax = 64 * 1024 * 1024): Journal {
  const clock = { ...systemClock, now: () => NOW }
  return openJournal({ dir, bytesMax, version, clock, log: aFakeLog() })
}

export async function bytesOf(journal: Journal): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of (await journal.read()).stream) parts.push(part)
  return Buffer.concat(parts)
}

export function deploy(cluster: Cluster, services: Record<string, ServiceSpecGiven>): void {
  change(cluster, { kind: 'deploy-stack', spec: aStackSpec('shop', services), prune: true })
}

/** A day in the life of n1, n2 and n3: deployments, a crash, a host that is lost and comes back, a drain. */
export function live(cluster: Cluster): void {
  deploy(cluster, { web: { replicas: 5, cpuCores: 0.5 }, db: { replicas: 1, volumes: ['data'] } })
  run(cluster, 4_000)
  const task = [...agentOf(cluster, 'n1').containers.keys()][0]
  if (task) crash(cluster, 'n1', task)
  deploy(cluster, { web: { replicas: 7, image: 'example/a:2' }, db: { replicas: 1, volumes: ['data'] } })
  run(cluster, 6_000)
  unplug(cluster, 'n2')
  run(cluster, 40_000)
  plugIn(cluster, 'n2')
  change(cluster, { kind: 'set-availability', node: 'n3', availability: 'drain' })
  run(cluster, 8_000)
}
