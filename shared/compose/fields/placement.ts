/** Where tasks may run: `deploy.placement`, and what `x-berth.placement` adds to it. */
import { OPERATOR_WORDS, parseConstraint } from '../../constraint.ts'
import { fullServiceName } from '../../names.ts'
import {
  type Affinity,
  type Constraint,
  type Placement,
  POLICY_NAMES,
  TAINT_EFFECTS,
  type Toleration,
} from '../../spec.ts'
import { isTaintEffect, splitTaint, TAINT_KEY_PATTERN } from '../../taint.ts'
import type { Field } from '../field.ts'
import { didYouMean } from '../suggest.ts'
import type { ServiceNames } from './dependencies.ts'
import { withoutUndefined } from './healthcheck.ts'

const PLAIN_ATTRIBUTES = [
  'node.id',
  'node.name',
  'node.hostname',
  'node.role',
  'node.platform.os',
  'node.platform.arch',
]
const LABEL_ATTRIBUTE = /^(node|engine)\.labels\.[A-Za-z0-9][A-Za-z0-9._/-]*$/

export function readPlacement(service: Field, names: ServiceNames): Placement {
  const placement = service.get('deploy')?.get('placement')
  placement?.onlyKnows(['constraints', 'preferences', 'max_replicas_per_node'])
  const constraints = placement?.get('constraints')?.items().map(readConstraint) ?? []
  const preferences = placement?.get('preferences')?.items().map(readPreference) ?? []
  const maxPerNode = placement?.get('max_replicas_per_node')?.integer({ min: 0 })
  return {
    constraints: constraints.filter((constraint) => constraint !== undefined),
    spreadOver: preferences.filter((attribute) => attribute !== undefined),
    ...(maxPerNode !== undefined && maxPerNode > 0 && { maxPerNode }),
    ...readOwn(service.get('x-berth')?.get('placement'), names),
  }
}

// ---------------------------------------------------------------- deploy.placement

function readConstraint(field: Field): Constraint | undefined {
  const text = field.text()
  if (text === undefined) return undefined
  const read = parseConstraint(text)
  if (!read.ok) return field.error(`${read.why}${read.operator ? didYouMean(read.operator, OPERATOR_WORDS) : ''}`)
  return isAttribute(field, read.constraint.attribute) ? read.constraint : undefined
}

function readPreference(field: Field): string | undefined {
  field.onlyKnows(['spread'])
  if (field.node.kind !== 'map') return undefined
  const spread = field.get('spread')
  const attribute = spread?.string()
  if (spread === undefined) return field.error('says nothing to spread over; write "spread: node.labels.zone"')
  return attribute !== undefined && isAttribute(spread, attribute) ? attribute : undefined
}

function isAttribute(field: Field, attribute: string): boolean {
  if (PLAIN_ATTRIBUTES.includes(attribute) || LABEL_ATTRIBUTE.test(attribute)) return true
  const known = `${PLAIN_ATTRIBUTES.join(', ')}, node.labels.NAME, engine.labels.NAME`
  field.error(
    `"${attribute}" is not an attribute of a node; there are ${known}${didYouMean(attribute, PLAIN_ATTRIBUTES)}`,
  )
  return false
}

// ---------------------------------------------------------------- x-berth.placement

function readOwn(own: Field | undefined, names: ServiceNames): Partial<Placement> {
  own?.onlySets(['policy', 'tolerations', 'affinity', 'anti_affinity'])
  const tolerations = own?.get('tolerations')?.items().map(readToleration) ?? []
  const affinity = [
    ...(own?.get('affinity')?.items() ?? []).map((field) => readAffinity(field, false, names)),
    ...(own?.get('anti_affinity')?.items() ?? []).map((field) => readAffinity(field, true, names)),
  ]
  return withoutUndefined({
    policy: own?.get('policy')?.oneOf(POLICY_NAMES),
    tolerations: someOf(tolerations),
    affinity: someOf(affinity),
  })
}

function someOf<T>(items: (T | undefined)[]): T[] | undefined {
  const read = items.filter((item) => item !== undefined)
  return read.length > 0 ? read : undefined
}

/** `gpu`, `gpu=yes`, `gpu=yes:no-schedule`, or a mapping of `key`, `value` and `effect`. */
function readToleration(field: Field): Toleration | undefined {
  if (field.node.kind === 'map') {
    field.onlySets(['key', 'value', 'effect'])
    const key = field.get('key')
    if (!key) return field.error('names no key; write it like "key: gpu", or in short gpu=yes:no-schedule')
    const effect = field.get('effect')
    return toleration(key, key.text() ?? '', field.get('value')?.text() ?? null, effect?.oneOf(TAINT_EFFECTS) ?? null)
  }
  const text = field.text()
  if (text === undefined) return undefined
  const split = splitTaint(text)
  if (!split) return field.error(`"${text}" is not a toleration; write it like gpu, gpu=yes or gpu=yes:no-schedule`)
  if (split.effect !== null && !isTaintEffect(split.effect)) {
    const known = TAINT_EFFECTS.join(', ')
    return field.error(
      `"${split.effect}" is no effect of a taint; there are ${known}${didYouMean(split.effect, TAINT_EFFECTS)}`,
    )
  }
  return toleration(field, split.key, split.value, split.effect)
}

function toleration(
  field: Field,
  key: string,
  value: string | null,
  effect: Toleration['effect'] | null,
): Toleration | undefined {
  if (!TAINT_KEY_PATTERN.test(key)) {
    return field.error(`"${key}" cannot be the key of a taint; use letters, digits, ".", "_", "/" and "-"`)
  }
  return {
    key,
    ...(value === null ? { operator: 'exists' as const } : { operator: '==' as const, value }),
    ...(effect && { effect }),
  }
}

/** `db`, or a mapping of `service`, `over` and `required`. */
function readAffinity(field: Field, anti: boolean, names: ServiceNames): Affinity | undefined {
  const isMap = field.node.kind === 'map'
  if (isMap) field.onlySets(['service', 'over', 'required'])
  const service = isMap ? field.get('service') : field
  if (!service) return field.error('names no service; write it like "service: db"')
  const name = service.text()
  const over = isMap ? field.get('over') : undefined
  const attribute = over ? (over.text() ?? '') : 'node.name'
  const required = (isMap ? field.get('required')?.boolean() : undefined) ?? true
  if (name === undefined || !isService(service, name, names)) return undefined
  if (over && !isAttribute(over, attribute)) return undefined
  return { service: name, over: attribute, anti, required }
}

/** A service of another stack is known by its full name, STACK_SERVICE; whether it is there is seen when deploying. */
function isService(field: Field, name: string, { active, inactive }: ServiceNames): boolean {
  if (active.has(name) || inactive.has(name) || name.includes('_')) return true
  const example = fullServiceName('STACK', name)
  field.error(
    `there is no service "${name}" in this stack; one of another stack is written ${example}${didYouMean(name, active)}`,
  )
  return false
}
