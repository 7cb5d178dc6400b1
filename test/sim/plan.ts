/** What users and fate do in one run, and when: drawn from the seed before it begins, so that it can be printed and cut down. */
import type { Change } from '../../coordinator/world.ts'
import { aPort, aStackSpec, GiB, type ServiceSpecGiven } from '../build/spec.ts'
import type { Chance } from './chance.ts'
import type { Direction } from './network.ts'
import { IMAGES } from './workload.ts'

/** `forMs`: a fault that lasts. `after`: the process is killed when it is about to do so many more things outside. */
export type Deed =
  | { kind: 'change'; change: Change }
  /** An operator removes the node and lets its host join again. */
  | { kind: 'rejoin'; node: string }
  /** `first`: where to begin among the tasks and nodes that there are then. */
  | { kind: 'rebalance'; first: number; count: number; atOnce: number }
  | { kind: 'undo-rebalance'; atOnce: number }
  | { kind: 'by-hand'; node: string; act: 'kill' | 'remove' | 'start'; which: number }
  | { kind: 'kill-agent'; node: string; after: number }
  | { kind: 'stop-agent'; node: string }
  | { kind: 'stall-agent'; node: string; forMs: number }
  | { kind: 'kill-coordinator'; after: number }
  | { kind: 'stop-coordinator' }
  | { kind: 'stall-coordinator'; forMs: number }
  | { kind: 'crash-engine'; node: string; forMs: number }
  | { kind: 'hang-engine'; node: string; forMs: number }
  | { kind: 'failing-engine'; node: string; forMs: number; acts: number; looks: number }
  | { kind: 'slow-engine'; node: string; forMs: number }
  | { kind: 'drop-events'; node: string }
  | { kind: 'power-cut'; node: string; forMs: number }
  | { kind: 'wipe'; node: string }
  | { kind: 'partition'; nodes: string[]; directions: Direction[]; forMs: number }
  | { kind: 'reset'; node: string }
  | { kind: 'slow-network'; forMs: number }
  | { kind: 'set-clock'; who: string; byMs: number }
  | { kind: 'full-store'; forMs: number }
  | { kind: 'full-disk'; node: string; forMs: number }
  | { kind: 'no-registry'; node: string; forMs: number }

export type Item = { atMs: number; deed: Deed }

export type Plan = {
  nodes: string[]
  cpuCores: number
  /** Users and faults act until then; afterwards everything is healed. */
  forMs: number
  items: Item[]
}

export const STACKS = ['s', 't']
export const SERVICES = ['a', 'b', 'c']
const SECOND = 1_000

export type PlanGiven = { nodes?: number; forMs?: number; pauseMs?: number }

export function planFrom(chance: Chance, given: PlanGiven = {}): Plan {
  const nodes = Array.from({ length: given.nodes ?? chance.whole(1, 6) }, (_, index) => `n${index + 1}`)
  const forMs = given.forMs ?? chance.skewed(30, 300) * SECOND
  const pauseMs = given.pauseMs ?? chance.skewed(400, 15_000)
  const kinds = chosenKinds(chance)
  const items: Item[] = [{ atMs: 500, deed: { kind: 'change', change: deploy(chance) } }]
  for (let atMs = chance.between(0, 5_000); atMs < forMs; atMs += pauseMs * -Math.log(1 - chance.next())) {
    const kind = weighted(kinds, chance)
    items.push({ atMs, deed: MAKE[kind](nodes, chance) })
  }
  return { nodes, cpuCores: chance.oneOf([2, 4, 8]), forMs, items }
}

/** Swarm: each run has some kinds of deeds, often, rather than all of them, seldom. */
function chosenKinds(chance: Chance): [Deed['kind'], number][] {
  const all = Object.keys(MAKE) as Deed['kind'][]
  const faults = all.filter((kind) => kind !== 'change')
  const share = chance.next()
  const chosen = faults
    .filter(() => chance.happens(share))
    .map((kind): [Deed['kind'], number] => [kind, chance.between(0.2, 1)])
  const sum = chosen.reduce((total, [, weight]) => total + weight, 0)
  return [['change', Math.max(0.5, sum * chance.between(0.3, 1.5))], ...chosen]
}

function weighted(kinds: [Deed['kind'], number][], chance: Chance): Deed['kind'] {
  const sum = kinds.reduce((total, [, weight]) => total + weight, 0)
  let left = chance.next() * sum
  for (const [kind, weight] of kinds) {
    left -= weight
    if (left <= 0) return kind
  }
  return kinds[0]![0]
}

type Make = (nodes: string[], chance: Chance) => Deed
const lasting = (chance: Chance, minS: number, maxS: number) => Math.round(chance.skewed(minS, maxS) * SECOND)
/** Most processes are killed right in the middle of something. */
const soon = (chance: Chance) => (chance.happens(0.3) ? 0 : chance.whole(1, 40))

const MAKE: Record<Deed['kind'], Make> = {
  change: (nodes, chance) => ({ kind: 'change', change: anyChange(nodes, chance) }),
  rebalance: (_nodes, chance) => ({
    kind: 'rebalance',
    first: chance.whole(0, 99),
    count: chance.whole(1, 6),
    atOnce: chance.whole(1, 4),
  }),
  'undo-rebalance': (_nodes, chance) => ({ kind: 'undo-rebalance', atOnce: chance.whole(1, 4) }),
  rejoin: (nodes, chance) => ({ kind: 'rejoin', node: chance.oneOf(nodes) }),
  'by-hand': (nodes, chance) => ({
    kind: 'by-hand',
    node: chance.oneOf(nodes),
    act: chance.oneOf(['kill', 'remove', 'start']),
    which: chance.whole(0, 20),
  }),
  'kill-agent': (nodes, chance) => ({ kind: 'kill-agent', node: chance.oneOf(nodes), after: soon(chance) }),
  'stop-agent': (nodes, chance) => ({ kind: 'stop-agent', node: chance.oneOf(nodes) }),
  'stall-agent': (nodes, chance) => ({
    kind: 'stall-agent',
    node: chance.oneOf(nodes),
    forMs: lasting(chance, 0.3, 40),
  }),
  'kill-coordinator': (_nodes, chance) => ({ kind: 'kill-coordinator', after: soon(chance) }),
  'stop-coordinator': () => ({ kind: 'stop-coordinator' }),
  'stall-coordinator': (_nodes, chance) => ({ kind: 'stall-coordinator', forMs: lasting(chance, 0.3, 40) }),
  'crash-engine': (nodes, chance) => ({
    kind: 'crash-engine',
    node: chance.oneOf(nodes),
    forMs: lasting(chance, 0.5, 60),
  }),
  'hang-engine': (nodes, chance) => ({
    kind: 'hang-engine',
    node: chance.oneOf(nodes),
    forMs: lasting(chance, 1, 150),
  }),
  'failing-engine': (nodes, chance) => ({
    kind: 'failing-engine',
    node: chance.oneOf(nodes),
    forMs: lasting(chance, 2, 60),
    acts: chance.oneOf([0.1, 0.5, 1]),
    looks: chance.oneOf([0, 0, 0.2]),
  }),
  'slow-engine': (nodes, chance) => ({ kind: 'slow-engine', node: chance.oneOf(nodes), forMs: lasting(chance, 5, 60) }),
  'drop-events': (nodes, chance) => ({ kind: 'drop-events', node: chance.oneOf(nodes) }),
  'power-cut': (nodes, chance) => ({ kind: 'power-cut', node: chance.oneOf(nodes), forMs: lasting(chance, 1, 90) }),
  wipe: (nodes, chance) => ({ kind: 'wipe', node: chance.oneOf(nodes) }),
  partition: (nodes, chance) => ({
    kind: 'partition',
    nodes: chance.happens(0.2)
      ? nodes
      : chance.happens(0.3)
        ? nodes.filter(() => chance.happens(0.5))
        : [chance.oneOf(nodes)],
    directions: chance.oneOf<Direction[]>([['up', 'down'], ['up', 'down'], ['up'], ['down']]),
    forMs: lasting(chance, 0.5, 90),
  }),
  reset: (nodes, chance) => ({ kind: 'reset', node: chance.oneOf(nodes) }),
  'slow-network': (_nodes, chance) => ({ kind: 'slow-network', forMs: lasting(chance, 5, 60) }),
  'set-clock': (nodes, chance) => ({
    kind: 'set-clock',
    who: chance.oneOf(['coordinator', ...nodes]),
    byMs: Math.round(chance.oneOf([-1, 1]) * chance.skewed(100, 3 * 3_600_000)),
  }),
  'full-store': (_nodes, chance) => ({ kind: 'full-store', forMs: lasting(chance, 0.5, 40) }),
  'full-disk': (nodes, chance) => ({ kind: 'full-disk', node: chance.oneOf(nodes), forMs: lasting(chance, 1, 60) }),
  'no-registry': (nodes, chance) => ({ kind: 'no-registry', node: chance.oneOf(nodes), forMs: lasting(chance, 5, 90) }),
}

// ---------------------------------------------------------------- what users ask for

function anyChange(nodes: string[], chance: Chance): Change {
  const service = `${chance.oneOf(STACKS)}_${chance.oneOf(SERVICES)}`
  const node = chance.oneOf(nodes)
  const kind = chance.whole(1, 20)
  if (kind <= 8) return deploy(chance)
  if (kind <= 12) return { kind: 'scale-service', service, replicas: chance.whole(0, 6) }
  if (kind <= 13) return { kind: 'rollback-service', service }
  if (kind <= 14) return { kind: 'remove-stack', stack: chance.oneOf(STACKS) }
  if (kind <= 18) {
    return { kind: 'set-availability', node, availability: chance.happens(0.5) ? 'drain' : 'active' }
  }
  return { kind: 'label-node', node, set: { zone: chance.oneOf(['a', 'b']) }, remove: [] }
}

function deploy(chance: Chance): Change {
  const services: Record<string, ServiceSpecGiven> = {}
  for (const name of SERVICES) if (chance.happens(0.5)) services[name] = aServiceGiven(chance)
  services[chance.oneOf(SERVICES)] = aServiceGiven(chance)
  if (services.a && services.b && chance.happens(0.25)) {
    const condition = chance.oneOf(['service_started', 'service_healthy'] as const)
    services.a.dependsOn = { b: { condition, required: true, restart: chance.happens(0.3) } }
  }
  return { kind: 'deploy-stack', spec: aStackSpec(chance.oneOf(STACKS), services), prune: chance.happens(0.3) }
}

function aServiceGiven(chance: Chance): ServiceSpecGiven {
  const update = () => ({
    order: chance.oneOf(['stop-first', 'start-first'] as const),
    parallelism: chance.whole(0, 3),
    delayMs: chance.oneOf([0, 0, 1_500]),
    failureAction: chance.oneOf(['pause', 'continue', 'rollback'] as const),
    maxFailureRatio: chance.oneOf([0, 0.5]),
  })
  return {
    image: chance.happens(0.7) ? chance.oneOf(IMAGES.slice(0, 4)) : chance.oneOf(IMAGES),
    replicas: chance.whole(0, 5),
    global: chance.happens(0.15),
    cpuCores: chance.oneOf([0, 0.5, 1.5]),
    memoryBytes: chance.oneOf([0, 0, GiB]),
    ports: chance.oneOf([
      [],
      [],
      [aPort(8080)],
      [aPort(8080, { hostIp: '10.0.0.1' })],
      [aPort(53, { protocol: 'udp' as const })],
    ]),
    volumes: chance.happens(0.2) ? ['data'] : [],
    container: { stopGraceMs: chance.oneOf([0, 1_000, 10_000]) },
    restart: { condition: chance.oneOf(['any', 'any', 'on-failure', 'none']), delayMs: chance.oneOf([0, 100, 2_000]) },
    placement: chance.oneOf([{}, {}, { maxPerNode: 1 }, { spreadOver: ['node.labels.zone'] }]),
    update: update(),
    rollback: update(),
  }
}

// ---------------------------------------------------------------- in words

export function printDeed(deed: Deed): string {
  const { kind, ...rest } = deed
  if (deed.kind === 'change') return printChange(deed.change)
  const words = Object.entries(rest).map(([name, value]) => `${name} ${Array.isArray(value) ? value.join('+') : value}`)
  return `${kind} ${words.join(', ')}`
}

export function printChange(change: Change): string {
  if (change.kind !== 'deploy-stack') return JSON.stringify(change)
  const services = Object.entries(change.spec.services).map(([name, { task, mode, update }]) => {
    const { image, ports, mounts, resources } = task.container
    const count = mode.kind === 'global' ? 'global' : `× ${mode.replicas}`
    const port = ports.length > 0 ? ` :${ports.map(({ hostPort }) => hostPort).join(',')}` : ''
    const volume = mounts.length > 0 ? ' with data' : ''
    return `${name} ${image} ${count}${port}${volume} ${resources.reservation.cpuCores} cores ${update.order}`
  })
  return `deploy ${change.spec.name}${change.prune ? ' (prune)' : ''}: ${services.join('; ')}`
}
