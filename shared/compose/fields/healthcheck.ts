import type { Healthcheck } from '../../spec.ts'
import type { Field } from '../field.ts'

const FIELDS = ['test', 'interval', 'timeout', 'retries', 'start_period', 'start_interval', 'disable']

export function readHealthcheck(field: Field | undefined): Healthcheck | undefined {
  if (!field) return undefined
  field.onlyKnows(FIELDS)
  if (field.node.kind !== 'map') return undefined
  const test = readTest(field.get('test'))
  if (field.get('disable')?.boolean() || test?.[0] === 'NONE') return { disabled: true }
  const timings = {
    intervalMs: field.get('interval')?.durationMs(),
    timeoutMs: field.get('timeout')?.durationMs(),
    startPeriodMs: field.get('start_period')?.durationMs(),
    startIntervalMs: field.get('start_interval')?.durationMs(),
    retries: field.get('retries')?.integer({ min: 0 }),
  }
  const check = { ...(test && { test }), ...withoutUndefined(timings) }
  return Object.keys(check).length === 0 ? undefined : check
}

/** A text is a line for the container's shell; a list begins with how it is to be run. */
function readTest(field: Field | undefined): string[] | undefined {
  if (!field) return undefined
  if (field.node.kind !== 'list') {
    const line = field.text()
    if (line === '') return field.error('is empty; write NONE in a list, or disable: true, for no healthcheck')
    return line === undefined ? undefined : ['CMD-SHELL', line]
  }
  const test = field.texts()
  if (test[0] === 'NONE') return test
  if (test[0] !== 'CMD' && test[0] !== 'CMD-SHELL') {
    return field.error(`a list begins with CMD, CMD-SHELL or NONE, not "${test[0] ?? ''}"`)
  }
  if (test.length < 2) return field.error(`${test[0]} is followed by no command`)
  return test
}

export function withoutUndefined<T extends Record<string, unknown>>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}
