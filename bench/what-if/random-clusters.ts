/**
 * Small random clusters in which nodes are lost: what was foreseen beside what then came about. The second is not the forecast's
 * code run twice: nodes fall silent and are found out by the liveness detector, one after the other; agents take their assignments
 * and speak at random moments, in random order; heartbeats go missing. All of it from one seed.
 */
import { admit } from '../../coordinator/decide/admit.ts'
import { whatIf } from '../../coordinator/questions/what-if.ts'
import type { Change, World } from '../../coordinator/world.ts'
import { chanceFrom, oneOf } from '../../test/build/chance.ts'
import {
  aCluster,
  agentOf,
  answerPing,
  beat,
  type Cluster,
  change,
  heartbeat,
  unplug,
  work,
} from '../../test/build/cluster.ts'
import { aPort, aStackSpec, type ServiceSpecGiven } from '../../test/build/spec.ts'

/** Names of units, as `s_web.3`, and of services; with `moved` also where to. */
type Sets = { unplaced: string[]; stopped: string[]; moved: string[]; places: string[] }
export type Trial = { foreseen: Sets; happened: Sets; lost: number; nodes: number }

export function trial(seed: number): Trial {
  const chance = chanceFrom(seed)
  const names = Array.from({ length: 3 + Math.floor(chance() * 6) }, (_, index) => `n${index + 1}`)
  const cluster = aCluster(names, { cpuCores: 2 + Math.floor(chance() * 7) })
  const asked: Change = { kind: 'deploy-stack', spec: aStackSpec('s', randomServices(chance)), prune: true }
  if (admit(cluster.world, asked).ok) change(cluster, asked)
  pass(cluster, 30_000, chance)
  const before = placesOf(cluster.world)
  const lost = someOf(names, 1 + Math.floor(chance() * Math.max(1, names.length / 3)), chance)
  const supposed = { lose: lost, loseLabels: [], add: [], scale: [] }
  const { seen, stopped } = whatIf(cluster.world, supposed, cluster.now)
  const foreseen = setsOf(before, placesOf(seen.world), stopped.map(({ service }) => service).sort())
  for (const name of lost) unplug(cluster, name)
  pass(cluster, 60_000, chance)
  const after = placesOf(cluster.world)
  const had = servicesIn(before)
  const left = servicesIn(after)
  const happened = setsOf(before, after, [...had].filter((service) => !left.has(service)).sort())
  return { foreseen, happened, lost: lost.length, nodes: names.length }
}

function randomServices(chance: () => number): Record<string, ServiceSpecGiven> {
  const services: Record<string, ServiceSpecGiven> = {}
  const count = 2 + Math.floor(chance() * 5)
  for (let index = 0; index < count; index += 1) {
    services[`s${index}`] = {
      replicas: 1 + Math.floor(chance() * 5),
      cpuCores: oneOf([0, 0.25, 0.5, 1, 1.5], chance),
      ports: oneOf([[], [], [], [aPort(8000 + Math.floor(chance() * 2))]], chance),
      volumes: oneOf([[], [], [], ['data']], chance),
      global: chance() < 0.1,
      placement: oneOf([{}, {}, { maxPerNode: 2 }, { policy: 'binpack' as const }], chance),
    }
  }
  return services
}

function someOf(names: readonly string[], count: number, chance: () => number): string[] {
  const left = [...names]
  return Array.from({ length: count }, () => left.splice(Math.floor(chance() * left.length), 1)[0]!)
}

const STEP_MS = 200

/** Every agent beats about once a second, now and then one is missing; it looks at its assignment and speaks when it likes. */
function pass(cluster: Cluster, forMs: number, chance: () => number): void {
  const until = cluster.now + forMs
  const nextBeatAt = new Map<string, number>()
  while (cluster.now < until) {
    cluster.now += STEP_MS
    for (const name of someOf([...cluster.agents.keys()], cluster.agents.size, chance)) {
      if (cluster.now >= (nextBeatAt.get(name) ?? 0)) {
        nextBeatAt.set(name, cluster.now + 800 + chance() * 400)
        if (chance() > 0.01) heartbeat(cluster, name)
      }
      answerPing(cluster, name)
      if (chance() < 0.4 && agentOf(cluster, name).isPlugged) work(cluster, name)
    }
    if (chance() < 0.7) beat(cluster)
  }
}

/** By unit, the node on which its task runs, read from the tasks alone. Global services are bound to their nodes and left out. */
function placesOf(world: World): Map<string, string> {
  const places = new Map<string, string>()
  for (const { service, slot, node, desired, observed } of world.tasks.values()) {
    const isThere = node !== null && world.nodes.get(node)?.status.name === 'ready'
    if (slot > 0 && desired === 'running' && observed.state === 'running' && isThere)
      places.set(`${service}.${slot}`, node)
  }
  return places
}

function servicesIn(places: ReadonlyMap<string, string>): Set<string> {
  return new Set([...places.keys()].map((unit) => unit.slice(0, unit.lastIndexOf('.'))))
}

function setsOf(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>, stopped: string[]): Sets {
  const units = [...before.keys()].sort()
  const moved = units.filter((unit) => after.has(unit) && after.get(unit) !== before.get(unit))
  return {
    unplaced: units.filter((unit) => !after.has(unit)),
    stopped: stopped.filter((service) => servicesIn(before).has(service)),
    moved,
    places: moved.map((unit) => `${unit} ${after.get(unit)}`),
  }
}
