/** Countable things and devices: `reservations.generic_resources`, `reservations.devices`, `gpus`. */
import { RESOURCE_COUNT_MAX, RESOURCE_PATTERN } from '../../names.ts'
import type { DeviceRequest, GenericResources } from '../../spec.ts'
import type { Field } from '../field.ts'
import { readSettings } from './environment.ts'
import { withoutUndefined } from './healthcheck.ts'

export function readGeneric(field: Field | undefined): GenericResources | undefined {
  const items = field?.items() ?? []
  const resources: GenericResources = {}
  for (const item of items) {
    item.onlyKnows(['discrete_resource_spec'])
    const spec = item.get('discrete_resource_spec')
    if (!spec) {
      item.error('names no resource; write "discrete_resource_spec: {kind: gpu, value: 1}"')
      continue
    }
    spec.onlyKnows(['kind', 'value'])
    const kind = spec.get('kind')
    const name = kind?.text()
    const count = spec.get('value')?.integer({ min: 0, max: RESOURCE_COUNT_MAX }) ?? 1
    if (kind === undefined || name === undefined) spec.error('names no kind of resource; write it like "kind: gpu"')
    else if (!new RegExp(RESOURCE_PATTERN).test(name)) notAName(kind, name)
    else if (Object.hasOwn(resources, name)) kind.error(`"${name}" is reserved twice; say how many in one place`)
    else resources[name] = count
  }
  return Object.keys(resources).length > 0 ? resources : undefined
}

/** `gpus` is short for `devices` with the capability `gpu`. */
export function readDeviceRequests(service: Field): DeviceRequest[] | undefined {
  const devices = service.get('deploy')?.get('resources')?.get('reservations')?.get('devices')
  const requests = (devices?.items() ?? []).map((field) => readRequest(field, []))
  const gpus = service.get('gpus')
  if (gpus?.node.kind === 'list') requests.push(...gpus.items().map((field) => readRequest(field, ['gpu'])))
  else if (gpus) requests.push(gpus.oneOf(['all']) && { count: ALL, capabilities: ['gpu'] })
  const read = requests.filter((request) => request !== undefined)
  return read.length > 0 ? read : undefined
}

const ALL = -1

function readRequest(field: Field, implied: string[]): DeviceRequest | undefined {
  field.onlyKnows(['capabilities', 'driver', 'count', 'device_ids', 'options'])
  if (field.node.kind !== 'map') return undefined
  const named = field.get('capabilities')?.texts() ?? []
  const capabilities = [...implied, ...named.filter((each) => !implied.includes(each))]
  if (capabilities.length === 0) return field.error('names no capability; write it like "capabilities: [gpu]"')
  const bad = capabilities.find((each) => !new RegExp(RESOURCE_PATTERN).test(each))
  if (bad !== undefined) return notAName(field.get('capabilities') ?? field, bad)
  const deviceIds = field.get('device_ids')?.texts()
  const count = field.get('count')
  if (deviceIds && count) return count.error('is said beside device_ids; name the devices or say how many')
  if (deviceIds?.length === 0) return field.get('device_ids')!.error('names no device; leave it out for all of them')
  return withoutUndefined<DeviceRequest>({
    driver: field.get('driver')?.text(),
    // The specification's default: all there are.
    count: deviceIds ? undefined : readCount(count),
    deviceIds,
    capabilities,
    options: readSettings(field.get('options')),
  })
}

function readCount(field: Field | undefined): number | undefined {
  if (!field || field.text() === 'all') return ALL
  return field.integer({ min: 1, max: RESOURCE_COUNT_MAX })
}

function notAName(field: Field, name: string): undefined {
  return field.error(`"${name}" cannot be the name of a resource; use letters, digits, ".", "_", "/" and "-"`)
}
