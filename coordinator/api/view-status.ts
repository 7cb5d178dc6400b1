/** The whole cluster in one document. */
import type { NodeDocument, ServiceDocument, StatusDocument } from '../../shared/api.ts'
import type { Instant } from '../../shared/clock.ts'
import type { World } from '../world.ts'
import { addCounts, looksAt, noTasks } from './counts.ts'
import { problemsOf } from './problems.ts'
import { serviceStage } from './progress.ts'
import { viewNode } from './view-node.ts'
import { type ServiceSummary, viewService, viewStack } from './view-service.ts'
import { isoTime } from './words.ts'

export type CoordinatorFacts = { version: string; url: string; startedAt: Instant; storeBytes: number }

export function viewStatus(world: World, facts: CoordinatorFacts, now: Instant): StatusDocument {
  const nodes = byName([...world.nodes.values()].map((node) => viewNode(world, node)))
  const services: ServiceDocument[] = []
  const ofStacks = new Map<string, ServiceSummary[]>()
  const lookAtService = looksAt(world)
  for (const service of world.services.values()) {
    const look = lookAtService(service.name)
    const document = viewService(world, service, look)
    const stage = serviceStage(world, service, look.kinds, document.counts)
    services.push(document)
    const ofStack = ofStacks.get(service.stack) ?? []
    ofStacks.set(service.stack, ofStack)
    ofStack.push({ name: service.name, counts: document.counts, stage })
  }
  byName(services)
  const stacks = byName(
    [...world.stacks.values()].map((stack) => viewStack(world, stack, ofStacks.get(stack.name) ?? [])),
  )
  const { wanted: _wanted, healthy: _healthy, unhealthy: _unhealthy, ...tasks } = sumCounts(services)
  return {
    cluster: world.cluster,
    at: isoTime(now),
    revision: world.revision,
    coordinator: {
      version: facts.version,
      url: facts.url,
      startedAt: isoTime(facts.startedAt),
      uptimeMs: now - facts.startedAt,
      storeBytes: facts.storeBytes,
    },
    totals: {
      nodes: {
        total: nodes.length,
        ready: nodes.filter((node) => node.status === 'ready').length,
        drained: nodes.filter((node) => node.availability === 'drain').length,
        notReady: nodes.filter((node) => node.status !== 'ready').length,
      },
      cpuCores: sum(nodes, (node) => node.cpuCores),
      cpuCoresUsed: sum(nodes, (node) => node.load?.cpuCoresUsed ?? 0),
      cpuCoresPromised: sum(nodes, (node) => node.cpuCoresPromised),
      memoryBytes: sum(nodes, (node) => node.memoryBytes),
      memoryBytesUsed: sum(nodes, (node) => node.load?.memoryBytesUsed ?? 0),
      memoryBytesPromised: sum(nodes, (node) => node.memoryBytesPromised),
      tasks,
    },
    nodes,
    stacks,
    services,
    problems: problemsOf(world, services, now),
  }
}

function sumCounts(services: StatusDocument['services']) {
  const counts = noTasks()
  for (const service of services) addCounts(counts, service.counts)
  return counts
}

function sum(nodes: NodeDocument[], of: (node: NodeDocument) => number): number {
  return nodes.reduce((total, node) => total + of(node), 0)
}

/** By code units, so that the order is the same everywhere. */
export function byName<Named extends { name: string }>(items: Named[]): Named[] {
  return items.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}
