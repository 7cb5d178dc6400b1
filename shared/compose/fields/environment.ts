import { RESERVED_LABEL_PREFIX } from '../../labels.ts'
import type { Field } from '../field.ts'
import type { Environment } from '../session.ts'

/** `environment` above the lines of `env_file`. A name without a value takes the project's, and is left out when that has none. */
export function readEnvironment(
  field: Field | undefined,
  fromFiles: Map<string, string>,
  project: Environment,
): Record<string, string> {
  const values = new Map(fromFiles)
  for (const [name, { value }] of field?.pairs() ?? []) {
    const known = value ?? (Object.hasOwn(project, name) ? project[name] : undefined)
    if (known === undefined) values.delete(name)
    else values.set(name, known)
  }
  return Object.fromEntries(values)
}

/** Labels of a container, service or volume; a name alone has an empty value. */
export function readLabels(
  field: Field | undefined,
  fromFiles: Map<string, string> = new Map(),
): Record<string, string> {
  const labels = new Map(fromFiles)
  for (const [name, { value, field: label }] of field?.pairs() ?? []) {
    if (name.startsWith(RESERVED_LABEL_PREFIX))
      label.error(`labels that begin with ${RESERVED_LABEL_PREFIX} are Berth's own; choose another name`)
    labels.set(name, value ?? '')
  }
  return Object.fromEntries(labels)
}

/** `{a: 1}` or `[a=1]` where every name must have a value. */
export function readSettings(field: Field | undefined): Record<string, string> | undefined {
  if (!field) return undefined
  const settings: Record<string, string> = {}
  for (const [name, { value, field: setting }] of field.pairs()) {
    if (value === undefined) setting.error(`${name} has no value`)
    else settings[name] = value
  }
  return settings
}
