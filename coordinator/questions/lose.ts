/** Values for a forecast that stand for nodes that go away, or come. */
import type { Instant } from '../../shared/clock.ts'
import type { NodeInventory } from '../../shared/wire/up.ts'
import type { Node, NodeName, World, WorldValue } from '../world.ts'

/** As when its power fails: its connection ends and it is given up, all at the same time. */
export function losing(world: World, names: Iterable<NodeName>, at: Instant): WorldValue[] {
  const values: WorldValue[] = []
  for (const name of names) {
    const node = world.nodes.get(name)
    if (!node) continue
    if (node.connection) {
      const { instance } = node.connection
      values.push({ at, observation: { kind: 'disconnected', node: name, instance, why: LOST, goodbye: false } })
    }
    values.push({
      at,
      decision: { kind: 'set-node-status', node: name, status: { name: 'lost', since: at, why: LOST } },
    })
  }
  return values
}

const LOST = 'supposed to be lost'

export type AddedNode = {
  name: NodeName
  cpuCores: number
  memoryBytes: number
  diskBytes?: number
  os: string
  arch: string
  labels: Record<string, string>
  generic?: Record<string, number>
}

/** It joins, its agent connects and has nothing running. */
export function joining(node: AddedNode, at: Instant): WorldValue[] {
  const { name, cpuCores, memoryBytes, diskBytes, os, arch, labels, generic } = node
  const inventory: NodeInventory = {
    hostname: name,
    os,
    arch,
    cpuCores,
    memoryBytes,
    ...(diskBytes !== undefined && { diskBytes }),
    ...(generic !== undefined && { generic }),
    addresses: [],
    engineLabels: {},
  }
  const engine = { state: 'up' as const }
  const hello = {
    kind: 'hello',
    version: 1,
    versionMin: 1,
    node: name,
    instance: name,
    agentVersion: '',
    inventory,
    engine,
    labels,
    revision: 0,
    at,
  } as const
  const connection = { instance: name, openedAt: at, address: '', wireVersion: 1 }
  return [
    { at, change: { kind: 'join-node', node: name, keyFingerprint: name } },
    { at, observation: { kind: 'connected', node: name, hello, connection } },
    { at, observation: { kind: 'tasks', node: name, full: true, revision: 0, engine, tasks: [], gone: [] } },
  ]
}

/** With us now, as far as the world knows. */
export function isReady({ status, connection }: Node): boolean {
  return status.name === 'ready' && connection !== null
}
