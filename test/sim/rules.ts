/** What is never true, whatever happens. Each rule answers with a sentence when it is broken, and null when it holds. */
import { clash } from '../../coordinator/decide/checks/host-port.ts'
import { holdsRoom, isUp } from '../../coordinator/decide/task-facts.ts'
import type { Service, ServiceVersion, Task, World } from '../../coordinator/world.ts'
import { hasEnded } from '../../shared/task-state.ts'
import { CLUSTER, type Host } from './host.ts'
import type { VirtualContainer } from './virtual-engine.ts'

export type Hosts = Map<string, Host>

// ---------------------------------------------------------------- what the coordinator holds

/**
 * No host port is given twice on a node, and no more CPU or memory is promised than there is. What had ended and was started
 * again by other hands (`endsForGood`) was promised nothing; where it has no room it is told to stop in the same beat.
 */
export function roomIsPromisedOnce(world: World): string | null {
  for (const node of world.nodes.values()) {
    const holding = [...(world.tasksByNode.get(node.name) ?? [])].filter(
      (task) => holdsRoom(task) && !(task.observed.returned && task.desired === 'stopped'),
    )
    const containers = holding.flatMap((task) => {
      const version = world.services.get(task.service)?.versions.get(task.version)
      return version ? [{ task, ...version.spec.task.container }] : []
    })
    const cores = containers.reduce((sum, { resources }) => sum + resources.reservation.cpuCores, 0)
    const memory = containers.reduce((sum, { resources }) => sum + resources.reservation.memoryBytes, 0)
    // One that has been removed and has joined anew in one beat has not said yet what it is.
    if (!node.inventory) continue
    if (cores > (node.inventory?.cpuCores ?? 0) + 1e-6) return `${node.name}: ${cores} cores are promised`
    if (memory > (node.inventory?.memoryBytes ?? 0)) return `${node.name}: ${memory} bytes of memory are promised`
    for (const [index, one] of containers.entries()) {
      for (const other of containers.slice(index + 1)) {
        if (one.ports.some((port) => other.ports.some((held) => clash(port, held)))) {
          return `${node.name}: ${one.task.id} and ${other.task.id} are given one host port`
        }
      }
    }
  }
  return null
}

/** What has ended for good runs again only where an operator started it, or where its agent lost what it knew. */
export function endsForGood(world: World, hosts: Hosts): string | null {
  for (const { id, node, observed } of world.tasks.values()) {
    const host = hosts.get(node ?? '')
    if (!observed.returned || !host || host.disk.hasLost || host.engine.startedByHand.has(id)) continue
    return `${id} on ${node} had ended for good and is ${observed.state} (attempt ${observed.attempt})`
  }
  return null
}

/**
 * A slot has one task that wants to run; while it is replaced start-first one more. Those on lost nodes do not count: they
 * stay in the books in case their node returns. While a rollout stands still (paused or held) a task on a drained node moves
 * at its own version, beside the one of the wanted version that failed or waits: three (docs/lifecycle.md, 0007).
 */
export function slotsAreMannedOnce(world: World): string | null {
  const tasks = new Map<string, Task[]>()
  for (const task of world.tasks.values()) {
    const isAway = task.node !== null && world.nodes.get(task.node)?.status.name === 'lost'
    if (task.desired === 'stopped' || isAway || hasEnded(task.observed.state)) continue
    const slot = slotOf(task)
    tasks.set(slot, [...(tasks.get(slot) ?? []), task])
  }
  for (const [slot, found] of tasks) {
    if (found.length > tasksMax(world, found[0]!))
      return `${slot} has ${found.length} tasks: ${found.map(({ id }) => id).join(', ')}`
  }
  return null
}

function tasksMax(world: World, { service }: Task): number {
  const { rollout, release } = world.services.get(service) ?? {}
  return rollout?.state === 'paused' || release?.state === 'held' ? 3 : 2
}

function slotOf(task: Task): string {
  return task.slot === 0 ? `${task.service} on ${task.node ?? task.onlyNode}` : `${task.service}.${task.slot}`
}

// ---------------------------------------------------------------- what really runs

/** A container that was made by an agent of this cluster, for this node. */
export function isOurs(host: Host, { seen }: Pick<VirtualContainer, 'seen'>): boolean {
  return seen.cluster === CLUSTER && seen.node === host.name
}

/** One task has one container that runs. */
export function taskRunsOnce(host: Host, container: VirtualContainer): string | null {
  const twin = host.engine
    .running()
    .find((other) => other !== container && isOurs(host, other) && other.seen.task === container.seen.task)
  return twin && isOurs(host, container) ? `${container.seen.task} runs twice on ${host.name}` : null
}

/**
 * Containers whose tasks are in one assignment fit beside each other, also while they stop. What a lost node's agent was
 * never told of, or no longer, is not in it: it is stopped as soon as the complete assignment has come.
 */
export function runsWithinPromises(host: Host): string | null {
  const { inForce } = host
  if (!inForce) return null
  const assigned = new Map(inForce.tasks.map((task) => [task.id, task]))
  let cores = 0
  let memory = 0
  for (const container of host.engine.running()) {
    if (container.isByHand) continue
    const task = isOurs(host, container) ? assigned.get(container.seen.task) : undefined
    const spec = task && inForce.specs[container.seen.spec]
    if (!spec) continue
    cores += spec.container.resources.reservation.cpuCores
    memory += spec.container.resources.reservation.memoryBytes
  }
  const { inventory } = host
  if (cores > inventory.cpuCores + 1e-6) return `${host.name}: containers with ${cores} promised cores run`
  return memory > inventory.memoryBytes ? `${host.name}: containers with ${memory} promised bytes run` : null
}

/**
 * On nodes that are ready and act on the newest assignment, a slot's task runs once, and while it is replaced start-first
 * twice. An agent that is cut off goes on with what it was told last; its containers count again when it has heard the rest.
 */
export function slotsRunOnce(world: World, hosts: Hosts): string | null {
  const running = new Map<string, Task[]>()
  for (const host of hosts.values()) {
    const node = world.nodes.get(host.name)
    if (node?.status.name !== 'ready' || host.inForce?.revision !== node.assignmentRevision) continue
    const wanted = new Set(host.inForce.tasks.filter(({ desired }) => desired === 'running').map(({ id }) => id))
    for (const container of host.engine.running()) {
      if (!isOurs(host, container) || !wanted.has(container.seen.task)) continue
      const task = world.tasks.get(container.seen.task)
      if (!task)
        return `${container.seen.task} runs on ${host.name} at revision ${node.assignmentRevision} and is unknown`
      const slot = slotOf(task)
      running.set(slot, [...(running.get(slot) ?? []), task])
    }
  }
  for (const [slot, found] of running) {
    if (found.length <= tasksMax(world, found[0]!)) continue
    return `${slot} runs ${found.length} times: ${found.map(({ id, node }) => `${id} on ${node}`).join(', ')}`
  }
  return null
}

// ---------------------------------------------------------------- after healing

/** What runs is what is wanted: each service has its tasks, each node exactly the containers of its tasks. */
export function allIsAsWanted(world: World, hosts: Hosts): string | null {
  for (const service of world.services.values()) {
    if (service.removing) return `${service.name} is still being removed`
    if (service.release.state === 'held') continue
    const wanted = service.versions.get(service.version)
    const tasks = [...(world.tasksByService.get(service.name) ?? [])]
    for (const task of tasks) {
      if (task.desired === 'stopped') return `${task.id} is still to be stopped: ${task.stopReason}`
      if (task.node === null && task.waitsFor.length === 0) return `${task.id} waits and does not say why`
    }
    const isWaiting = service.rollout.state === 'paused' || tasks.some((task) => task.node === null)
    if (!isWaiting && wanted) {
      const found = unitsAreManned(world, service, wanted, tasks)
      if (found) return found
    }
  }
  for (const host of hosts.values()) {
    const found = hostRunsItsTasks(world, host)
    if (found) return found
  }
  return null
}

/** Each unit has its task, and nothing beside one that is up. */
function unitsAreManned(world: World, service: Service, wanted: ServiceVersion, tasks: Task[]): string | null {
  const { mode } = wanted.spec
  // Left from when it was global: each bridges a slot whose own task is not up, until it is.
  const bridges = tasks.filter((task) => mode.kind === 'replicated' && task.slot === 0)
  const units = new Map<string, Task[]>()
  for (const task of tasks) {
    if (bridges.includes(task)) continue
    const unit = mode.kind === 'global' ? `${service.name} on ${task.node ?? task.onlyNode}` : slotOf(task)
    units.set(unit, [...(units.get(unit) ?? []), task])
  }
  let kept = 0
  for (const [unit, found] of units) {
    const keeper = found.find(
      (task) =>
        isUp(task) && service.versions.get(task.version)?.taskHash === wanted.taskHash && !isDrained(world, task),
    )
    if (keeper) kept += 1
    if (keeper && found.length > 1)
      return `${unit} has ${found.map(({ id }) => id).join(', ')} though ${keeper.id} is up`
  }
  if (mode.kind === 'replicated') {
    const isManned = units.size <= mode.replicas && units.size + bridges.length >= mode.replicas
    const beside = bridges.length === 0 ? '' : `, and ${bridges.length} tasks from when it was global`
    return isManned && bridges.length <= mode.replicas - kept
      ? null
      : `${service.name} has ${units.size} slots of ${mode.replicas}, ${kept} up${beside}`
  }
  for (const node of world.nodes.values()) {
    const isWanted = node.availability === 'active'
    if (isWanted && !units.has(`${service.name} on ${node.name}`)) return `${service.name} has no task on ${node.name}`
  }
  return null
}

function isDrained(world: World, task: Task): boolean {
  return task.node !== null && world.nodes.get(task.node)?.availability === 'drain'
}

function hostRunsItsTasks(world: World, host: Host): string | null {
  const node = world.nodes.get(host.name)
  if (!node) return null
  if (node.status.name !== 'ready')
    return `${host.name} is ${node.status.name}: ${'why' in node.status ? node.status.why : ''}`
  if (host.inForce?.revision !== node.assignmentRevision) {
    return `${host.name} acts on revision ${host.inForce?.revision}, the newest is ${node.assignmentRevision}`
  }
  const tasks = new Map([...(world.tasksByNode.get(host.name) ?? [])].map((task) => [task.id, task]))
  const own = [...host.engine.containers.values()].filter((container) => isOurs(host, container))
  for (const { seen } of own) {
    const task = tasks.get(seen.task)
    if (!task) return `${seen.name} (${seen.state}) is on ${host.name} and nobody wants it`
    const hash = world.services.get(task.service)?.versions.get(task.version)?.taskHash
    if (seen.spec !== hash) return `${seen.name} on ${host.name} was made from another spec than its task has`
  }
  for (const task of tasks.values()) {
    const runs = own.some(({ seen }) => seen.task === task.id && seen.state === 'running')
    const saysSo = task.observed.state === 'running'
    // Those that come and go by themselves may just have done so.
    if (runs !== saysSo && STEADY.test(imageOf(world, task))) {
      return `${task.id} ${runs ? 'runs' : 'does not run'} on ${host.name}, and is held to be ${task.observed.state}`
    }
    if (!runs && STEADY.test(imageOf(world, task)) && task.observed.state !== 'failed') {
      return `${task.id} should run on ${host.name} and is ${task.observed.state}: ${task.observed.error?.message ?? ''}`
    }
  }
  return null
}

/** Images that run until they are stopped. */
export const STEADY = /^(web|slow|checked):/

function imageOf(world: World, task: Task): string {
  return world.services.get(task.service)?.versions.get(task.version)?.spec.task.container.image ?? ''
}

/**
 * By container that runs for good: the task that waits to replace it (its node is drained, say). Where room comes free meanwhile, as
 * another container ends by itself, it is ended with good cause.
 */
export function replacementsAwaited(world: World, hosts: Hosts): Map<string, string> {
  const waiting = new Map([...world.tasksWaiting].map((task) => [slotOf(task), task.id]))
  const awaited = new Map<string, string>()
  for (const host of hosts.values()) {
    for (const { seen } of host.engine.running()) {
      const task = isOurs(host, { seen }) ? world.tasks.get(seen.task) : undefined
      const replacement = task && waiting.get(slotOf(task))
      if (replacement !== undefined) awaited.set(seen.id, replacement)
    }
  }
  return awaited
}

/** Of every container that runs for good: when it was started. */
export function steadyRuns(hosts: Hosts): Map<string, number> {
  const runs = new Map<string, number>()
  for (const host of hosts.values()) {
    for (const container of host.engine.running()) {
      if (isOurs(host, container) && STEADY.test(container.image)) runs.set(container.seen.id, container.startedAtMs)
    }
  }
  return runs
}
