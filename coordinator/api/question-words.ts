/** Counted refusals, smallest changes and unit changes: in words, and as documents. */
import type {
  ChangeCounts,
  CheckDocument,
  SmallestChangeDocument,
  UnitChangeDocument,
  UnplacedDocument,
} from '../../shared/api.ts'
import { countRefusals, type RefusalCount } from '../decide/refusal-counts.ts'
import { homeVolumeOf } from '../decide/service-facts.ts'
import type { Relaxation, SmallestChange } from '../decide/smallest-change.ts'
import type { UnitChange } from '../questions/differences.ts'
import { whyWaiting } from '../questions/why.ts'
import type { Task, World } from '../world.ts'
import { refusalWords } from './refusal-words.ts'
import { taskName } from './view-task.ts'

/** `memory: 7 of 9 nodes, short by 128 MiB to 900 MiB`. */
export function viewCheck(count: RefusalCount, of: number): CheckDocument {
  return { ...count, of, message: checkWords(count, of) }
}

function checkWords(count: RefusalCount, of: number): string {
  const { check, subject, shortBy, figures } = count
  if (check === 'no-nodes') return 'no node has joined yet'
  const what = check === 'constraint' ? subject : subject === '' ? check : `${check} ${subject}`
  if (of === 1 && count.nodes[0] !== undefined)
    return `${count.nodes[0]}: ${refusalWords({ node: null, check, figures })}`
  const nodes = `${count.count} of ${of} nodes`
  if (!shortBy) return `${what}: ${nodes}${check === 'constraint' ? ' do not meet it' : ''}`
  if (check === 'max-per-node') return `${what}: ${nodes} have as many as they may`
  const amount = shortBy.min === shortBy.max ? amountWords(shortBy.min, shortBy.unit) : rangeWords(shortBy)
  return `${what}: ${nodes}, short by ${amount}`
}

function rangeWords({ min, max, unit }: NonNullable<RefusalCount['shortBy']>): string {
  return `${amountWords(min, unit)} to ${amountWords(max, unit)}`
}

export function amountWords(amount: number, unit: 'bytes' | 'cores' | 'count'): string {
  if (unit === 'count') return String(amount)
  if (unit === 'cores') return `${Math.round(amount * 100) / 100} CPU`
  if (amount >= 2 ** 30) return `${(amount / 2 ** 30).toFixed(1)} GiB`
  return amount >= 2 ** 20 ? `${Math.ceil(amount / 2 ** 20)} MiB` : `${Math.ceil(amount)} B`
}

// ---------------------------------------------------------------- the smallest change

export function viewSmallest({ node, relaxations }: SmallestChange): SmallestChangeDocument {
  const message = relaxations.map((each) => relaxationWords(node, each)).join(' and ')
  return { node, message, changes: relaxations.map((each) => ({ ...each })) }
}

function relaxationWords(node: string, relaxation: Relaxation): string {
  switch (relaxation.kind) {
    case 'reserve-less':
      return `reserve ${floorWords(relaxation)} or less${relaxation.resource === 'cpu' ? '' : ` of ${relaxation.resource}`} (${node})`
    case 'reserve-less-generic':
      return `reserve ${relaxation.to} ${relaxation.resource} or less (${node})`
    case 'label-node':
      return `label one more node ${relaxation.label}=${relaxation.value} (berth node label ${node} ${relaxation.label}=${relaxation.value})`
    case 'unlabel-node':
      return `take the label ${relaxation.label} from ${node} (berth node label ${node} ${relaxation.label}-)`
    case 'drop-constraint': {
      const { attribute, operator, value } = relaxation.constraint
      return `give up the constraint ${attribute}${operator}${value} (${node})`
    }
    case 'allow-per-node':
      return `allow ${relaxation.max} tasks a node (${node})`
    case 'free-port':
      return `another host port than ${relaxation.port}/${relaxation.protocol}, which ${relaxation.heldBy} holds on ${node}`
    case 'activate-node':
      return `berth activate ${node}`
    case 'bring-back-node':
      return `bring ${node} back, which is ${relaxation.status === 'ready' ? 'not heard of yet' : relaxation.status}`
    case 'drop-platform':
      return `an image for the platform of ${node} instead of ${relaxation.platform}`
    case 'tolerate-taint':
      return `tolerate the taint ${relaxation.key} of ${node}`
    case 'drop-affinity':
      return `give up the affinity to ${relaxation.service} (${node})`
  }
}

/** Rounded down, so that what is said would really fit. */
function floorWords({ resource, to }: Extract<Relaxation, { kind: 'reserve-less' }>): string {
  if (resource === 'cpu') return `${Math.floor(to * 100) / 100} CPU`
  if (to >= 2 ** 30) return `${(Math.floor((to / 2 ** 30) * 10) / 10).toFixed(1)} GiB`
  return `${Math.floor(to / 2 ** 20)} MiB`
}

// ---------------------------------------------------------------- unit changes

/** An answer holds so many changes; how many there are is told beside them. */
export const CHANGES_TOLD_MAX = 1000

export function viewChange(world: World, after: World, change: UnitChange): UnitChangeDocument {
  const { service, kind, from, to, why, reason } = change
  return {
    task: nameOf(world, after, change),
    service,
    kind,
    from,
    to,
    why,
    isPreempted: isPreempted(change),
    placement: reason && {
      policy: reason.policy,
      considered: reason.considered,
      fitting: reason.fitting,
      score: reason.score,
    },
  }
}

export function nameOf(world: World, after: World, { taskAfter, taskBefore, service, slot }: UnitChange): string {
  const task = after.tasks.get(taskAfter ?? '') ?? world.tasks.get(taskBefore ?? '')
  return task ? taskName(task) : `${service}.${slot}`
}

export function isPreempted({ why }: UnitChange): boolean {
  return why?.startsWith('preempted ') ?? false
}

export function countChanges(changes: readonly UnitChange[]): ChangeCounts {
  const counts: ChangeCounts = { place: 0, replace: 0, move: 0, stop: 0, wait: 0, displace: 0, preempted: 0 }
  for (const change of changes) {
    counts[change.kind] += 1
    if (isPreempted(change)) counts.preempted += 1
  }
  return counts
}

/** What would have no place, by service, asked of every node of the world as it would be. */
export function viewUnplaced(world: World, after: World, changes: readonly UnitChange[]): UnplacedDocument[] {
  const byService = new Map<string, UnitChange[]>()
  for (const change of changes) {
    if (change.kind !== 'wait' && change.kind !== 'displace') continue
    const known = byService.get(change.service)
    if (known) known.push(change)
    else byService.set(change.service, [change])
  }
  // Of very many services only the first are asked about anew; the others have what the scheduler was told.
  const first = [...byService.values()].slice(0, SERVICES_ASKED_MAX).flat()
  const groups = whyWaiting(
    after,
    first.map(({ taskAfter }) => after.tasks.get(taskAfter ?? '')).filter((task) => task !== undefined),
  )
  return [...byService].map(([service, unplaced]) => {
    const group = groups.find((each) => each.service === service)
    const refusals = unplaced.flatMap((change) => change.refusals).slice(0, 1000)
    return {
      service,
      tasks: unplaced.slice(0, TASKS_NAMED_MAX).map((change) => nameOf(world, after, change)),
      count: unplaced.length,
      volume: volumeLeftBehind(world, after, unplaced),
      checks: group
        ? group.counts.map((count) => viewCheck(count, group.of))
        : countRefusals(refusals).map((count) => viewCheck(count, after.nodes.size)),
      smallestChanges: group?.smallest.map(viewSmallest) ?? [],
    }
  })
}

const TASKS_NAMED_MAX = 20
const SERVICES_ASKED_MAX = 5

function volumeLeftBehind(world: World, after: World, unplaced: readonly UnitChange[]): string | null {
  for (const { service: name, slot, taskBefore } of unplaced) {
    const service = after.services.get(name)
    const task: Task | undefined = world.tasks.get(taskBefore ?? '')
    const spec = task && service?.versions.get(task.version)?.spec
    if (spec && service.homes.get(slot) === task.node) return homeVolumeOf(spec)
  }
  return null
}
