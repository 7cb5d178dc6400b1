/** `deploy.mode`, `replicas`, `scale`, `placement`, `update_config` and `rollback_config`. */
import type { Constraint, Mode, Placement, UpdateConfig } from '../../spec.ts'
import type { Field } from '../field.ts'
import { didYouMean } from '../suggest.ts'

const DEPLOY_FIELDS = [
  'mode',
  'replicas',
  'labels',
  'resources',
  'restart_policy',
  'placement',
  'update_config',
  'rollback_config',
  'endpoint_mode',
]
const MAX_REPLICAS = 1_000_000
const PLAIN_ATTRIBUTES = ['node.id', 'node.hostname', 'node.role', 'node.platform.os', 'node.platform.arch']
const LABEL_ATTRIBUTE = /^(node|engine)\.labels\.[A-Za-z0-9][A-Za-z0-9._/-]*$/

export function checkDeploy(deploy: Field | undefined): void {
  if (!deploy) return
  deploy.onlyKnows(DEPLOY_FIELDS)
  const endpointMode = deploy.get('endpoint_mode')
  endpointMode?.warning(
    'is not honoured: Berth has no virtual addresses; published ports are open on the nodes that run a task',
  )
}

export function readMode(service: Field): Mode {
  const deploy = service.get('deploy')
  const mode = deploy?.get('mode')
  const word = mode?.oneOf(['replicated', 'global', 'replicated-job', 'global-job']) ?? 'replicated'
  if (word.endsWith('-job'))
    mode!.notHonoured(`${word} is not honoured yet: the tasks would run as a service that is kept up`)
  const [replicas, scale] = [deploy?.get('replicas'), service.get('scale')]
  if (word === 'global' || word === 'global-job') {
    for (const count of [replicas, scale])
      count?.error('a global service has one task on every node; it takes no count')
    return { kind: 'global' }
  }
  const range = { min: 0, max: MAX_REPLICAS }
  const [wanted, scaled] = [replicas?.integer(range), scale?.integer(range)]
  if (wanted !== undefined && scaled !== undefined && wanted !== scaled) {
    scale!.error(`says something else than ${replicas!.path}; say it in one place`)
  }
  return { kind: 'replicated', replicas: wanted ?? scaled ?? 1 }
}

export function readPlacement(service: Field): Placement {
  const placement = service.get('deploy')?.get('placement')
  placement?.onlyKnows(['constraints', 'preferences', 'max_replicas_per_node'])
  const constraints = placement?.get('constraints')?.items().map(readConstraint) ?? []
  const preferences = placement?.get('preferences')?.items().map(readPreference) ?? []
  const maxPerNode = placement?.get('max_replicas_per_node')?.integer({ min: 0 })
  return {
    constraints: constraints.filter((constraint) => constraint !== undefined),
    spreadOver: preferences.filter((attribute) => attribute !== undefined),
    ...(maxPerNode !== undefined && maxPerNode > 0 && { maxPerNode }),
  }
}

function readConstraint(field: Field): Constraint | undefined {
  const text = field.text()
  if (text === undefined) return undefined
  const match = /^\s*([^\s=!]+)\s*(==|!=)\s*(.*?)\s*$/s.exec(text)
  if (!match || match[3] === '')
    return field.error(`"${text}" is not a constraint; write it like node.labels.disk == ssd or node.hostname != web-1`)
  const [, attribute = '', operator, value = ''] = match
  if (!isAttribute(field, attribute)) return undefined
  return { attribute, operator: operator === '==' ? '==' : '!=', value }
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

const FAILURE_ACTIONS = ['pause', 'continue', 'rollback'] as const

/** The specification's defaults; `key` is `update_config` or `rollback_config`. */
export function readUpdate(service: Field, key: 'update_config' | 'rollback_config'): UpdateConfig {
  const config = service.get('deploy')?.get(key)
  config?.onlyKnows(['parallelism', 'delay', 'failure_action', 'monitor', 'max_failure_ratio', 'order'])
  const failureAction = config?.get('failure_action')
  const action = failureAction?.oneOf(FAILURE_ACTIONS) ?? 'pause'
  if (key === 'rollback_config' && action === 'rollback')
    failureAction!.error('a rollback that fails cannot be rolled back; pause or continue')
  return {
    parallelism: config?.get('parallelism')?.integer({ min: 0 }) ?? 1,
    delayMs: config?.get('delay')?.durationMs() ?? 0,
    order: config?.get('order')?.oneOf(['stop-first', 'start-first']) ?? 'stop-first',
    failureAction: action,
    monitorMs: config?.get('monitor')?.durationMs() ?? 5000,
    maxFailureRatio: config?.get('max_failure_ratio')?.number({ min: 0, max: 1 }) ?? 0,
  }
}
