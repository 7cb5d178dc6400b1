/** The merged tree → what the coordinator is asked for. */
import { Value } from 'typebox/value'
import { NAME_PATTERN } from '../names.ts'
import { type ServiceSpec, StackSpec } from '../spec.ts'
import { Field } from './field.ts'
import { reportCycles } from './fields/dependencies.ts'
import { checkTopNetworks } from './fields/network.ts'
import { readService } from './fields/service.ts'
import { readVolumes } from './fields/volumes.ts'
import type { Findings } from './findings.ts'
import { chooseServices } from './profiles.ts'
import type { ServiceFiles } from './service-files.ts'
import type { Environment } from './session.ts'
import type { MapNode } from './tree.ts'

const TOP_FIELDS = ['version', 'name', 'include', 'services', 'networks', 'volumes', 'secrets', 'configs', 'models']
const MAX_SERVICES = 1000

export type StackRequest = {
  model: MapNode
  name: string
  profiles: string[]
  files: ServiceFiles
  environment: Environment
  findings: Findings
}

export function toStack(request: StackRequest): StackSpec {
  const { findings, name } = request
  const root = new Field(request.model, '', findings)
  root.onlyKnows(TOP_FIELDS)
  checkTopNetworks(root.get('networks'))
  for (const key of ['secrets', 'configs', 'models', 'networks']) root.get(key)?.members()
  const volumes = readVolumes(root.get('volumes'), name)
  const all = servicesOf(root)
  const names = chooseServices(all, request.profiles)
  const services: Record<string, ServiceSpec> = {}
  const dependsOn = new Map<string, { names: string[]; field: Field }>()
  for (const [service, field] of all) {
    if (!names.active.has(service)) continue
    const fromFiles = request.files.get(service) ?? { environment: new Map(), labels: new Map() }
    const spec = readService(field, { volumes, fromFiles, environment: request.environment }, names)
    services[service] = spec
    dependsOn.set(service, { names: Object.keys(spec.dependsOn), field: field.get('depends_on') ?? field })
  }
  reportCycles(dependsOn)
  if (all.length > 0 && names.active.size === 0)
    root.get('services')?.error('every service has a profile and none of them is wanted; add --profile NAME')
  const stack: StackSpec = { name, services }
  if (!findings.hasErrors) checkAgainstSchema(stack, root)
  return stack
}

function servicesOf(root: Field): [string, Field][] {
  const field = root.get('services')
  const services = field?.members() ?? []
  if (services.length === 0 && (!field || field.node.kind === 'map'))
    root.error('has no services; a Compose file describes at least one under "services"')
  if (services.length > MAX_SERVICES) field!.error(`has ${services.length} services; a stack may have ${MAX_SERVICES}`)
  return services.slice(0, MAX_SERVICES).filter(([name, service]) => {
    if (!new RegExp(NAME_PATTERN).test(name)) {
      service
        .atKey()
        .error(
          `"${name}" is not a name; small letters and digits make one, with "-", "_" and "." inside, up to 63 in all`,
        )
    }
    if (service.node.kind === 'map') return true
    service.wrongKind('a mapping')
    return false
  })
}

/** The bounds on lengths live in the schema only; a reader above would repeat them. */
function checkAgainstSchema(stack: StackSpec, root: Field): void {
  for (const problem of Value.Errors(StackSpec, stack).slice(0, 10)) {
    const [, , service = ''] = problem.instancePath.split('/')
    const field = root.get('services')?.get(service) ?? root
    field.error(`${problem.instancePath} ${problem.message}`)
  }
}
