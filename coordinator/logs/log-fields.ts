/** Fields of a log line that is a JSON object, read when somebody asks: nothing of them is kept beside the line. */
import { numberIn } from '../../shared/constraint.ts'
import type { FieldTest } from '../../shared/log-field.ts'

export type LogFields = Record<string, unknown>

/** Null: the line is no JSON object. */
export function fieldsOf(text: string): LogFields | null {
  if (!text.startsWith('{')) return null
  try {
    return JSON.parse(text) as LogFields
  } catch {
    return null
  }
}

/** A field with several values meets it with any of them; one that is not there only `!=`. */
export function meetsField(fields: LogFields, { path, operator, value }: FieldTest): boolean {
  const has = fieldAt(fields, path)
  if (operator === 'exists') return has !== undefined
  if (operator === '!=') return !isAny(has, (each) => textOf(each) === value)
  if (operator === '=') return isAny(has, (each) => textOf(each) === value)
  const wanted = Number(value)
  return isAny(has, (each) => {
    const number = typeof each === 'number' ? each : typeof each === 'string' ? numberIn(each) : null
    if (number === null) return false
    if (operator === '>') return number > wanted
    if (operator === '>=') return number >= wanted
    return operator === '<' ? number < wanted : number <= wanted
  })
}

/** `log.level` may be a name as it stands, or `level` in what `log` holds. */
function fieldAt(holder: unknown, path: string): unknown {
  if (typeof holder !== 'object' || holder === null) return undefined
  const fields = holder as LogFields
  if (Object.hasOwn(fields, path)) return fields[path]
  for (let dot = path.indexOf('.'); dot > 0; dot = path.indexOf('.', dot + 1)) {
    const name = path.slice(0, dot)
    const below = Object.hasOwn(fields, name) ? fieldAt(fields[name], path.slice(dot + 1)) : undefined
    if (below !== undefined) return below
  }
  return undefined
}

function isAny(has: unknown, meets: (value: unknown) => boolean): boolean {
  return Array.isArray(has) ? has.some(meets) : meets(has)
}

/** Null for what is not written as one value. */
function textOf(value: unknown): string | null {
  return value === undefined || (typeof value === 'object' && value !== null) ? null : String(value)
}
