/** Affinities that could never be met, and those that cannot be met as things are. */
import { didYouMean } from '../../shared/compose/suggest.ts'
import { fullServiceName } from '../../shared/names.ts'
import type { Affinity, ServiceSpec, StackSpec } from '../../shared/spec.ts'
import type { ServiceName, World } from '../world.ts'
import { type Admission, refused } from './admission.ts'
import { circleIn } from './circle.ts'
import { wantedVersionOf } from './service-facts.ts'

type Wish = Affinity & { target: ServiceName }
/** What each service would want once the stack is deployed, by full name. */
export type Specs = ReadonlyMap<ServiceName, { stack: string; spec: ServiceSpec }>

export function affinityRefusal(specs: Specs, stack: StackSpec): Admission | null {
  for (const shortName of Object.keys(stack.services)) {
    const name = fullServiceName(stack.name, shortName)
    const no = nearAndAway(specs, name)
    if (no) return no
  }
  return waitingCircle(specs, stack)
}

export function affinityWarnings({ nodes }: World, specs: Specs, name: ServiceName, spec: ServiceSpec): string[] {
  const warnings: string[] = []
  for (const { target, anti, required } of wishesOf(specs, name)) {
    if (specs.has(target)) continue
    const then = anti
      ? 'there is nothing to keep away from yet'
      : required
        ? 'its tasks wait until it has one'
        : 'the wish counts once it has one'
    warnings.push(`${name}: there is no service ${target} now, so ${then}${didYouMean(target, specs.keys())}`)
  }
  const { replicas } = spec.mode.kind === 'replicated' ? spec.mode : { replicas: 1 }
  const isAlone = wishesOf(specs, name).some(
    ({ target, over, anti, required }) => anti && required && target === name && isNode(over),
  )
  if (isAlone && nodes.size > 0 && replicas > nodes.size) {
    warnings.push(`${name}: ${replicas} tasks want a node each, but there are ${nodes.size} nodes; the rest will wait`)
  }
  return warnings
}

/** Reckoned once for a deployment: it goes through every service that there is. */
export function specsWith(world: World, stack: StackSpec): Specs {
  const specs = new Map<ServiceName, { stack: string; spec: ServiceSpec }>()
  for (const service of world.services.values()) {
    if (!service.removing) specs.set(service.name, { stack: service.stack, spec: wantedVersionOf(service).spec })
  }
  for (const [shortName, spec] of Object.entries(stack.services)) {
    specs.set(fullServiceName(stack.name, shortName), { stack: stack.name, spec })
  }
  return specs
}

function wishesOf(specs: Specs, name: ServiceName): Wish[] {
  const service = specs.get(name)
  return (service?.spec.placement.affinity ?? []).map((wish) => {
    const own = fullServiceName(service!.stack, wish.service)
    return { ...wish, target: specs.has(own) ? own : wish.service }
  })
}

/** Near a service and away from it in one place; also when it is the other one that wants to be away. */
function nearAndAway(specs: Specs, name: ServiceName): Admission | null {
  const required = (of: ServiceName) => wishesOf(specs, of).filter((wish) => wish.required)
  for (const near of required(name)) {
    if (near.anti) continue
    const { target, over } = near
    const clashes = (wish: Wish, of: ServiceName) => wish.anti && wish.target === of && isSamePlace(wish.over, over)
    if (required(name).some((wish) => clashes(wish, target))) {
      const message = `${name}: no place can be both near ${target} and away from it, over ${over}`
      return refused('invalid-request', message, { service: name, target, over })
    }
    if (required(target).some((wish) => clashes(wish, name))) {
      const message = `${name} wants to be near ${target}, and ${target} wants to be away from it, over ${over}: no place could be right`
      return refused('invalid-request', message, { service: name, target, over })
    }
  }
  return null
}

/** Who must be near a service waits for its first task, as one that depends on it does. */
function waitingCircle(specs: Specs, stack: StackSpec): Admission | null {
  const waitsFor = (name: ServiceName): ServiceName[] => {
    const service = specs.get(name)
    const dependencies = Object.keys(service?.spec.dependsOn ?? {}).map((each) => fullServiceName(service!.stack, each))
    const near = wishesOf(specs, name).filter(({ anti, required, target }) => !anti && required && target !== name)
    return [...dependencies, ...near.map(({ target }) => target)]
  }
  const names = Object.keys(stack.services).map((each) => fullServiceName(stack.name, each))
  const circle = circleIn(names, waitsFor)
  if (!circle) return null
  const message = `services wait in a circle, each for the other's first task to be near it or to depend on: ${circle.join(' → ')}`
  return refused('invalid-request', message, { stack: stack.name, circle })
}

function isSamePlace(a: string, b: string): boolean {
  return a === b || (isNode(a) && isNode(b))
}

function isNode(over: string): boolean {
  return over === 'node.name' || over === 'node.id'
}
