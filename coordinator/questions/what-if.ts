/** `berth what-if`: nodes lost or added, services scaled, all at the same time, on a fork of the world. */
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { admit } from '../decide/admit.ts'
import { attributeOf } from '../decide/checks/constraint.ts'
import { homeVolumeOf, wantedVersionOf } from '../decide/service-facts.ts'
import type { Change, NodeName, ServiceName, World, WorldValue } from '../world.ts'
import { differencesOf, tasksUp, type UnitChange } from './differences.ts'
import { type Forecast, type ForecastBounds, forecast } from './forecast.ts'
import { type AddedNode, joining, losing } from './lose.ts'

export type Supposition = {
  /** Names of nodes. */
  lose: readonly NodeName[]
  /** Each stands for the nodes that have the label with this value. */
  loseLabels: readonly { label: string; value: string }[]
  add: readonly (Omit<AddedNode, 'name'> & { count: number })[]
  scale: readonly { service: ServiceName; replicas: number }[]
}

export type WhatIf = {
  seen: Forecast
  lost: NodeName[]
  added: NodeName[]
  scaled: { service: ServiceName; from: number; to: number }[]
  /** What comes of it, without what is on its way anyhow. */
  changes: UnitChange[]
  /** Had tasks that were up, and has none at the end. */
  stopped: { service: ServiceName; volume: string | null; nodes: NodeName[] }[]
  /** Loses all its tasks at once, and has some again once they have started elsewhere. */
  interrupted: ServiceName[]
  /** Nobody is left: then the coordinator gives up no node and waits. */
  isNobodyLeft: boolean
}

const ADDED_MAX = 10_000

/** @throws BerthError `node-not-found`, `service-not-found`, `invalid-request`: nothing has been asked then. */
export function whatIf(
  world: World,
  supposed: Supposition,
  now: Instant,
  bounds: Partial<ForecastBounds> = {},
): WhatIf {
  const lost = lostNodes(world, supposed)
  const added = addedNodes(world, supposed)
  const scales = scalesOf(world, supposed)
  if (lost.length + added.length + scales.length === 0) {
    throw new BerthError(
      'invalid-request',
      'say what should be supposed: a node to lose or to add, or a service to scale',
    )
  }
  const values = [
    ...added.flatMap((node) => joining(node, now)),
    ...losing(world, lost, now),
    ...scales.map(({ change }): WorldValue => ({ at: now, change })),
  ]
  const seen = forecast(world, values, now, bounds)
  const changes = withoutCourse(world, differencesOf(world, seen), now, bounds)
  return {
    seen,
    lost,
    added: added.map(({ name }) => name),
    scaled: scales.map(({ service, from, to }) => ({ service, from, to })),
    changes,
    ...outagesOf(world, seen.world, lost),
    isNobodyLeft: lost.length > 0 && ![...seen.world.nodes.values()].some(({ status }) => status.name === 'ready'),
  }
}

/** What would come about without any supposition is taken out: rollouts that are under way. */
export function withoutCourse(
  world: World,
  changes: UnitChange[],
  now: Instant,
  bounds: Partial<ForecastBounds>,
): UnitChange[] {
  if (!changes.some(({ service }) => world.servicesInMotion.has(service))) return changes
  const anyhow = new Set(differencesOf(world, forecast(world, [], now, bounds)).map(keyOf))
  return changes.filter((change) => !anyhow.has(keyOf(change)))
}

function keyOf({ service, slot, kind, from, to }: UnitChange): string {
  return [service, slot, kind, from, to].join(' ')
}

// ---------------------------------------------------------------- what is supposed

function lostNodes(world: World, { lose, loseLabels }: Supposition): NodeName[] {
  const lost = new Set<NodeName>()
  for (const name of lose) {
    const node = world.nodes.get(name)
    if (!node) throw noNode(world, name)
    if (node.status.name === 'lost') {
      throw new BerthError('invalid-request', `${name} is lost already; berth status shows what that has led to`, {
        details: { node: name },
      })
    }
    lost.add(name)
  }
  for (const { label, value } of loseLabels) {
    const having = [...world.nodes.values()].filter((node) => attributeOf(node, `node.labels.${label}`) === value)
    if (having.length === 0) throw noLabel(world, label, value)
    for (const { name, status } of having) if (status.name !== 'lost') lost.add(name)
  }
  return [...lost].sort()
}

function addedNodes(world: World, { add }: Supposition): AddedNode[] {
  const added: AddedNode[] = []
  for (const { count, ...node } of add) {
    if (added.length + count > ADDED_MAX) {
      throw new BerthError('invalid-request', `at most ${ADDED_MAX} nodes can be supposed to be added`)
    }
    for (let made = 0; made < count; made += 1) {
      let number = added.length + 1
      while (world.nodes.has(`new-${number}`)) number += ADDED_MAX
      added.push({ ...node, name: `new-${number}` })
    }
  }
  return added
}

type Scale = { service: ServiceName; from: number; to: number; change: Change }

function scalesOf(world: World, { scale }: Supposition): Scale[] {
  const scales = new Map<ServiceName, Scale>()
  for (const { service, replicas } of scale) {
    const change: Change = { kind: 'scale-service', service, replicas }
    const verdict = admit(world, change)
    if (!verdict.ok) throw new BerthError(verdict.code, verdict.message, { details: verdict.details })
    const known = scales.get(service)
    if (known && known.to !== replicas) {
      const message = `${service} cannot be scaled to ${known.to} and to ${replicas} at the same time; give one of them`
      throw new BerthError('invalid-request', message, { details: { service } })
    }
    const { mode } = wantedVersionOf(world.services.get(service)!).spec
    scales.set(service, { service, from: mode.kind === 'replicated' ? mode.replicas : 0, to: replicas, change })
  }
  return [...scales.values()]
}

function noNode(world: World, name: string): BerthError {
  const all = [...world.nodes.keys()].sort()
  const known = all.length === 0 ? 'no node has joined yet' : `nodes are ${firstOf(all)}`
  return new BerthError('node-not-found', `there is no node ${name}; ${known}`, { details: { node: name } })
}

function noLabel(world: World, label: string, value: string): BerthError {
  const values = new Set<string>()
  for (const node of world.nodes.values()) {
    const has = attributeOf(node, `node.labels.${label}`)
    if (has !== null) values.add(has)
  }
  const known =
    values.size === 0 ? `no node has a label ${label}` : `nodes have ${label} ${firstOf([...values].sort())}`
  return new BerthError('invalid-request', `no node has the label ${label}=${value}; ${known}`, {
    details: { label, value },
  })
}

const NAMES_SHOWN = 5

function firstOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ')
  return names.length > NAMES_SHOWN ? `${shown}, and ${names.length - NAMES_SHOWN} more` : shown
}

// ---------------------------------------------------------------- services without a task

function outagesOf(world: World, after: World, lost: readonly NodeName[]): Pick<WhatIf, 'stopped' | 'interrupted'> {
  const stopped: WhatIf['stopped'] = []
  const interrupted: ServiceName[] = []
  const isLost = new Set(lost)
  const names = new Set(lost.flatMap((name) => [...(world.tasksByNode.get(name) ?? [])].map(({ service }) => service)))
  for (const name of [...names].sort()) {
    const had = tasksUp(world, name)
    if (had.length === 0 || !had.every(({ node }) => isLost.has(node ?? ''))) continue
    if (tasksUp(after, name).length > 0) interrupted.push(name)
    else {
      const nodes = [...new Set(had.map(({ node }) => node ?? ''))].sort()
      stopped.push({ service: name, volume: volumeOf(world, name, isLost), nodes })
    }
  }
  return { stopped, interrupted }
}

/** Its data lives on a lost node. */
function volumeOf(world: World, name: ServiceName, isLost: ReadonlySet<NodeName>): string | null {
  const service = world.services.get(name)
  if (!service || ![...service.homes.values()].some((home) => isLost.has(home))) return null
  return homeVolumeOf(wantedVersionOf(service).spec)
}
