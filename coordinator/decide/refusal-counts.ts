/** Refusals of many nodes, counted: the same check with the same subject is one reason, with how much the nodes fall short. */
import type { NodeName, Refusal } from '../world.ts'

export type RefusalCount = {
  check: Refusal['check']
  /** What exactly it is about: `node.labels.zone==b`, `8080/tcp`, `gpu`; empty where the check says it all. */
  subject: string
  /** How many nodes refused for this reason. */
  count: number
  /** Some of them, in the order of their names. */
  nodes: NodeName[]
  /** The nearest and the farthest of them; null where there is no more or less. */
  shortBy: { min: number; max: number; unit: 'bytes' | 'cores' | 'count' } | null
  /** Of the nearest one (or the first). */
  figures: Refusal['figures']
}

export const NODES_NAMED_MAX = 20

/** Most frequent first. */
export function countRefusals(refusals: Iterable<Refusal>): RefusalCount[] {
  const counts = new Map<string, RefusalCount>()
  for (const refusal of refusals) {
    const subject = subjectOf(refusal)
    const key = `${refusal.check} ${subject}`
    const count = counts.get(key)
    if (count) addTo(count, refusal)
    else counts.set(key, newCount(refusal, subject))
  }
  const all = [...counts.values()]
  for (const count of all) count.nodes = count.nodes.sort().slice(0, NODES_NAMED_MAX)
  return all.sort((a, b) => b.count - a.count || (a.check < b.check ? -1 : a.check > b.check ? 1 : 0))
}

function newCount(refusal: Refusal, subject: string): RefusalCount {
  const short = shortOf(refusal)
  return {
    check: refusal.check,
    subject,
    count: 1,
    nodes: refusal.node === null ? [] : [refusal.node],
    shortBy: short && { min: short.by, max: short.by, unit: short.unit },
    figures: refusal.figures,
  }
}

function addTo(count: RefusalCount, refusal: Refusal): void {
  count.count += 1
  if (refusal.node !== null) count.nodes.push(refusal.node)
  const short = shortOf(refusal)
  if (!short || !count.shortBy) return
  if (short.by < count.shortBy.min) {
    count.shortBy.min = short.by
    count.figures = refusal.figures
  }
  count.shortBy.max = Math.max(count.shortBy.max, short.by)
}

function subjectOf({ check, figures }: Refusal): string {
  if (check === 'constraint') return `${figures.attribute ?? ''}${figures.operator ?? ''}${figures.value ?? ''}`
  if (check === 'host-port') return `${figures.port ?? ''}/${figures.protocol ?? ''}`
  const named = figures.resource ?? figures.status ?? figures.taint ?? figures.service ?? figures.home ?? figures.wanted
  return named === undefined || named === null ? '' : String(named)
}

/** How much is missing, where a check needs so much of something. */
export function shortOf({ figures }: Pick<Refusal, 'figures'>): {
  by: number
  unit: 'bytes' | 'cores' | 'count'
} | null {
  const { neededBytes, freeBytes, neededCores, freeCores, needed, free, max, has } = figures
  if (isNumber(neededBytes) && isNumber(freeBytes)) return { by: neededBytes - freeBytes, unit: 'bytes' }
  if (isNumber(neededCores) && isNumber(freeCores)) return { by: rounded(neededCores - freeCores), unit: 'cores' }
  if (isNumber(needed) && isNumber(free)) return { by: needed - free, unit: 'count' }
  return isNumber(max) && isNumber(has) ? { by: has - max + 1, unit: 'count' } : null
}

const isNumber = (value: unknown): value is number => typeof value === 'number'

function rounded(cores: number): number {
  return Math.round(cores * 1000) / 1000
}
