/** All policies. A new one is a new file, its line here, and its name in `shared/spec.ts`. */
import type { PolicyName } from '../../../shared/spec.ts'
import { binpack } from './binpack.ts'
import { firstFit } from './first-fit.ts'
import { leastLoaded } from './least-loaded.ts'
import type { Policy } from './policy.ts'
import { spread } from './spread.ts'

export const POLICIES: Record<PolicyName, Policy> = {
  'first-fit': firstFit,
  binpack,
  spread,
  'least-loaded': leastLoaded,
}
