/**
 * Where Prometheus finds what services tell of themselves, as its http_sd wants it: a target for each running task with the label
 * `prometheus.io/port`, at the host port that this container port is published on.
 */
import type { DiscoveryDocument } from '../../shared/api.ts'
import type { Node, Task, World } from '../world.ts'
import { taskName } from './view-task.ts'

const PORT_LABEL = 'prometheus.io/port'
const PATH_LABEL = 'prometheus.io/path'
export const TARGETS_MAX = 20_000

/** `leftOut`: tasks that have the label and cannot be reached, each with the reason. */
export function viewDiscovery(world: World): { targets: DiscoveryDocument; leftOut: { task: string; why: string }[] } {
  const targets: DiscoveryDocument = []
  const leftOut: { task: string; why: string }[] = []
  for (const task of labelledTasks(world)) {
    if (task.desired !== 'running' || task.observed.state !== 'running' || task.node === null) continue
    const service = world.services.get(task.service)
    const labels = service?.versions.get(task.version)?.spec.task.container.labels ?? {}
    const port = labels[PORT_LABEL]
    if (port === undefined) continue
    const found = addressOf(world.nodes.get(task.node), task, port)
    if ('why' in found) leftOut.push({ task: taskName(task), why: found.why })
    else if (targets.length >= TARGETS_MAX)
      leftOut.push({ task: taskName(task), why: `more than ${TARGETS_MAX} targets` })
    else
      targets.push({
        targets: [found.address],
        labels: {
          __metrics_path__: labels[PATH_LABEL] ?? '/metrics',
          berth_stack: service?.stack ?? '',
          berth_service: task.service,
          berth_task: taskName(task),
          berth_node: task.node,
        },
      })
  }
  return { targets, leftOut }
}

/** Of services that have the label in any version, which most have not. */
function* labelledTasks(world: World): Iterable<Task> {
  for (const { name, versions } of world.services.values()) {
    if (!versions.values().some(({ spec }) => spec.task.container.labels[PORT_LABEL] !== undefined)) continue
    yield* world.tasksByService.get(name) ?? []
  }
}

function addressOf(node: Node | undefined, task: Task, port: string): { address: string } | { why: string } {
  if (!/^\d{1,5}$/.test(port)) return { why: `${PORT_LABEL} is ${JSON.stringify(port)}, not a port` }
  const host = node?.connection?.address ?? node?.inventory?.addresses[0]
  if (host === undefined) return { why: 'the address of its node is not known' }
  const published = task.observed.ports.find(
    ({ containerPort, protocol }) => containerPort === Number(port) && protocol === 'tcp',
  )
  if (published === undefined) return { why: `its port ${port} is not published` }
  return { address: `${host.includes(':') ? `[${host}]` : host}:${published.hostPort}` }
}
