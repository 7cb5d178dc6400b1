import type { Dependency } from '../../spec.ts'
import type { Field } from '../field.ts'
import { didYouMean } from '../suggest.ts'

const CONDITIONS = ['service_started', 'service_healthy', 'service_completed_successfully'] as const

export type ServiceNames = {
  /** The services that will run. */
  active: Set<string>
  /** Those that a profile leaves out, with their profiles. */
  inactive: Map<string, string[]>
}

/** `depends_on`, short or long. Dependencies that are not required and left out by a profile are dropped. */
export function readDependencies(field: Field | undefined, names: ServiceNames): Record<string, Dependency> {
  const dependencies: Record<string, Dependency> = {}
  if (!field) return dependencies
  for (const [name, item] of entries(field)) {
    const dependency =
      item.node.kind === 'map'
        ? readLong(item)
        : { condition: 'service_started' as const, required: true, restart: false }
    if (isThere(name, item, dependency.required, names)) dependencies[name] = dependency
  }
  return dependencies
}

function entries(field: Field): [string, Field][] {
  if (field.node.kind === 'map') return field.members()
  return field.items().flatMap((item): [string, Field][] => {
    const name = item.string()
    return name === undefined ? [] : [[name, item]]
  })
}

function readLong(item: Field): Dependency {
  item.onlyKnows(['condition', 'required', 'restart'])
  return {
    condition: item.get('condition')?.oneOf(CONDITIONS) ?? 'service_started',
    required: item.get('required')?.boolean() ?? true,
    restart: item.get('restart')?.boolean() ?? false,
  }
}

function isThere(name: string, item: Field, required: boolean, names: ServiceNames): boolean {
  if (names.active.has(name)) return true
  if (!required) return false
  const profiles = names.inactive.get(name)
  if (profiles)
    item.error(`"${name}" runs only with the profile ${profiles.join(' or ')}; add --profile ${profiles[0]}`)
  else item.error(`there is no service "${name}"${didYouMean(name, names.active)}`)
  return false
}

/** Reports each circle of services that wait for one another, once. */
export function reportCycles(dependsOn: Map<string, { names: string[]; field: Field }>): void {
  const done = new Set<string>()
  const visit = (name: string, trail: string[]) => {
    const at = trail.indexOf(name)
    if (at >= 0) {
      dependsOn.get(name)?.field.error(`waits for itself: ${[...trail.slice(at), name].join(' → ')}`)
      return
    }
    if (done.has(name)) return
    for (const next of dependsOn.get(name)?.names ?? []) visit(next, [...trail, name])
    done.add(name)
  }
  for (const name of dependsOn.keys()) visit(name, [])
}
