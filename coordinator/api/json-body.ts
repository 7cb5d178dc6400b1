/** Bodies in JSON, read with the one thing refused that no schema can see. */
import type { FastifyInstance } from 'fastify'
import { BerthError } from '../../shared/errors.ts'
import { FORBIDDEN_KEY } from '../../shared/names.ts'

/** In place of fastify's own parser, which takes such a key for broken JSON. */
export function readJsonBodies(api: FastifyInstance): void {
  api.removeContentTypeParser('application/json')
  api.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: unknown, text: string) =>
    readJson(text),
  )
}

/**
 * @throws BerthError `invalid-request` for what is no JSON, and with its place for what no message to an agent can hold: the key
 * `__proto__`, and half of a character
 */
export function readJson(text: string): unknown {
  const value = parse(text)
  const fault = faultIn(value)
  if (fault === null) return value
  const field = fault.path.join('.').toWellFormed()
  throw new BerthError('invalid-request', `${field || 'the body'}: ${fault.message}`, {
    details: { in: 'body', fields: [{ field, message: fault.message }] },
  })
}

function parse(text: string): unknown {
  if (text.trim() === '') throw new BerthError('invalid-request', 'the body is empty; it must be JSON')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new BerthError('invalid-request', `the body is not JSON: ${(cause as Error).message}`, { cause })
  }
}

type Fault = { path: string[]; message: string }

/** Bodies have a dozen levels. Told places grow with the depth, and whoever may only ask to join may send thousands of it. */
const DEPTH_MAX = 64

/** The first there is. With a list of what is still to be looked at, since JSON may be nested deeper than calls can. */
function faultIn(root: unknown): Fault | null {
  const waiting: { value: unknown; path: string[] }[] = [{ value: root, path: [] }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, path } = next
    if (typeof value === 'string' && !value.isWellFormed()) return { path, message: HALF_CHARACTER }
    if (typeof value !== 'object' || value === null) continue
    if (path.length >= DEPTH_MAX) return { path: [], message: `is nested deeper than ${DEPTH_MAX}` }
    for (const [key, member] of Object.entries(value)) {
      const at = [...path, key]
      if (key === FORBIDDEN_KEY) return { path: at, message: `${FORBIDDEN_KEY} cannot be a name; choose another` }
      if (!key.isWellFormed()) return { path: at, message: HALF_CHARACTER }
      if (typeof member === 'string' ? !member.isWellFormed() : typeof member === 'object') {
        waiting.push({ value: member, path: at })
      }
    }
  }
  return null
}

const HALF_CHARACTER = 'holds half of a character (a lone surrogate), which is no text'
