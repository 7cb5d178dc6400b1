/** Constraints as people write them: `node.labels.disk == ssd`, `node.labels.zone in a, b`, `node.labels.gpu exists`. */
import { CONSTRAINT_OPERATORS, type Constraint, type ConstraintOperator } from './spec.ts'

export type ReadConstraint = { ok: true; constraint: Constraint } | { ok: false; why: string; operator?: string }

/** The operators as they are written, for sentences. */
export const OPERATOR_WORDS = CONSTRAINT_OPERATORS.map(operatorWord)
const VALUES_MAX = 256

/** `attribute` is not looked at further: which ones there are is the reader's business. */
export function parseConstraint(text: string): ReadConstraint {
  const parts = split(text)
  if (!parts) return { ok: false, why: `"${text}" is not a constraint; write it like ${EXAMPLES}` }
  const { attribute, operator, rest } = parts
  const word = operator.replace(/\s+/, '-')
  if (!isOperator(word)) {
    return { ok: false, why: `"${operator}" is no operator; there are ${OPERATOR_WORDS.join(', ')}`, operator }
  }
  return withValue(attribute, word, rest)
}

/** As it is written: `node.labels.zone not in a, b`. */
export function constraintText({ attribute, operator, value, values }: Constraint): string {
  const wanted = values ? values.join(', ') : value
  return `${attribute} ${operatorWord(operator)}${wanted === '' ? '' : ` ${wanted}`}`
}

export function operatorWord(operator: ConstraintOperator): string {
  return operator.replace('-', ' ')
}

/** A number as labels may hold one: `3`, `-0.5`; null for every other text. */
export function numberIn(text: string): number | null {
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : null
}

const EXAMPLES = 'node.labels.disk == ssd, node.labels.zone in a, b or node.labels.gpu exists'
const SIGNS = /^([^\s=!<>~]+)\s*([=!<>~]+)\s*(.*)$/s
const WORDS = /^(\S+)\s+(not\s+\S+|\S+)(?:\s+(.*))?$/s

function split(text: string): { attribute: string; operator: string; rest: string } | null {
  const trimmed = text.trim()
  const [, attribute, operator, rest = ''] = SIGNS.exec(trimmed) ?? WORDS.exec(trimmed) ?? []
  return attribute === undefined || operator === undefined ? null : { attribute, operator, rest: rest.trim() }
}

function isOperator(word: string): word is ConstraintOperator {
  return (CONSTRAINT_OPERATORS as readonly string[]).includes(word)
}

function withValue(attribute: string, operator: ConstraintOperator, rest: string): ReadConstraint {
  const no = (why: string): ReadConstraint => ({ ok: false, why })
  const shown = `${attribute} ${operatorWord(operator)}`
  if (operator === 'exists' || operator === 'not-exists') {
    return rest === '' ? yes({ attribute, operator, value: '' }) : no(`"${shown}" takes no value, and has "${rest}"`)
  }
  if (rest === '') return no(`"${shown}" says no value after ${operatorWord(operator)}`)
  if (operator === 'in' || operator === 'not-in') {
    const values = [...new Set(rest.split(',').map((each) => each.trim()))]
    if (values.length > VALUES_MAX) return no(`"${shown}" names ${values.length} values; at most ${VALUES_MAX}`)
    return values.includes('')
      ? no(`"${shown} ${rest}" has an empty value; write it like ${attribute} in a, b`)
      : yes({ attribute, operator, value: '', values })
  }
  if (operator !== '==' && operator !== '!=' && numberIn(rest) === null) {
    return no(`"${shown} ${rest}" compares numbers, and "${rest}" is none; write it like ${attribute} >= 3`)
  }
  return yes({ attribute, operator, value: rest })
}

function yes(constraint: Constraint): ReadConstraint {
  return { ok: true, constraint }
}
