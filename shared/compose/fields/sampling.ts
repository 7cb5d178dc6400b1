/** `x-berth.sampling`: how often a service's containers are sampled. */
import { SAMPLING_DEFAULTS, SAMPLING_MS, type Sampling } from '../../spec.ts'
import type { Field } from '../field.ts'

/** `{full: 1s, calm: 10s}`, or in short one time for both. Undefined where there is none, or where it was reported why. */
export function readSampling(service: Field): Sampling | undefined {
  const field = service.get('x-berth')?.get('sampling')
  if (!field) return undefined
  if (field.node.kind !== 'map') {
    const everyMs = interval(field)
    return everyMs === undefined ? undefined : { fullMs: everyMs, calmMs: everyMs }
  }
  field.onlySets(['full', 'calm'])
  const [full, calm] = [field.get('full'), field.get('calm')]
  if (!full && !calm)
    return field.error('names neither full nor calm: how often while something is wrong, and while nothing is')
  const fullMs = full ? interval(full) : SAMPLING_DEFAULTS.fullMs
  const calmMs = calm ? interval(calm) : Math.max(SAMPLING_DEFAULTS.calmMs, fullMs ?? 0)
  if (fullMs === undefined || calmMs === undefined) return undefined
  if (fullMs <= calmMs) return { fullMs, calmMs }
  return field.error(
    `has calm ones sampled more often (${calmMs / 1000}s) than those in trouble (${fullMs / 1000}s); full takes at most what calm does`,
  )
}

function interval(field: Field): number | undefined {
  const ms = field.durationMs()
  if (ms === undefined) return undefined
  if (ms >= SAMPLING_MS.min && ms <= SAMPLING_MS.max && ms % 1000 === 0) return ms
  return field.error(`takes whole seconds from ${SAMPLING_MS.min / 1000}s to ${SAMPLING_MS.max / 1000}s`)
}
