/**
 * A node that keeps failing tasks of a service: they end soon after their start there, do not come to run, or become unhealthy, many
 * times in a row, and it looks as if the node were to blame rather than the image. Such a node is given up for that version: what
 * fails there is placed elsewhere (units.ts), and for a while the version gets nothing there (checks/failing.ts).
 *
 * Who is to blame is judged by the tasks of the same version. Where one does well on the node, it is not the node. Where one does well
 * on another node, it is. Where none does well anywhere: a version that fails on two nodes at once is not helped by a third; one that
 * is on this node only, and never did well there, gets the benefit of the doubt, after more failures.
 *
 * So that what fails everywhere does not wander for ever, only so many nodes are given up in a row; a task that does well on a node that
 * was not given up begins the count anew. So does the next version. Rollouts have a rule of their own (rollout.ts): nothing moves
 * while one version replaces another.
 */
import type { Instant } from '../../shared/clock.ts'
import { canonicalJson } from '../../shared/spec.ts'
import { hasEnded, WRONG_PLATFORM } from '../../shared/task-state.ts'
import type { Failing, FailingNode, Node, NodeName, Service, ServiceVersion, Task } from '../world.ts'
import { type Beat, wakeBy } from './beat.ts'
import { isInviting } from './checks/all.ts'
import { emptyPicture } from './picture.ts'
import { hashOf, hasNamedVolume, targetVersionOf } from './service-facts.ts'
import { hasCompleted, isUp, troubleOf } from './task-facts.ts'

/** In a row, where another task of the version does well elsewhere. */
export const FAILURES_MIN = 3
/** In a row, where nothing else tells whether it is the node. */
export const FAILURES_ALONE_MIN = 5
/** One that was up here for longer did well here once: that it fails now says nothing of the node. */
const EARLY_MS = 5 * 60_000
/** Up for so long (or its restart policy's window, when that is longer) a task does well: its end would be the first in a row again. */
const WELL_MS = 10_000
/** A node that was given up is not tried again before. */
export const GIVEN_UP_MS = 10 * 60_000
/** Nodes given up in a row, without a task doing well after it. */
export const GIVEN_UP_MAX = 3

type Judged = Pick<Beat, 'world' | 'now' | 'statuses'>

/** The service with what fails its versions as of now; what is new in that is decided. */
export function judgeFailing(beat: Beat, service: Service, tasks: readonly Task[]): Service {
  const target = targetVersionOf(service)
  const versions = new Map(service.versions)
  let isChanged = false
  for (const version of service.versions.values()) {
    const before = version.failing
    // Nearly always nothing fails: then nothing is walked twice.
    if (before === undefined && (version !== target || !tasks.some(isFailing))) continue
    const own = tasks.filter((task) => isOf(service, version, task))
    const kept = before ? stillFailing(beat, service, version, before, own) : null
    const failing = version === target && mayMove(service) ? withNew(beat, service, version, kept, own) : kept
    for (const { until } of failing?.nodes ?? []) wakeBy(beat, until)
    if (canonicalJson(failing ?? null) === canonicalJson(before ?? null)) continue
    beat.decisions.push({ kind: 'set-failing', service: service.name, version: version.version, failing })
    versions.set(version.version, withFailing(version, failing))
    isChanged = true
  }
  return isChanged ? { ...service, versions } : service
}

/** Services of which a node may be tried again by now; asks to be woken when the next one may. */
export function failingDue(beat: Beat): string[] {
  const due: string[] = []
  for (const name of beat.world.servicesFailing) {
    const versions = beat.world.services.get(name)?.versions.values() ?? []
    const untils = [...versions].flatMap(({ failing }) => failing?.nodes.map(({ until }) => until) ?? [])
    const first = Math.min(...untils)
    if (first <= beat.now) due.push(name)
    else wakeBy(beat, first)
  }
  return due
}

/** Whether its node was given up because of what it, or its like, met with there. One that has not failed there yet may stay. */
export function isFailedByNode({ failing }: ServiceVersion, { node, observed }: Task): boolean {
  if (failing === undefined || (observed.failures ?? 0) === 0) return false
  return failing.nodes.some((given) => given.node === node)
}

/** Why a task that fails is not tried on another node, in words; null: it does not fail, or goes elsewhere. */
export function whyItStays(judged: Judged, service: Service, task: Task): string | null {
  const version = targetVersionOf(service)
  if (!version || !isOf(service, version, task) || isFailedByNode(version, task)) return null
  if (!isFailing(task) || isUp(task) || hasEnded(task.observed.state)) return null
  if (!mayMove(service)) {
    return version.spec.mode.kind === 'global'
      ? null
      : 'while a rollout is under way or paused nothing is moved for failing'
  }
  if (!isCandidate(judged, service, version, task)) return null
  const own = [...(judged.world.tasksByService.get(service.name) ?? [])].filter((each) => isOf(service, version, each))
  const verdict = judge(judged, service, version, version.failing ?? null, standingOf(own), task)
  return 'stays' in verdict ? verdict.stays : null
}

/** Why what fails of the service is tried on no further node, for as long as some of it fails; null: nothing does, or it goes elsewhere. */
export function whyNowhereElse({ world, now }: Pick<Beat, 'world' | 'now'>, service: Service): string | null {
  const why = targetVersionOf(service)?.failing?.stays
  if (why === undefined) return null
  // Between two failures it may be up for a moment.
  const fails = (task: Task) => task.desired === 'running' && isFailing(task) && upSince(task) > now - WELL_MS
  return world.tasksByService.get(service.name)?.values().some(fails) ? why : null
}

// ---------------------------------------------------------------- what was so before

function isOf(service: Service, version: ServiceVersion, task: Task): boolean {
  return task.desired === 'running' && hashOf(service, task) === version.taskHash
}

function withFailing({ failing: _, ...version }: ServiceVersion, failing: Failing | null): ServiceVersion {
  return failing ? { ...version, failing } : version
}

/** Null: nothing is left of it. What fails everywhere keeps its count, so that it does not begin to wander anew. */
function stillFailing(
  beat: Beat,
  service: Service,
  version: ServiceVersion,
  before: Failing,
  tasks: readonly Task[],
): Failing | null {
  const current = before.nodes.filter(({ node, until }) => until > beat.now && beat.world.nodes.has(node))
  // Where nobody is left to stand in for them, they are better than nothing.
  const nodes = current.length > 0 && hasOther(beat, service, version, current) ? current : []
  if (nodes.length === 0 && tasks.every(({ observed }) => !observed.failures)) return null
  return { ...before, nodes }
}

// ---------------------------------------------------------------- what is new

/** Not between two versions, nor for what has a node of its own. A first version has nothing to replace. */
function mayMove(service: Service): boolean {
  const { rollout, release, versions, version } = service
  const spec = versions.get(version)?.spec
  if (release.state === 'held' || spec?.mode.kind !== 'replicated' || spec.task.restart.condition === 'none')
    return false
  if (rollout.state === 'rolling' || rollout.state === 'paused') return rollout.from === null
  return rollout.state !== 'rolling-back'
}

function withNew(
  beat: Beat,
  service: Service,
  version: ServiceVersion,
  before: Failing | null,
  tasks: readonly Task[],
): Failing | null {
  const standing = standingOf(tasks)
  let failing = before
  // What may begin the count anew; after the next node is given up nothing has been placed yet.
  let latest = before ? longestUpSince(tasks, before.at) : null
  for (const task of mostFailed(tasks.filter((each) => isCandidate(beat, service, version, each)))) {
    if (failing?.nodes.some(({ node }) => node === task.node)) continue
    const isProven = latest !== null && upSince(latest) <= wellSince(version, task)
    if (failing && isProven) failing = { nodes: failing.nodes, inARow: 0, at: failing.at }
    const verdict = judge(beat, service, version, failing, standing, task)
    if ('giveUp' in verdict) {
      const nodes = [...(failing?.nodes ?? []), verdict.giveUp]
      failing = { nodes, inARow: (failing?.inARow ?? 0) + 1, at: beat.now }
      latest = null
    } else if (verdict.isWorthAWord && failing) {
      // Nothing more is given up in this row: the others stay for the same reason.
      return { ...failing, stays: verdict.stays }
    }
  }
  return failing
}

/** Of the tasks placed since then the one that is up for longest. */
function longestUpSince(tasks: readonly Task[], at: Instant): Task | null {
  const placed = tasks.filter((task) => task.placedAt >= at && isUp(task))
  return placed.reduce<Task | null>((longest, task) => (longest && byTimeUp(longest, task) < 0 ? longest : task), null)
}

/** Of each node the one that failed most often; the order does not hang on an order of reading. */
function mostFailed(tasks: readonly Task[]): Task[] {
  const byNode = new Map<NodeName, Task>()
  for (const task of tasks) {
    const most = byNode.get(task.node ?? '')
    if (!most || byFailures(task, most) < 0) byNode.set(task.node ?? '', task)
  }
  return [...byNode.values()].sort(byFailures)
}

function byFailures(a: Task, b: Task): number {
  return (b.observed.failures ?? 0) - (a.observed.failures ?? 0) || (a.id < b.id ? -1 : 1)
}

function isFailing({ observed }: Task): boolean {
  return (observed.failures ?? 0) >= FAILURES_MIN
}

/** It fails now, nothing else moves it, and nothing keeps it. */
function isCandidate({ world, statuses }: Judged, service: Service, { spec }: ServiceVersion, task: Task): boolean {
  const { state, error } = task.observed
  if (task.node === null || task.moveTo !== undefined || !isFailing(task)) return false
  if (hasEnded(state) || isUp(task) || error?.code === WRONG_PLATFORM) return false
  if (hasNamedVolume(spec) && service.homes.get(task.slot) === task.node) return false
  const node = world.nodes.get(task.node)
  return node?.availability === 'active' && (statuses.get(task.node) ?? node.status).name !== 'lost'
}

/** `isWorthAWord`: nodes were given up before, and now none is. */
type Verdict = { giveUp: FailingNode } | { stays: string; isWorthAWord: boolean }

function judge(
  judged: Judged,
  service: Service,
  version: ServiceVersion,
  failing: Failing | null,
  standing: Standing,
  task: Task,
): Verdict {
  const { failures = 0 } = task.observed
  const node = task.node ?? ''
  const isOther = () => hasOther(judged, service, version, [...(failing?.nodes ?? []), { node }])
  const noOther = failing ? 'no node is left that was not tried' : 'no other node may take it'
  const since = wellSince(version, task)
  const here = standing.longestUp.get(node)
  if (here && upSince(here) <= since) return stays(`${here.id} does well on ${node}, so it is not the node`)
  const isWellElsewhere = standing.nodesUp.slice(0, 2).some((other) => other.node !== node && upSince(other) <= since)
  if (!isWellElsewhere) {
    const elsewhere = standing.nodesFailing.find((other) => other !== node)
    if (elsewhere) return stays(`its like fails on ${elsewhere} as well, and does well nowhere`)
    if (!isEarly(task)) return stays(`it did well on ${node} before, and none of its like does well elsewhere`)
    if (task.observed.error?.code === 'image-not-found') return stays('its image is nowhere, as far as can be told')
    if (failures < FAILURES_ALONE_MIN) {
      const soon = `it failed ${failures} times in a row; after ${FAILURES_ALONE_MIN} it is tried on another node`
      return stays(isOther() ? soon : noOther)
    }
  }
  const inARow = failing?.inARow ?? 0
  if (inARow >= GIVEN_UP_MAX) return stays(`it was tried on ${inARow + 1} nodes, and did well on none`, true)
  if (!isOther()) return stays(noOther, failing !== null)
  const why = troubleOf(task)?.why ?? 'it does not come to run'
  return { giveUp: { node, at: judged.now, until: judged.now + GIVEN_UP_MS, task: task.id, failures, why } }
}

function stays(why: string, isWorthAWord = false): Verdict {
  return { stays: why, isWorthAWord }
}

function isEarly({ firstUpAt, observed }: Task): boolean {
  return firstUpAt === null || observed.since - firstUpAt < EARLY_MS
}

/** How the tasks of a version stand, by node. */
type Standing = {
  /** Of the tasks there the one that is up for longest. */
  longestUp: Map<NodeName, Task>
  /** The same, longest first. */
  nodesUp: Task[]
  /** Up to two nodes on which some have failed in their last run. */
  nodesFailing: NodeName[]
}

function standingOf(tasks: readonly Task[]): Standing {
  const longestUp = new Map<NodeName, Task>()
  const nodesFailing: NodeName[] = []
  for (const task of tasks) {
    const { node, observed } = task
    if (node === null) continue
    const longest = longestUp.get(node)
    if (isUp(task) && (!longest || byTimeUp(task, longest) < 0)) longestUp.set(node, task)
    if (observed.failures && nodesFailing.length < 2 && !nodesFailing.includes(node)) nodesFailing.push(node)
  }
  return { longestUp, nodesUp: [...longestUp.values()].sort(byTimeUp), nodesFailing }
}

function byTimeUp(a: Task, b: Task): number {
  return upSince(a) - upSince(b) || (a.id < b.id ? -1 : 1)
}

/** What has completed has done well for ever; what is not up, for no time. */
function upSince(task: Task): Instant {
  if (hasCompleted(task)) return 0
  const { health, healthSince, since } = task.observed
  return isUp(task) ? (health === 'none' ? since : healthSince) : Number.POSITIVE_INFINITY
}

/**
 * Since when another one has to be up to have done well when this one went wrong last. Not as of now: time alone brings no judgement
 * about, only what agents tell.
 */
function wellSince({ spec }: ServiceVersion, failed: Task): Instant {
  return failed.observed.since - Math.max(spec.task.restart.windowMs, WELL_MS)
}

/** Whether a node that is not given up, and is not lost, may take tasks of the version, for all that lasts. */
function hasOther(
  { world, statuses }: Judged,
  service: Service,
  version: ServiceVersion,
  givenUp: readonly Pick<FailingNode, 'node'>[],
): boolean {
  const names = new Set(givenUp.map(({ node }) => node))
  const request = { task: '', service, version, slot: 0, onlyNode: null, waitsFor: [] }
  const mayTake = (node: Node) => {
    const status = (statuses.get(node.name) ?? node.status).name
    return status !== 'lost' && status !== 'joining' && isInviting(request, emptyPicture(node))
  }
  return world.nodes.values().some((node) => !names.has(node.name) && mayTake(node))
}
