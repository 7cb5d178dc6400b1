/** Whether a stack may be deployed: what no future could make right is refused, what may come right is warned about. */
import { RESERVED_LABEL_PREFIX } from '../../shared/labels.ts'
import { fullServiceName } from '../../shared/names.ts'
import type { Constraint, ServiceSpec, StackSpec } from '../../shared/spec.ts'
import type { World } from '../world.ts'
import { type Admission, admitted, REPLICAS_MAX, refused } from './admission.ts'
import { unmetConstraint } from './checks/constraint.ts'
import { clash } from './checks/host-port.ts'
import { hasNamedVolume } from './service-facts.ts'

export function admitStack(world: World, stack: StackSpec): Admission {
  const names = Object.keys(stack.services)
  if (names.length === 0) {
    return refused('invalid-request', `stack ${stack.name} names no service; use "berth rm" to remove a stack`, {
      stack: stack.name,
    })
  }
  const warnings: string[] = []
  for (const name of names) {
    const spec = stack.services[name]!
    const fullName = fullServiceName(stack.name, name)
    const no = refusalOf(world, stack, fullName, spec)
    if (no) return no
    warnings.push(...warningsOf(world, fullName, spec))
  }
  const circle = dependencyCircle(stack)
  if (!circle) return admitted(warnings)
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

/** Two constraints that no node can meet together would make the service wait for ever. */
function contradiction(name: string, { placement }: ServiceSpec): Admission | null {
  for (const a of placement.constraints) {
    for (const b of placement.constraints) {
      if (!contradict(a, b)) continue
      const [first, second] = [a, b].map(({ attribute, operator, value }) => `${attribute}${operator}${value}`)
      const message = `${name}: no node can meet both ${first} and ${second}`
      return refused('invalid-request', message, { service: name, constraints: [first, second] })
    }
  }
  return null
}

function contradict(a: Constraint, b: Constraint): boolean {
  if (a.attribute !== b.attribute || a.operator !== '==') return false
  return b.operator === '==' ? a.value !== b.value : a.value === b.value
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

/**
 * Refused when nodes are known and each is too small when empty: waiting would not help, and the mistake is mostly one
 * of units. Without any node, or with one that has not told its size yet, it
 * is admitted: that one may be large.
 */
function largerThanAnyNode(world: World, name: string, spec: ServiceSpec): Admission | null {
  const known = [...world.nodes.values()].map(({ inventory }) => inventory)
  const nodes = known.filter((inventory) => inventory !== null)
  if (nodes.length < known.length) return null
  const { cpuCores, memoryBytes } = spec.task.container.resources.reservation
  if (nodes.length === 0 || nodes.some((node) => node.cpuCores >= cpuCores && node.memoryBytes >= memoryBytes))
    return null
  const largest = {
    cpuCores: Math.max(...nodes.map((node) => node.cpuCores)),
    memoryBytes: Math.max(...nodes.map((node) => node.memoryBytes)),
  }
  const message =
    `${name} reserves ${cpuCores} cores and ${gib(memoryBytes)}, more than any node has ` +
    `(at most ${largest.cpuCores} cores, ${gib(largest.memoryBytes)}); reserve less or add a larger node`
  return refused('invalid-request', message, { service: name, needed: { cpuCores, memoryBytes }, largest })
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}

// ---------------------------------------------------------------- the dependencies' order

/** The names along the first circle that is found, beginning and ending with the same one. */
function dependencyCircle(stack: StackSpec): string[] | null {
  const done = new Set<string>()
  const visit = (name: string, path: string[]): string[] | null => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (done.has(name)) return null
    for (const next of Object.keys(stack.services[name]?.dependsOn ?? {})) {
      const circle = visit(next, [...path, name])
      if (circle) return circle
    }
    done.add(name)
    return null
  }
  for (const name of Object.keys(stack.services)) {
    const circle = visit(name, [])
    if (circle) return circle
  }
  return null
}

// ---------------------------------------------------------------- warnings

function warningsOf(world: World, name: string, spec: ServiceSpec): string[] {
  const warnings: string[] = []
  const nodes = [...world.nodes.values()]
  const unmet = nodes.length > 0 && nodes.every((node) => unmetConstraint(node, spec.placement.constraints) !== null)
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
