/** Refusals in words: the scheduler says no as data, people read sentences. */
import type { WaitReason } from '../../shared/api.ts'
import type { Refusal, Task } from '../world.ts'
import { isoTime } from './words.ts'

/** So many waiting tasks of a service are asked for their reasons; the rest wait for the same ones. */
const tasksAskedMax = 50
const reasonsMax = 20

/** Why tasks wait, each reason once with the nodes that gave it. */
export function waitReasons(tasks: Iterable<Task>): WaitReason[] {
  const reasons = new Map<string, WaitReason>()
  let asked = 0
  for (const task of tasks) {
    if (task.node !== null || task.desired !== 'running') continue
    asked += 1
    if (asked > tasksAskedMax) break
    for (const refusal of task.waitsFor) addReason(reasons, refusal)
  }
  const all = [...reasons.values()].slice(0, reasonsMax)
  // In the order of their names, not of their joining: the same cluster is told alike each time.
  for (const { nodes } of all) nodes.sort()
  return all
}

/** `memory: needs 4.0 GiB, 1.2 GiB free` without the node's name. Figures that no sentence knows are listed as they are. */
export function refusalWords(refusal: Refusal): string {
  const { moreNodes } = refusal.figures
  if (typeof moreNodes === 'number') return `${refusal.check}: ${moreNodes} more nodes, not listed`
  const words = SENTENCES[refusal.check]?.(refusal.figures)
  return words ? `${refusal.check}: ${words}` : `${refusal.check}${listFigures(refusal.figures)}`
}

function addReason(reasons: Map<string, WaitReason>, refusal: Refusal): void {
  const message = refusalWords(refusal)
  let reason = reasons.get(message)
  if (!reason) {
    reason = { check: refusal.check, message, nodes: [], figures: refusal.figures }
    reasons.set(message, reason)
  }
  if (refusal.node !== null && !reason.nodes.includes(refusal.node)) reason.nodes.push(refusal.node)
}

type Figures = Refusal['figures']

const SENTENCES: Partial<Record<Refusal['check'], (figures: Figures) => string | null>> = {
  memory: ({ neededBytes, freeBytes }) =>
    isNumber(neededBytes) && isNumber(freeBytes)
      ? `needs ${gib(neededBytes)}, ${gib(freeBytes)} free of promise`
      : null,
  cpu: ({ neededCores, freeCores }) =>
    isNumber(neededCores) && isNumber(freeCores)
      ? `needs ${cores(neededCores)}, ${cores(freeCores)} free of promise`
      : null,
  disk: ({ neededBytes, freeBytes }) =>
    isNumber(neededBytes) && isNumber(freeBytes)
      ? `needs ${gib(neededBytes)}, ${gib(freeBytes)} free of promise`
      : null,
  generic: ({ resource, needed, free, has }) => {
    if (resource === undefined) return null
    return has === 0
      ? `needs ${needed} ${resource}, it has none`
      : `needs ${needed} ${resource}, ${free} of ${has} free of promise`
  },
  constraint: ({ attribute, operator, value, has }) =>
    attribute === undefined
      ? null
      : `${[attribute, String(operator ?? '==').replace('-', ' '), value].filter((part) => part !== '').join(' ')}, ${has === null || has === undefined ? 'it has none' : `it has ${has}`}`,
  taint: ({ taint }) => (taint === undefined ? null : `it is tainted ${taint}, which is not tolerated`),
  affinity: (figures) => (figures.service === undefined ? null : affinityWords(figures)),
  'host-port': ({ port, heldBy }) =>
    port === undefined ? null : `${port} is taken${heldBy === null || heldBy === undefined ? '' : ` by ${heldBy}`}`,
  availability: () => 'it is being drained',
  engine: ({ message }) => `its Engine is down${message ? `: ${message}` : ''}`,
  liveness: ({ status }) => (status === undefined ? null : `it is ${status}`),
  'max-per-node': ({ max, has }) => (max === undefined ? null : `at most ${max} a node, it has ${has}`),
  platform: ({ wanted, has }) => {
    if (has === undefined) return null
    return wanted === null ? `the image is not made for ${has}` : `needs ${wanted}, it is ${has}`
  },
  failing: ({ failures, until }) =>
    isNumber(until) ? `failed there ${failures} times in a row, not tried again before ${isoTime(until)}` : null,
  volume: ({ home }) => (home === undefined ? null : `the data is on ${home}`),
  'no-nodes': () => 'the cluster has no node yet',
}

function affinityWords({ service, wants, over, place, has }: Figures): string {
  const where = over === 'node.name' ? 'there' : `where ${over} is ${place}`
  if (place === null) return `wants to be near ${service}, and it has no ${over}`
  if (wants === 'near') return `wants to be near ${service}, which has no task ${where}`
  const tasks = `${has} task${has === 1 ? '' : 's'} ${where}`
  if (wants === 'away') return `is kept away from ${service}, which has ${tasks}`
  return `${service} wants it away, and has ${tasks}`
}

const isNumber = (value: unknown): value is number => typeof value === 'number'
const cores = (count: number) => `${Math.round(count * 100) / 100} CPU`
const gib = (bytes: number) =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`

function listFigures(figures: Figures): string {
  const entries = Object.entries(figures)
  return entries.length === 0 ? '' : `: ${entries.map(([key, value]) => `${key} ${value}`).join(', ')}`
}
