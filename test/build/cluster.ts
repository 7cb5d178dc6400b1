/**
 * A small cluster on a virtual clock: the real apply and decide, and agents that obey their assignments. Tests push it
 * through whatever they like; `beat` is what the control loop does, and checks that deciding twice changes nothing.
 */
import { assignmentOf } from '../../coordinator/decide/assignment.ts'
import { decide } from '../../coordinator/decide/decide.ts'
import { addMarks, type Marks, marksOf, newMarks } from '../../coordinator/decide/marks.ts'
import { type DecideSettings, defaultSettings } from '../../coordinator/decide/settings.ts'
import { heartbeatLateMs } from '../../coordinator/decide/signs.ts'
import type { Recorder } from '../../coordinator/journal/journal.ts'
import { decideInRounds } from '../../coordinator/rounds.ts'
import { apply } from '../../coordinator/store/apply.ts'
import { emptyWorld, loadWorld } from '../../coordinator/store/records.ts'
import type { Key, Write } from '../../coordinator/store/store.ts'
import { tallyOf } from '../../coordinator/store/tally.ts'
import type { Change, Decision, Observation, Task, World, WorldValue } from '../../coordinator/world.ts'
import type { Instant } from '../../shared/clock.ts'
import type { ContainerLoad, HostLoad } from '../../shared/load.ts'
import { ENGINE_STOPPED, WRONG_PLATFORM } from '../../shared/task-state.ts'
import type { NodeInventory, TaskObservation } from '../../shared/wire/up.ts'
import { connectedBy } from './wire.ts'
import { aHostLoad, anEngine, anInventory, NOW } from './world.ts'

export type Container = Pick<
  TaskObservation,
  'task' | 'spec' | 'attempt' | 'state' | 'health' | 'interruptions' | 'failures' | 'error'
> & { since: Instant }

export type Agent = {
  name: string
  inventory: Partial<NodeInventory>
  isPlugged: boolean
  /** Of its present connection; null when it has none. */
  instance: string | null
  starts: number
  revision: number
  wanted: Map<string, { spec: string; desired: string }>
  containers: Map<string, Container>
}

export type Cluster = {
  world: World
  now: Instant
  settings: DecideSettings
  marks: Marks
  agents: Map<string, Agent>
  /** What the store would hold. */
  stored: Map<string, { key: Key; value: unknown }>
  wakeAt: Instant | null
  /** Every decision made so far. */
  decided: Decision[]
  /** Told of all that happens, as by the loop. */
  recorder: Recorder | null
  /** What the next heartbeat of a host tells; absent: what `aHostLoad` gives, and nothing of its containers. */
  loadOf?: (agent: Agent) => { load: HostLoad; containers: ContainerLoad[] }
}

export function aCluster(
  names: string[],
  options: {
    cpuCores?: number
    inventory?: Partial<NodeInventory>
    settings?: Partial<DecideSettings>
    recorder?: Recorder
  } = {},
): Cluster {
  const cluster: Cluster = {
    world: emptyWorld('berth-test'),
    now: NOW,
    settings: { ...defaultSettings(NOW), ...options.settings },
    marks: newMarks(),
    agents: new Map(),
    stored: new Map(),
    wakeAt: null,
    decided: [],
    recorder: options.recorder ?? null,
  }
  cluster.world.tally = tallyOf(cluster.world)
  for (const name of names) join(cluster, name, { cpuCores: options.cpuCores ?? 4, ...options.inventory })
  beat(cluster)
  return cluster
}

export function join(cluster: Cluster, name: string, inventory: Partial<NodeInventory> = {}): void {
  change(cluster, { kind: 'join-node', node: name, keyFingerprint: `key-${name}` })
  cluster.agents.set(name, newAgent(name, inventory))
  connect(cluster, name)
}

function newAgent(name: string, inventory: Partial<NodeInventory>): Agent {
  const nothing = { wanted: new Map(), containers: new Map() }
  return { name, inventory, isPlugged: true, instance: null, starts: 0, revision: 0, ...nothing }
}

// ---------------------------------------------------------------- values in

export function put(cluster: Cluster, value: WorldValue): void {
  cluster.recorder?.value(value, cluster.world, cluster.marks)
  addMarks(cluster.marks, marksOf(cluster.world, value))
  for (const write of apply(cluster.world, value)) store(cluster.stored, write)
}

export function store(stored: Cluster['stored'], write: Write): void {
  const key = JSON.stringify(write.key)
  if ('delete' in write) stored.delete(key)
  else stored.set(key, { key: write.key, value: structuredClone(write.value) })
}

export function change(cluster: Cluster, asked: Change): void {
  put(cluster, { at: cluster.now, change: asked })
}

export function observe(cluster: Cluster, observation: Observation): void {
  put(cluster, { at: cluster.now, observation })
}

// ---------------------------------------------------------------- the loop

/** One beat; returns what was decided. Throws when deciding again on the world it led to gives anything. */
export function beat(cluster: Cluster): Decision[] {
  const { world, now, settings } = cluster
  cluster.recorder?.beat(now, settings, world, cluster.marks)
  const marks = {
    get due() {
      return cluster.marks
    },
    set due(next) {
      cluster.marks = next
    },
  }
  const { decisions, wakeAt } = decideInRounds({ decide }, world, marks, now, settings, (decision) =>
    put(cluster, { at: now, decision }),
  )
  cluster.wakeAt = wakeAt
  cluster.decided.push(...decisions)
  const again = decide(cluster.world, { ...newMarks(), all: true }, cluster.now, cluster.settings).decisions
  if (again.length > 0)
    throw new Error(`deciding twice: ${JSON.stringify(decisions)} and then ${JSON.stringify(again)}`)
  return decisions
}

/** The coordinator is killed and starts again from its store; every connection is gone. */
export function restartCoordinator(cluster: Cluster): void {
  cluster.world = loadWorld(cluster.stored.values(), 'berth-test')
  cluster.world.tally = tallyOf(cluster.world)
  cluster.settings = { ...cluster.settings, coordinatorStartedAt: cluster.now }
  cluster.marks = { ...newMarks(), all: true }
  for (const agent of cluster.agents.values()) agent.instance = null
}

// ---------------------------------------------------------------- agents

/** A fresh connection: hello, the complete observation up, the complete assignment down. */
export function connect(cluster: Cluster, name: string): void {
  const agent = agentOf(cluster, name)
  if (!agent.isPlugged || agent.instance !== null) return
  agent.starts += 1
  agent.instance = `${name}-${agent.starts}`
  const { instance, revision } = agent
  const inventory = anInventory({ hostname: name, ...agent.inventory })
  observe(cluster, connectedBy({ node: name, instance, inventory, revision, at: cluster.now }, cluster.now))
  sayAll(cluster, name)
}

export function disconnect(cluster: Cluster, name: string, goodbye = false): void {
  const agent = agentOf(cluster, name)
  if (agent.instance === null) return
  observe(cluster, { kind: 'disconnected', node: name, instance: agent.instance, why: 'connection closed', goodbye })
  agent.instance = null
}

/** The host's cable: while unplugged nothing is heard and its containers go on. */
export function unplug(cluster: Cluster, name: string): void {
  agentOf(cluster, name).isPlugged = false
}

export function plugIn(cluster: Cluster, name: string): void {
  const agent = agentOf(cluster, name)
  agent.isPlugged = true
  agent.instance = null
  connect(cluster, name)
}

export function heartbeat(cluster: Cluster, name: string): void {
  const agent = agentOf(cluster, name)
  if (!agent.isPlugged || agent.instance === null) return
  const { load, containers } = cluster.loadOf?.(agent) ?? { load: aHostLoad(), containers: [] }
  observe(cluster, { kind: 'heartbeat', node: name, revision: agent.revision, load, containers })
}

/** Its answer to a ping, told as sessions do: where its heartbeat is late. */
export function answerPing(cluster: Cluster, name: string): void {
  const agent = agentOf(cluster, name)
  const { heard } = cluster.world.nodes.get(name)!
  const isLate = cluster.now - heard.lastAt > heartbeatLateMs(cluster.settings.heartbeatIntervalMs)
  if (!agent.isPlugged || agent.instance === null || !isLate) return
  observe(cluster, { kind: 'sign-of-life', node: name, seenAt: cluster.now })
}

export function sayAll(cluster: Cluster, name: string): void {
  say(cluster, name, true, [...agentOf(cluster, name).containers.values()], [])
}

export function say(cluster: Cluster, name: string, full: boolean, seen: Container[], gone: string[]): void {
  const agent = agentOf(cluster, name)
  if (!agent.isPlugged || agent.instance === null) return
  const tasks = seen.map((container) => ({ ...container }))
  const { revision } = agent
  observe(cluster, { kind: 'tasks', node: name, full, revision, engine: anEngine(), tasks, gone })
}

/** The agent takes its assignment and goes one step further with each of its tasks, saying what changed. */
export function work(cluster: Cluster, name: string): void {
  const agent = agentOf(cluster, name)
  if (agent.isPlugged && agent.instance !== null) takeAssignment(cluster, agent)
  const changed: Container[] = []
  const gone: string[] = []
  for (const [id, wanted] of agent.wanted) {
    const known = agent.containers.get(id)
    const next = nextState(known?.state ?? null, wanted.desired)
    if (next === null) continue
    const attempt = (known?.attempt ?? 0) + (next === 'pulling' ? 1 : 0)
    const container: Container = {
      task: id,
      spec: wanted.spec,
      attempt,
      state: next,
      health: 'none',
      since: cluster.now,
      ...(known?.interruptions && { interruptions: known.interruptions }),
      ...(known?.failures && { failures: known.failures }),
    }
    agent.containers.set(id, container)
    changed.push(container)
  }
  for (const id of agent.containers.keys()) {
    if (agent.wanted.has(id)) continue
    agent.containers.delete(id)
    gone.push(id)
  }
  if (changed.length + gone.length > 0) say(cluster, name, false, changed, gone)
}

function takeAssignment({ world }: Cluster, agent: Agent): void {
  if (!world.nodes.has(agent.name)) return
  const { revision, tasks } = assignmentOf(world, agent.name)
  if (revision < agent.revision)
    throw new Error(`${agent.name}: assignment ${revision} is older than ${agent.revision}`)
  agent.revision = revision
  agent.wanted = new Map(tasks.map(({ id, spec, desired }) => [id, { spec, desired }]))
}

function nextState(state: string | null, desired: string): Container['state'] | null {
  if (desired === 'stopped')
    return state === 'stopped' ? null : state === 'stopping' || state === null ? 'stopped' : 'stopping'
  if (state === null || state === 'restarting') return 'pulling'
  if (state === 'pulling') return 'starting'
  return state === 'starting' ? 'running' : null
}

/** The container of a running task ends. */
export function crash(cluster: Cluster, name: string, task: string, state: Container['state'] = 'restarting'): void {
  const container = agentOf(cluster, name).containers.get(task)
  if (container?.state !== 'running') return
  container.state = state
  container.since = cluster.now
  say(cluster, name, false, [container], [])
}

/** A task's container ends right after its start, as its agent counts it: once more in a row. */
export function failAtOnce(cluster: Cluster, name: string, task: string): void {
  const container = agentOf(cluster, name).containers.get(task)
  if (container?.state !== 'running') return
  container.failures = (container.failures ?? 0) + 1
  container.error = { code: 'failed', message: 'exited 1' }
  crash(cluster, name, task)
}

/** The image of a task is not made for the host: its agent could not pull it, and will try again. */
export function refusePlatform(cluster: Cluster, name: string, task: string): void {
  const agent = agentOf(cluster, name)
  const before = agent.containers.get(task)
  const error = { code: WRONG_PLATFORM, message: 'image example/web:1 is not made for this host' }
  const spec = agent.wanted.get(task)?.spec ?? before?.spec ?? ''
  const attempt = Math.max(1, before?.attempt ?? 1)
  const container: Container = { task, spec, attempt, state: 'restarting', health: 'none', error, since: cluster.now }
  agent.containers.set(task, container)
  say(cluster, name, false, [container], [])
}

/** The container of a running task ends with its Engine, and is to be started again. */
export function interrupt(cluster: Cluster, name: string, task: string): void {
  const container = agentOf(cluster, name).containers.get(task)
  if (container?.state !== 'running') return
  container.interruptions = (container.interruptions ?? 0) + 1
  container.error = { code: ENGINE_STOPPED, message: 'ended because its Engine or its host stopped' }
  crash(cluster, name, task)
}

export function agentOf(cluster: Cluster, name: string): Agent {
  const agent = cluster.agents.get(name)
  if (!agent) throw new Error(`no agent ${name}`)
  return agent
}

// ---------------------------------------------------------------- time

/** Lets time pass in steps of `stepMs`: heartbeats, agents' work, beats. */
export function run(cluster: Cluster, forMs: number, stepMs = 500): void {
  const until = cluster.now + forMs
  while (cluster.now < until) {
    cluster.now += stepMs
    for (const name of cluster.agents.keys()) {
      heartbeat(cluster, name)
      work(cluster, name)
    }
    beat(cluster)
  }
}

/** Tasks of the service that are wanted and running by their agents' word. */
export function running({ world }: Cluster, service: string): Task[] {
  return [...(world.tasksByService.get(service) ?? [])].filter(
    ({ desired, observed, node }) =>
      desired === 'running' && observed.state === 'running' && world.nodes.get(node ?? '')?.status.name === 'ready',
  )
}
