import { hasNamedVolume } from '../service-facts.ts'
import type { Check } from './check.ts'

/** A slot whose data lives in a volume of a node goes to that node only. */
export const volume: Check = ({ service, version, slot }, { node }) => {
  const home = service.homes.get(slot)
  if (home === undefined || home === node.name || !hasNamedVolume(version.spec)) return null
  return { node: node.name, check: 'volume', figures: { home } }
}
