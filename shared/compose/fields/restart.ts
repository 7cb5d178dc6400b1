import type { RestartPolicy } from '../../spec.ts'
import type { Field } from '../field.ts'

/** An orchestrator keeps services up unless told otherwise (docs/decisions/restart-default.md). */
const KEEP_UP: RestartPolicy = { condition: 'any', delayMs: 0, windowMs: 0 }

/** `deploy.restart_policy` counts before `restart`. */
export function readRestart(service: Field): RestartPolicy {
  const policy = service.get('deploy')?.get('restart_policy')
  const short = service.get('restart')
  const shortPolicy = short && readShort(short)
  return policy ? readPolicy(policy) : (shortPolicy ?? KEEP_UP)
}

function readPolicy(policy: Field): RestartPolicy {
  policy.onlyKnows(['condition', 'delay', 'max_attempts', 'window'])
  const maxAttempts = policy.get('max_attempts')?.integer({ min: 0 })
  return {
    condition: policy.get('condition')?.oneOf(['any', 'on-failure', 'none']) ?? 'any',
    delayMs: policy.get('delay')?.durationMs() ?? 0,
    ...(maxAttempts !== undefined && { maxAttempts }),
    windowMs: policy.get('window')?.durationMs() ?? 0,
  }
}

function readShort(field: Field): RestartPolicy | undefined {
  const text = field.text()
  if (text === undefined) return undefined
  // YAML 1.1 readers take an unquoted `no` for false.
  if (text === 'no' || text === 'false') return { ...KEEP_UP, condition: 'none' }
  if (text === 'always' || text === 'unless-stopped') return KEEP_UP
  const match = /^on-failure(?::(\d+))?$/.exec(text)
  if (!match) return field.error(`"${text}" is none of no, always, unless-stopped, on-failure, on-failure:N`)
  return { ...KEEP_UP, condition: 'on-failure', ...(match[1] !== undefined && { maxAttempts: Number(match[1]) }) }
}
