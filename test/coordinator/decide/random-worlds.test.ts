import fc from 'fast-check'
import { expect, test } from 'vitest'
import { viewStatus } from '../../../coordinator/api/view-status.ts'
import { admit } from '../../../coordinator/decide/admit.ts'
import {
  type AssignmentContent,
  assignmentOf,
  changeFrom,
  type Told,
  toldBy,
} from '../../../coordinator/decide/assignment.ts'
import { refusalOf } from '../../../coordinator/decide/checks/all.ts'
import { clash } from '../../../coordinator/decide/checks/host-port.ts'
import { genericNeed, genericOn } from '../../../coordinator/decide/generic-need.ts'
import { pictureOf, without } from '../../../coordinator/decide/picture.ts'
import { planRebalance } from '../../../coordinator/decide/rebalance/plan.ts'
import { worldFigures } from '../../../coordinator/metrics/world-metrics.ts'
import { rebuildIndexes } from '../../../coordinator/store/indexes.ts'
import { loadWorld } from '../../../coordinator/store/records.ts'
import type { Change, Decision, World } from '../../../coordinator/world.ts'
import { type Constraint, canonicalJson, type Placement, TAINT_EFFECTS, type Toleration } from '../../../shared/spec.ts'
import { hasEnded } from '../../../shared/task-state.ts'
import {
  aCluster,
  agentOf,
  beat,
  type Cluster,
  change,
  connect,
  crash,
  disconnect,
  heartbeat,
  observe,
  plugIn,
  restartCoordinator,
  run,
  say,
  sayAll,
  unplug,
  work,
} from '../../build/cluster.ts'
import { holdPreemptionRules, requestOf } from '../../build/preemption-rules.ts'
import { aPort, aStackSpec, type ServiceSpecGiven } from '../../build/spec.ts'
import { untrueTally } from '../../build/tally.ts'
import { anEngine, aTaint } from '../../build/world.ts'

/** Everything that may happen, in any order; whatever does, these rules hold after every beat. */

const NODES = ['n1', 'n2', 'n3', 'n4']
const GENERIC = { gpu: 2 }
const OVERCOMMIT_MAX = 2
const node = fc.constantFrom(...NODES)
const service = fc.constantFrom('web', 'db', 'log', 'job')

const spec: fc.Arbitrary<ServiceSpecGiven> = fc.record({
  replicas: fc.integer({ min: 0, max: 6 }),
  image: fc.constantFrom('example/a:1', 'example/a:2', 'example/a:3'),
  cpuCores: fc.constantFrom(0, 0.5, 1.5, 2.5),
  priority: fc.constantFrom(undefined, 0, 25, 75, 100),
  preemption: fc.constantFrom(undefined, undefined, { tasksMax: 0 }, { tasksMax: 1 }, { tasksMax: 2 }),
  ports: fc.constantFrom(
    [],
    [],
    [aPort(8080)],
    [aPort(8080, { hostIp: '10.0.0.1' })],
    [aPort(53, { protocol: 'udp' })],
  ),
  volumes: fc.constantFrom([], [], ['data']),
  global: fc.constantFrom(false, false, false, true),
  update: fc.record({
    order: fc.constantFrom('stop-first', 'start-first'),
    parallelism: fc.integer({ min: 0, max: 3 }),
    delayMs: fc.constantFrom(0, 1_500),
    failureAction: fc.constantFrom('pause', 'continue', 'rollback'),
    maxFailureRatio: fc.constantFrom(0, 0.5),
  }),
  diskBytes: fc.constantFrom(0, 0, 40),
  generic: fc.constantFrom<Record<string, number>>({}, {}, { gpu: 1 }),
  container: fc.constantFrom({}, {}, {}, { deviceRequests: [{ count: -1, capabilities: ['gpu'] }] }),
  placement: fc
    .tuple(
      fc.constantFrom<Partial<Placement>>({}, {}, { maxPerNode: 1 }, { spreadOver: ['node.labels.zone'] }),
      fc.constantFrom<Constraint[]>(
        [],
        [],
        [{ attribute: 'node.labels.zone', operator: 'in', value: '', values: ['a', 'c'] }],
        [{ attribute: 'node.labels.zone', operator: 'exists', value: '' }],
        [{ attribute: 'node.labels.generation', operator: '>=', value: '2' }],
      ),
      fc.constantFrom<Toleration[]>(
        [],
        [],
        [{ key: 'gpu', operator: 'exists' }],
        [{ key: 'gpu', operator: '==', value: 'yes' }],
      ),
      fc.array(
        fc.record({
          service: fc.constantFrom('web', 'db', 's_log'),
          over: fc.constantFrom('node.name', 'node.labels.zone'),
          anti: fc.boolean(),
          required: fc.boolean(),
        }),
        { maxLength: 1 },
      ),
    )
    .map(([some, constraints, tolerations, affinity]) => ({ ...some, constraints, tolerations, affinity })),
})

type Act = { name: string; act: (cluster: Cluster) => void }
const act = (name: string, does: (cluster: Cluster) => void): Act => ({ name, act: does })

function ask(cluster: Cluster, asked: Change): void {
  if (admit(cluster.world, asked).ok) change(cluster, asked)
}

const deploy = fc
  .tuple(fc.dictionary(service, spec, { minKeys: 1 }), fc.boolean(), fc.boolean())
  .map(([services, prune, depends]) => {
    const withDependency = depends && services.web && services.db
    const given = withDependency
      ? { ...services, web: { ...services.web, dependsOn: { db: 'service_started' as const } } }
      : services
    return act(`deploy ${JSON.stringify(given)} ${prune}`, (cluster) =>
      ask(cluster, { kind: 'deploy-stack', spec: aStackSpec('s', given), prune }),
    )
  })

const anyAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: deploy },
  {
    weight: 2,
    arbitrary: fc
      .tuple(service, fc.integer({ min: 0, max: 6 }))
      .map(([name, replicas]) =>
        act(`scale ${name} ${replicas}`, (cluster) =>
          ask(cluster, { kind: 'scale-service', service: `s_${name}`, replicas }),
        ),
      ),
  },
  service.map((name) =>
    act(`rollback ${name}`, (cluster) => ask(cluster, { kind: 'rollback-service', service: `s_${name}` })),
  ),
  fc.integer({ min: 1, max: 3 }).map((atOnce) =>
    act(`rebalance ${atOnce}`, (cluster) => {
      const { world, now } = cluster
      const { moves } = planRebalance(world, { now, movesMax: 5, placedBefore: now })
      ask(cluster, { kind: 'rebalance', moves: moves.map(({ task, to }) => ({ task, to })), atOnce })
    }),
  ),
  fc.constant(act('undo rebalance', (cluster) => ask(cluster, { kind: 'undo-rebalance', atOnce: 2 }))),
  fc.constant(act('remove stack', (cluster) => ask(cluster, { kind: 'remove-stack', stack: 's' }))),
  fc
    .tuple(node, fc.constantFrom('drain', 'active'))
    .map(([name, availability]) =>
      act(`${availability} ${name}`, (cluster) =>
        ask(cluster, { kind: 'set-availability', node: name, availability: availability as 'drain' | 'active' }),
      ),
    ),
  fc
    .tuple(node, fc.constantFrom('a', 'b'))
    .map(([name, zone]) =>
      act(`label ${name} ${zone}`, (cluster) =>
        ask(cluster, { kind: 'label-node', node: name, set: { zone }, remove: [] }),
      ),
    ),
  fc
    .tuple(node, fc.constantFrom('1', '2', '3x'))
    .map(([name, generation]) =>
      act(`label ${name} generation ${generation}`, (cluster) =>
        ask(cluster, { kind: 'label-node', node: name, set: { generation }, remove: [] }),
      ),
    ),
  fc
    .tuple(node, fc.constantFrom('gpu=yes', 'gpu=no', 'slow'), fc.constantFrom(...TAINT_EFFECTS))
    .map(([name, taint, effect]) =>
      act(`taint ${name} ${taint}:${effect}`, (cluster) =>
        ask(cluster, { kind: 'taint-node', node: name, set: [aTaint(`${taint}:${effect}`)], remove: [] }),
      ),
    ),
  fc
    .tuple(node, fc.constantFrom('gpu', 'slow'))
    .map(([name, key]) =>
      act(`taint ${name} ${key}-`, (cluster) =>
        ask(cluster, { kind: 'taint-node', node: name, set: [], remove: [{ key }] }),
      ),
    ),
  fc
    .tuple(node, fc.constantFrom(0, 1, 3.5), fc.constantFrom(0.5, 1, OVERCOMMIT_MAX))
    .map(([name, cpuCores, cpu]) =>
      act(`set ${name} ${cpuCores} ${cpu}`, (cluster) =>
        ask(cluster, { kind: 'set-node', node: name, reserve: { cpuCores }, overcommit: { cpu } }),
      ),
    ),
  node.map((name) =>
    act(`remove and join ${name}`, (cluster) => {
      disconnect(cluster, name)
      ask(cluster, { kind: 'remove-node', node: name })
      beat(cluster)
      ask(cluster, { kind: 'join-node', node: name, keyFingerprint: `key-${name}` })
      connect(cluster, name)
    }),
  ),
  { weight: 2, arbitrary: node.map((name) => act(`unplug ${name}`, (cluster) => unplug(cluster, name))) },
  { weight: 2, arbitrary: node.map((name) => act(`plug in ${name}`, (cluster) => plugIn(cluster, name))) },
  fc
    .tuple(node, fc.boolean())
    .map(([name, goodbye]) => act(`disconnect ${name}`, (cluster) => disconnect(cluster, name, goodbye))),
  node.map((name) => act(`connect ${name}`, (cluster) => connect(cluster, name))),
  node.map((name) =>
    act(`wipe ${name}`, (cluster) => {
      agentOf(cluster, name).containers.clear()
      agentOf(cluster, name).wanted.clear()
      agentOf(cluster, name).revision = 0
      disconnect(cluster, name)
      plugIn(cluster, name)
    }),
  ),
  node.map((name) =>
    act(`Engine of ${name} down`, (cluster) => {
      if (agentOf(cluster, name).instance === null || !agentOf(cluster, name).isPlugged) return
      const engine = anEngine({ state: 'down' })
      observe(cluster, { kind: 'tasks', node: name, full: false, revision: 0, engine, tasks: [], gone: [] })
    }),
  ),
  node.map((name) => act(`${name} says all`, (cluster) => sayAll(cluster, name))),
  { weight: 4, arbitrary: node.map((name) => act(`${name} works`, (cluster) => work(cluster, name))) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(node, fc.nat(), fc.constantFrom('restarting' as const, 'failed' as const, 'completed' as const))
      .map(([name, which, state]) =>
        act(`crash ${which} on ${name}: ${state}`, (cluster) => {
          const all = [...agentOf(cluster, name).containers.keys()]
          const id = all[which % Math.max(1, all.length)]
          if (id) crash(cluster, name, id, state)
        }),
      ),
  },
  fc.tuple(node, fc.nat()).map(([name, which]) =>
    act(`an old word of ${which} on ${name}`, (cluster) => {
      const all = [...agentOf(cluster, name).containers.values()]
      const container = all[which % Math.max(1, all.length)]
      if (container) say(cluster, name, false, [{ ...container, attempt: 1, state: 'pulling' }], [])
    }),
  ),
  fc
    .boolean()
    .map((preemption) =>
      act(`preemption ${preemption}`, (cluster) => ask(cluster, { kind: 'set-cluster', settings: { preemption } })),
    ),
  fc.constant(act('restart the coordinator', restartCoordinator)),
  {
    weight: 5,
    arbitrary: fc.constantFrom(100, 1_000, 3_000, 20_000).map((ms) =>
      act(`${ms} ms pass`, (cluster) => {
        cluster.now += ms
        for (const name of NODES) heartbeat(cluster, name)
      }),
    ),
  },
  { weight: 2, arbitrary: fc.constant(act('half a second of work', (cluster) => run(cluster, 500))) },
)

/** `BERTH_TEST_RUNS` and `BERTH_TEST_SEED` run it longer, or again. */
const RUNS = Number(process.env.BERTH_TEST_RUNS ?? 300)
const SEED = process.env.BERTH_TEST_SEED === undefined ? undefined : Number(process.env.BERTH_TEST_SEED)
const TIMEOUT_MS = 60_000 + 100 * RUNS

test('whatever happens in whatever order, no rule is broken and deciding twice changes nothing', {
  timeout: TIMEOUT_MS,
}, () => {
  fc.assert(
    fc.property(fc.array(anyAct, { maxLength: 40 }), (acts) => {
      const cluster = aCluster(NODES, { inventory: { diskBytes: 100, generic: GENERIC } })
      for (const { act: does } of acts) {
        does(cluster)
        const decisions = beat(cluster)
        expectPlacedWell(cluster, decisions)
        holdRules(cluster, decisions)
      }
      heal(cluster)
      holdRules(cluster, [])
      expectWanted(cluster)
    }),
    { numRuns: RUNS, ...(SEED !== undefined && { seed: SEED }) },
  )
})

// ---------------------------------------------------------------- the rules

function holdRules(cluster: Cluster, decisions: readonly Decision[]): void {
  const { world } = cluster
  holdPreemptionRules(world, decisions)
  expectStoredAndIndexed(cluster)
  expectTallied(cluster)
  for (const name of world.nodes.keys()) {
    expectRoom(world, name)
    expectChangesAddUp(cluster, name)
  }
  for (const task of world.tasks.values())
    expect(world.services.has(task.service), `${task.id} has a service`).toBe(true)
  for (const found of world.services.values()) expectSlots(world, found.name)
}

/**
 * Each task that was placed passes every check with all others in their places. But for a neighbour that was told to stop
 * in the same beat, to make room: who came to be near it could not know.
 */
function expectPlacedWell({ world }: Cluster, decisions: Decision[]): void {
  const placements = decisions.filter((decision) => decision.kind === 'place-task')
  if (placements.length === 0) return
  const picture = pictureOf(world)
  const hasStopped = decisions.some(({ kind }) => kind === 'stop-task')
  for (const { task: id, node: name } of placements) {
    const task = world.tasks.get(id)!
    const service = world.services.get(task.service)!
    const version = service.versions.get(task.version)!
    const seen = without(picture.get(name)!, id, service.name, version)
    const request = requestOf(world, task)
    const refusal = refusalOf(request, seen)
    if (hasStopped && refusal?.figures.wants === 'near') continue
    expect(refusal, `${id} on ${name}`).toBe(null)
  }
}

/** No host port twice, no countable thing twice, and no more promised than there ever was. */
function expectRoom(world: World, name: string): void {
  const holding = [...(world.tasksByNode.get(name) ?? [])].filter((task) => !hasEnded(task.observed.state))
  const containers = holding.map(
    (task) => world.services.get(task.service)!.versions.get(task.version)!.spec.task.container,
  )
  const promised = containers.reduce((sum, { resources }) => sum + resources.reservation.cpuCores, 0)
  // What an operator takes back later stays promised to those who have it.
  const capacity = OVERCOMMIT_MAX * (world.nodes.get(name)!.inventory?.cpuCores ?? 0)
  expect(promised, `cores promised on ${name}`).toBeLessThanOrEqual(capacity + 1e-6)
  const gpus = containers.flatMap((container) => [...genericOn(genericNeed(container), GENERIC).values()])
  const gpusPromised = gpus.reduce((sum, count) => sum + count, 0)
  expect(gpusPromised, `GPUs promised on ${name}`).toBeLessThanOrEqual(GENERIC.gpu)
  const ports = containers.flatMap((container) => container.ports)
  for (const [index, port] of ports.entries()) {
    for (const other of ports.slice(index + 1)) expect(clash(port, other), `${name}: port twice`).toBe(false)
  }
}

/** At most two tasks of a slot want to run on nodes that are with us: one, and during a start-first replacement one more. */
function expectSlots(world: World, name: string): void {
  const bySlot = new Map<string, number>()
  for (const task of world.tasksByService.get(name) ?? []) {
    const isLost = task.node !== null && world.nodes.get(task.node)?.status.name === 'lost'
    if (task.desired === 'stopped' || isLost || hasEnded(task.observed.state)) continue
    const key = task.slot === 0 ? `0 ${task.node ?? task.onlyNode}` : `${task.slot}`
    bySlot.set(key, (bySlot.get(key) ?? 0) + 1)
  }
  for (const [slot, count] of bySlot) expect(count, `${name} slot ${slot}`).toBeLessThanOrEqual(2)
}

function expectStoredAndIndexed({ world, stored }: Cluster): void {
  const loaded = loadWorld(stored.values(), 'berth-test')
  expect(storedPart(loaded)).toBe(storedPart(world))
  const indexed = structuredClone(world)
  rebuildIndexes(indexed)
  for (const index of ['tasksByService', 'tasksByNode'] as const) {
    expect(idsOf(indexed[index])).toEqual(idsOf(world[index]))
  }
  expect([...indexed.tasksWaiting].map((task) => task.id).sort()).toEqual(
    [...world.tasksWaiting].map((task) => task.id).sort(),
  )
  expect([...indexed.servicesInMotion].sort()).toEqual([...world.servicesInMotion].sort())
}

/** And a status that asks the tally says what one does that looks at each task. */
function expectTallied({ world, now }: Cluster): void {
  expect(untrueTally(world)).toBe(null)
  const facts = { version: '', url: '', startedAt: 0, storeBytes: 0 }
  const { problems, ...asked } = viewStatus(world, facts, now)
  const { problems: walkedProblems, ...walked } = viewStatus({ ...world, tally: undefined }, facts, now)
  expect(asked).toEqual(walked)
  const sorted = (told: typeof problems) => told.map(({ message }) => message).sort()
  const figures = (of: World) => {
    const { nodes, ...all } = worldFigures(of, now)
    return {
      ...all,
      nodes: nodes.map((node) => ({ ...node, cpuCoresPromised: Math.round(node.cpuCoresPromised * 1e6) })),
    }
  }
  expect(figures(world)).toEqual(figures({ ...world, tally: undefined }))
  if (problems.length < 100) expect(sorted(problems)).toEqual(sorted(walkedProblems))
}

function idsOf(index: World['tasksByNode']): [string, string[]][] {
  return [...index].map(([key, tasks]): [string, string[]] => [key, [...tasks].map((task) => task.id).sort()]).sort()
}

function storedPart(world: World): string {
  const { cluster, revision, nextTaskNumber } = world
  return canonicalJson({
    ...{ cluster, revision, nextTaskNumber },
    nodes: [...world.nodes.values()]
      .map(
        ({
          name,
          keyFingerprint,
          availability,
          operatorLabels,
          agentLabels,
          inventory,
          taints,
          reserve,
          overcommit,
          status,
          assignmentRevision,
        }) => {
          const identity = { name, keyFingerprint, availability, operatorLabels, agentLabels }
          return { ...identity, inventory, taints, reserve, overcommit, status, assignmentRevision }
        },
      )
      .sort(byName),
    stacks: [...world.stacks.values()].sort(byName),
    services: [...world.services.values()]
      .map((found) => ({ ...found, versions: [...found.versions].sort(([a], [b]) => a - b), homes: [...found.homes] }))
      .sort(byName),
    tasks: [...world.tasks.values()]
      .map(({ observed: { attempt, state, health, containerId }, ...task }) => ({
        ...task,
        ...{ attempt, state, health, containerId },
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
  })
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1
}

/** What was sent before plus the change is the complete assignment, and what is kept of what was told says the same. */
const lastSent = new WeakMap<Cluster, Map<string, { content: AssignmentContent; told: Told }>>()
function expectChangesAddUp(cluster: Cluster, name: string): void {
  const sent = lastSent.get(cluster) ?? new Map<string, { content: AssignmentContent; told: Told }>()
  lastSent.set(cluster, sent)
  const now = assignmentOf(cluster.world, name)
  // A session lives as long as its connection.
  const { instance } = agentOf(cluster, name)
  if (instance === null) return
  const session = `${name} ${instance}`
  const last = sent.get(session)
  if (!last || last.content.revision > now.revision) {
    sent.set(session, { content: now, told: toldBy(now) })
    return
  }
  const { content: before, told } = last
  const change = changeFrom(told, cluster.world, name)
  sent.set(session, { content: now, told })
  expect(told).toEqual(toldBy(now))
  const tasks = new Map<string, unknown>(before.tasks.map((task) => [task.id, task]))
  for (const task of change?.put ?? []) tasks.set(task.id, task)
  for (const id of change?.remove ?? []) tasks.delete(id)
  expect([...tasks.values()]).toHaveLength(now.tasks.length)
  for (const task of now.tasks) expect(tasks.get(task.id)).toEqual(task)
  const specs = { ...before.specs, ...change?.specs }
  for (const task of now.tasks) expect(specs[task.spec]).toEqual(now.specs[task.spec])
}

// ---------------------------------------------------------------- healing

function heal(cluster: Cluster): void {
  for (const name of NODES) {
    disconnect(cluster, name)
    plugIn(cluster, name)
    ask(cluster, { kind: 'set-availability', node: name, availability: 'active' })
    for (const { key } of cluster.world.nodes.get(name)?.taints ?? []) {
      ask(cluster, { kind: 'taint-node', node: name, set: [], remove: [{ key }] })
    }
    ask(cluster, { kind: 'set-node', node: name, reserve: { cpuCores: 0 }, overcommit: { cpu: 1 } })
    ask(cluster, { kind: 'label-node', node: name, set: { zone: 'a', generation: '2' }, remove: [] })
  }
  run(cluster, 60_000, 1_000)
  const before = cluster.decided.length
  run(cluster, 60_000, 1_000)
  const preempted = cluster.decided.slice(before).filter((made) => made.kind === 'stop-task' && made.preempted)
  expect(preempted, 'once nothing else happens nobody is preempted any more').toEqual([])
}

/** Each service has what it wants, or a task that waits or has failed and says why. */
function expectWanted({ world, agents }: Cluster): void {
  for (const found of world.services.values()) {
    expect(found.removing, `${found.name} is gone`).toBe(false)
    if (found.release.state === 'held') continue
    const { mode } = found.versions.get(found.version)!.spec
    const tasks = [...(world.tasksByService.get(found.name) ?? [])]
    expect(
      tasks.every((task) => task.desired === 'running'),
      `${found.name}: nothing is left to stop`,
    ).toBe(true)
    for (const task of tasks) if (task.node === null) expect(task.waitsFor.length).toBeGreaterThan(0)
    const isPaused = found.rollout.state === 'paused'
    const hasWaiting = tasks.some((task) => task.node === null)
    if (isPaused || hasWaiting) continue
    const records = tasks.filter((task) => task.node !== null && !world.nodes.has(task.node)).length
    const wanted = mode.kind === 'global' ? world.nodes.size + records : mode.replicas
    expect(tasks.length, `${found.name}: as many as wanted`).toBe(wanted)
  }
  for (const agent of agents.values()) {
    const known = [...agent.containers.keys()].sort()
    const assigned = [...(world.tasksByNode.get(agent.name) ?? [])].map((task) => task.id).sort()
    expect(known, `${agent.name} runs what is assigned`).toEqual(assigned)
  }
}
