/** Which lines a target is to get. */
import type { LinesWanted } from '../../../shared/forwarding/config.ts'

export function isServiceWanted({ services, stacks }: LinesWanted, service: string): boolean {
  return isNamed(services, service) && isNamed(stacks, stackOf(service))
}

/** Stacks' names hold no underscore. */
export function stackOf(service: string): string {
  const end = service.indexOf('_')
  return end < 0 ? '' : service.slice(0, end)
}

function isNamed(patterns: readonly string[], name: string): boolean {
  return patterns.length === 0 || patterns.some((pattern) => matches(pattern, name))
}

/** `*` is any run of characters. Looked for piece by piece, so that no pattern takes long. */
export function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return name === first
  const last = rest.pop()!
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false
  let at = first.length
  for (const piece of rest) {
    const found = name.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return at <= name.length - last.length
}
