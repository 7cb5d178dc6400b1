/** What a container gets of its host's kernel: ulimits, devices, logging. */
import type { ContainerSpec } from '../../spec.ts'
import type { Field } from '../field.ts'
import { readSettings } from './environment.ts'

type Device = NonNullable<ContainerSpec['devices']>[number]

/** `nofile: 65535` or `nofile: {soft: 1024, hard: 65535}`; -1 is no limit. */
export function readUlimits(field: Field | undefined): ContainerSpec['ulimits'] {
  if (!field) return undefined
  const ulimits: NonNullable<ContainerSpec['ulimits']> = {}
  for (const [name, item] of field.members()) {
    const limit = readUlimit(item)
    if (limit) ulimits[name] = limit
  }
  return ulimits
}

function readUlimit(item: Field): { soft: number; hard: number } | undefined {
  if (item.node.kind !== 'map') {
    const both = item.integer({ min: -1 })
    return both === undefined ? undefined : { soft: both, hard: both }
  }
  item.onlyKnows(['soft', 'hard'])
  for (const key of ['soft', 'hard']) if (!item.get(key)) item.error(`says no ${key} limit; both are needed`)
  const [soft, hard] = [item.get('soft')?.integer({ min: -1 }), item.get('hard')?.integer({ min: -1 })]
  if (soft === undefined || hard === undefined) return undefined
  if (hard !== -1 && (soft === -1 || soft > hard)) return item.error('the soft limit is above the hard one')
  return { soft, hard }
}

/** `/dev/a`, `/dev/a:/dev/b`, `/dev/a:/dev/b:rw`, or the long form. */
export function readDevices(field: Field | undefined): Device[] | undefined {
  return field?.items().flatMap((item) => readDevice(item) ?? [])
}

function readDevice(item: Field): Device | undefined {
  if (item.node.kind === 'map') {
    item.onlyKnows(['source', 'target', 'permissions'])
    const source = item.get('source')?.string()
    if (source === undefined)
      return item.get('source') ? undefined : item.error('names no source, a device of the host')
    return checked(item, source, item.get('target')?.string(), item.get('permissions')?.string())
  }
  const text = item.text()
  if (text === undefined) return undefined
  if (/^[\w.-]+\/[\w.-]+=/.test(text)) return item.notHonoured('devices by CDI name are not honoured yet')
  const [source = '', target, permissions, ...more] = text.split(':')
  if (more.length > 0) return item.error(`"${text}" is not a device; write it like /dev/ttyUSB0:/dev/ttyUSB0:rw`)
  return checked(item, source, target, permissions)
}

function checked(item: Field, hostPath: string, target: string | undefined, permissions = 'rwm'): Device | undefined {
  // Compose also reads `/dev/a:rw`.
  const [containerPath, granted] =
    target !== undefined && /^[rwm]+$/.test(target) ? [hostPath, target] : [target ?? hostPath, permissions]
  if (!hostPath.startsWith('/') || !containerPath.startsWith('/'))
    return item.error('a device is an absolute path like /dev/ttyUSB0')
  if (!/^[rwm]{1,3}$/.test(granted))
    return item.error(`"${granted}" are not permissions of a device; r, w and m make them`)
  return { hostPath, containerPath, permissions: granted }
}

export function readLogging(field: Field | undefined): ContainerSpec['logging'] {
  if (!field) return undefined
  field.onlyKnows(['driver', 'options'])
  if (field.node.kind !== 'map') return undefined
  return { driver: field.get('driver')?.string() ?? 'json-file', options: readSettings(field.get('options')) ?? {} }
}
