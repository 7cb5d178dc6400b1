/** What of a request may stand in the audit log: figures, and words that come from a short list. Texts of users may be secrets. */

/** Members whose words are names or come from a list, in whichever body they stand. */
const TOLD_TEXTS = new Set(['rotate', 'policy', 'survive', 'id', 'rule', 'node', 'service'])
const DETAILS_MAX = 16
const TEXT_LENGTH_MAX = 128

/** The members of query and body that are told, `{ replicas: 5 }`. What is nested is not looked into. */
export function auditDetails(...parts: unknown[]): Record<string, string | number | boolean> {
  const told: [string, string | number | boolean][] = []
  for (const part of parts) {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) continue
    for (const [name, value] of Object.entries(part)) {
      if (typeof value === 'number' || typeof value === 'boolean') told.push([name.slice(0, TEXT_LENGTH_MAX), value])
      else if (typeof value === 'string' && TOLD_TEXTS.has(name)) told.push([name, value.slice(0, TEXT_LENGTH_MAX)])
    }
  }
  return Object.fromEntries(told.slice(0, DETAILS_MAX))
}
