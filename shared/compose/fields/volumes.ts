/** The top-level `volumes`: what each named volume is called on a node, and how it is made there. */
import type { Field } from '../field.ts'
import { readLabels, readSettings } from './environment.ts'

export type Volume = {
  /** The Engine's name for it. */
  source: string
  driver?: string
  driverOptions?: Record<string, string>
  labels?: Record<string, string>
  external?: true
}

const FIELDS = ['driver', 'driver_opts', 'external', 'labels', 'name']
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** By the name under which services mount them. */
export function readVolumes(field: Field | undefined, stack: string): Map<string, Volume> {
  const volumes = new Map<string, Volume>()
  for (const [key, volume] of field?.members() ?? []) {
    if (!NAME.test(key)) volume.atKey().error(`"${key}" is not a name; letters, digits, "_", "." and "-" make one`)
    volumes.set(key, volume.isNull() ? { source: `${stack}_${key}` } : readVolume(key, volume, stack))
  }
  return volumes
}

function readVolume(key: string, field: Field, stack: string): Volume {
  field.onlyKnows(FIELDS)
  const name = field.get('name')?.string()
  if (name !== undefined && !NAME.test(name)) field.get('name')!.error(`"${name}" is not a name that the Engine takes`)
  const external = readExternal(field.get('external'))
  if (external.is) {
    for (const made of ['driver', 'driver_opts', 'labels']) {
      field.get(made)?.error('cannot be said of an external volume: someone else makes it')
    }
    return { source: name ?? external.name ?? key, external: true }
  }
  const driver = field.get('driver')?.string()
  const driverOptions = readSettings(field.get('driver_opts'))
  const labels = field.get('labels') ? readLabels(field.get('labels')) : undefined
  return {
    source: name ?? `${stack}_${key}`,
    ...(driver !== undefined && { driver }),
    ...(driverOptions && { driverOptions }),
    ...(labels && { labels }),
  }
}

/** `true`, or the older `{name: …}`. */
function readExternal(field: Field | undefined): { is: boolean; name?: string } {
  if (!field) return { is: false }
  if (field.node.kind !== 'map') return { is: field.boolean() ?? false }
  field.onlyKnows(['name'])
  return { is: true, name: field.get('name')?.string() }
}
