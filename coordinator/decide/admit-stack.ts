/** Whether a stack may be deployed: what no future could make right is refused, what may come right is warned about. */
import { constraintText } from '../../shared/constraint.ts'
import { RESERVED_LABEL_PREFIX } from '../../shared/labels.ts'
import { fullServiceName } from '../../shared/names.ts'
import type { ServiceSpec, StackSpec } from '../../shared/spec.ts'
import type { Node, World } from '../world.ts'
import { type Admission, admitted, REPLICAS_MAX, refused } from './admission.ts'
import { affinityRefusal, affinityWarnings, specsWith } from './admit-affinity.ts'
import { unmetConstraint } from './checks/constraint.ts'
import { clash } from './checks/host-port.ts'
import { circleIn } from './circle.ts'
import { contradictionOf } from './contradiction.ts'
import { largerThanAnyNode } from './larger-than-any.ts'
import { hasNamedVolume } from './service-facts.ts'
import { untolerated } from './taints.ts'

export function admitStack(world: World, stack: StackSpec): Admission {
  const names = Object.keys(stack.services)
  if (names.length === 0) {
    return refused('invalid-request', `stack ${stack.name} names no service; use "berth rm" to remove a stack`, {
      stack: stack.name,
    })
  }
  const specs = specsWith(world, stack)
  const warnings: string[] = []
  for (const name of names) {
    const spec = stack.services[name]!
    const fullName = fullServiceName(stack.name, name)
    const no = refusalOf(world, stack, fullName, spec)
    if (no) return no
    warnings.push(...warningsOf(world, fullName, spec), ...affinityWarnings(world, specs, fullName, spec))
  }
  const circle = circleIn(names, (name) => Object.keys(stack.services[name]?.dependsOn ?? {}))
  if (!circle) return affinityRefusal(specs, stack) ?? admitted(warnings)
  const message = `services of ${stack.name} depend on each other in a circle: ${circle.join(' → ')}`
  return refused('invalid-request', message, { stack: stack.name, circle })
}

function refusalOf(world: World, stack: StackSpec, name: string, spec: ServiceSpec): Admission | null {
  return (
    replicasOutOfRange(name, spec) ??
    reservedLabel(name, spec) ??
    unknownDependency(world, stack, name, spec) ??
    contradiction(name, spec) ??
    ownPortTwice(name, spec) ??
    largerThanAnyNode(world, name, spec)
  )
}

function replicasOutOfRange(name: string, { mode }: ServiceSpec): Admission | null {
  if (mode.kind === 'global') return null
  const { replicas } = mode
  if (Number.isInteger(replicas) && replicas >= 0 && replicas <= REPLICAS_MAX) return null
  const message = `${name}: ${replicas} is not a number of replicas; give a whole number from 0 to ${REPLICAS_MAX}`
  return refused('invalid-request', message, { service: name, replicas })
}

/** A container is Berth's by its labels; one that claimed them for itself could stand for another task. */
function reservedLabel(name: string, { task }: ServiceSpec): Admission | null {
  const label = Object.keys(task.container.labels).find((each) => each.startsWith(RESERVED_LABEL_PREFIX))
  if (label === undefined) return null
  const message = `${name} sets the label ${label}: labels that begin with ${RESERVED_LABEL_PREFIX} are Berth's own; choose another name`
  return refused('invalid-request', message, { service: name, label })
}

function unknownDependency(world: World, stack: StackSpec, name: string, spec: ServiceSpec): Admission | null {
  for (const [dependency, { required }] of Object.entries(spec.dependsOn)) {
    if (!required || Object.hasOwn(stack.services, dependency)) continue
    const deployed = world.services.get(fullServiceName(stack.name, dependency))
    if (deployed && !deployed.removing) continue
    const message = `${name} depends on ${dependency}, which stack ${stack.name} does not have`
    return refused('invalid-request', message, { service: name, dependency })
  }
  return null
}

/** Constraints that no node can meet together would make the service wait for ever. */
function contradiction(name: string, { placement }: ServiceSpec): Admission | null {
  const found = contradictionOf(placement.constraints)
  if (!found) return null
  const constraints = found.map(constraintText)
  const last = constraints.at(-1)
  const together = { 1: last, 2: `both ${constraints.join(' and ')}` }[constraints.length]
  const role = found[0]?.attribute === 'node.role' ? '; every node is a worker' : ''
  const message = `${name}: no node can meet ${together ?? `${constraints.slice(0, -1).join(', ')} and ${last} together`}${role}`
  return refused('invalid-request', message, { service: name, constraints })
}

function ownPortTwice(name: string, spec: ServiceSpec): Admission | null {
  const ports = spec.task.container.ports.filter((port) => port.hostPort !== undefined)
  for (const [index, port] of ports.entries()) {
    if (!ports.slice(index + 1).some((other) => clash(port, other))) continue
    const message = `${name} publishes host port ${port.hostPort}/${port.protocol} twice`
    return refused('port-taken', message, { service: name, port: port.hostPort })
  }
  return null
}

// ---------------------------------------------------------------- warnings

function warningsOf(world: World, name: string, spec: ServiceSpec): string[] {
  const warnings: string[] = []
  const nodes = [...world.nodes.values()]
  const unmet = nodes.length > 0 && nodes.every((node) => unmetConstraint(node, spec.placement.constraints) !== null)
  const isShunned = nodes.length > 0 && nodes.every((node) => isTaintedFor(node, spec))
  if (isShunned) warnings.push(`${name}: every node has a taint that it does not tolerate; its tasks will wait`)
  if (unmet) warnings.push(`${name}: no node meets its constraints now; its tasks will wait until one does`)
  if (nodes.length === 0) warnings.push(`${name}: no node has joined yet; its tasks will wait for one`)
  const { replicas } = spec.mode.kind === 'replicated' ? spec.mode : { replicas: 1 }
  const hostPort = spec.task.container.ports.find((port) => port.hostPort !== undefined)
  if (hostPort && nodes.length > 0 && replicas > nodes.length) {
    warnings.push(
      `${name}: ${replicas} tasks want host port ${hostPort.hostPort}, one node each, but there are ${nodes.length} nodes; the rest will wait`,
    )
  }
  if (hasNamedVolume(spec) && spec.update.order === 'start-first') {
    warnings.push(`${name}: two tasks cannot share its volume, so the old one is stopped before the new one starts`)
  }
  return warnings
}

function isTaintedFor({ taints }: Node, { placement }: ServiceSpec): boolean {
  return untolerated(taints, placement, ['no-schedule', 'no-execute']) !== null
}
