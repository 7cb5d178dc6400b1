/** `deploy.mode`, `replicas`, `scale`, `update_config` and `rollback_config`. */
import type { Mode, UpdateConfig } from '../../spec.ts'
import type { Field } from '../field.ts'

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
