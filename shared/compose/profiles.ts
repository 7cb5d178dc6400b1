import type { Field } from './field.ts'
import type { ServiceNames } from './fields/dependencies.ts'

/** A service without profiles always runs; one with profiles when one of them is wanted. `*` wants all. */
export function chooseServices(services: [name: string, field: Field][], wanted: string[]): ServiceNames {
  const names: ServiceNames = { active: new Set(), inactive: new Map() }
  for (const [name, service] of services) {
    const profiles = service.node.kind === 'map' ? (service.get('profiles')?.texts() ?? []) : []
    const runs = profiles.length === 0 || wanted.includes('*') || profiles.some((profile) => wanted.includes(profile))
    if (runs) names.active.add(name)
    else names.inactive.set(name, profiles)
  }
  return names
}
