/** Whether two plain values (as JSON has them) are the same; a member that is undefined is one that is not there. */
export function sameData(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, index) => sameData(item, b[index]))
  }
  return isWithin(a, b) && isWithin(b, a)
}

function isWithin(a: object, b: object): boolean {
  for (const [key, value] of Object.entries(a)) {
    if (!sameData(value, (b as Record<string, unknown>)[key])) return false
  }
  return true
}
