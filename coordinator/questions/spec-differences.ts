/** What differs between two specs of a service, as paths with what was and what is to be. */
import { canonicalJson, type ServiceSpec } from '../../shared/spec.ts'

export type SpecDifference = {
  /** As in the spec, without the parts that everything is in: `image`, `environment.MODE`, `replicas`. */
  path: string
  /** As JSON; null: it was not there, or is not to be. */
  before: string | null
  after: string | null
}

const DIFFERENCES_MAX = 50
const VALUE_LENGTH_MAX = 120

export function specDifferences(before: ServiceSpec, after: ServiceSpec): SpecDifference[] {
  const found: SpecDifference[] = []
  compare(before, after, [], found)
  return found.slice(0, DIFFERENCES_MAX)
}

function compare(before: unknown, after: unknown, path: string[], found: SpecDifference[]): void {
  if (found.length >= DIFFERENCES_MAX) return
  if (isTree(before) && isTree(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      compare(before[key], after[key], [...path, key], found)
    }
    return
  }
  if (canonicalJson(before ?? null) === canonicalJson(after ?? null)) return
  found.push({ path: shortPath(path), before: textOf(before, path), after: textOf(after, path) })
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What everything is in says nothing. */
function shortPath(path: string[]): string {
  return path.filter((part) => !['task', 'container', 'mode', 'resources'].includes(part)).join('.')
}

/** Values of the environment are often secrets: that they differ is told, not what they are. */
function textOf(value: unknown, path: readonly string[]): string | null {
  if (value === undefined) return null
  if (path.includes('environment')) return '…'
  const text = typeof value === 'string' ? value : canonicalJson(value)
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX - 1)}…` : text
}
