/**
 * What was acknowledged, kept beside the system: for each fact the values it may have. An acknowledged change leaves one;
 * one whose answer never came leaves two, for it may or may not have been kept.
 */
import { wantedVersionOf } from '../../coordinator/decide/service-facts.ts'
import type { Change, Decision, World } from '../../coordinator/world.ts'
import { fullServiceName } from '../../shared/names.ts'
import { canonicalJson, type ServiceSpec } from '../../shared/spec.ts'

const ANYTHING = '*'
type Candidate = { change: number; value: string }

export class Acknowledged {
  private readonly facts = new Map<string, Candidate[]>()
  private changes = 0

  /** A change is about to be applied to the world. Gives its number. */
  begin(change: Change, world: World): number {
    const number = ++this.changes
    for (const [fact, value] of factsOf(change, world)) this.candidates(fact).push({ change: number, value })
    return number
  }

  acknowledged(number: number): void {
    for (const [fact, candidates] of this.facts) {
      if (candidates.some(({ change }) => change === number)) {
        this.facts.set(
          fact,
          candidates.filter(({ change }) => change >= number),
        )
      }
    }
  }

  /** It was refused: nothing of it may be seen. */
  refused(number: number): void {
    for (const [fact, candidates] of this.facts) {
      this.facts.set(
        fact,
        candidates.filter(({ change }) => change !== number),
      )
    }
  }

  /** A failed rollout goes back by itself, and then nobody's last word is what runs. */
  decided(decision: Decision, world: World): void {
    if (decision.kind !== 'set-rollout') return
    const service = world.services.get(decision.service)
    if (!service || service.version === decision.wantedVersion) return
    const number = ++this.changes
    for (const fact of [`${service.name} task`, `${service.name} replicas`]) {
      this.facts.set(fact, [{ change: number, value: ANYTHING }])
    }
  }

  /** Null, or which fact is not as it was acknowledged. */
  fault(world: World): string | null {
    for (const [fact, candidates] of this.facts) {
      if (candidates.length === 0 || candidates.some(({ value }) => value === ANYTHING)) continue
      const is = factIn(fact, world)
      if (!candidates.some(({ value }) => value === is)) {
        return `${fact} is ${is}, and was acknowledged as ${candidates.map(({ value }) => value).join(' or ')}`
      }
    }
    return null
  }

  private candidates(fact: string): Candidate[] {
    let candidates = this.facts.get(fact)
    if (!candidates) {
      // Before the first change of it nothing was there.
      candidates = [{ change: 0, value: fact.endsWith(' present') || fact.endsWith(' member') ? 'no' : ANYTHING }]
      this.facts.set(fact, candidates)
    }
    return candidates
  }
}

function factsOf(change: Change, world: World): [string, string][] {
  switch (change.kind) {
    case 'deploy-stack': {
      const facts = Object.entries(change.spec.services).flatMap(([short, spec]) =>
        serviceFacts(fullServiceName(change.spec.name, short), spec),
      )
      if (change.prune) {
        for (const { stack, name, shortName } of world.services.values()) {
          if (stack === change.spec.name && !change.spec.services[shortName]) facts.push(...absentFacts(name))
        }
      }
      return facts
    }
    case 'remove-stack':
      return [...world.services.values()]
        .filter(({ stack }) => stack === change.stack)
        .flatMap(({ name }) => absentFacts(name))
    case 'scale-service': {
      const service = world.services.get(change.service)
      if (!service) return []
      return [
        [`${change.service} task`, taskOf(wantedVersionOf(service).spec)],
        [`${change.service} replicas`, String(change.replicas)],
      ]
    }
    case 'rollback-service':
      return [
        [`${change.service} task`, ANYTHING],
        [`${change.service} replicas`, ANYTHING],
      ]
    case 'set-availability':
      return [[`${change.node} availability`, change.availability]]
    case 'label-node':
      return Object.entries(change.set).map(([label, value]) => [`${change.node} label ${label}`, value])
    case 'join-node':
      return [
        [`${change.node} member`, change.keyFingerprint],
        ...(world.nodes.has(change.node) ? [] : newcomer(change.node, 'active')),
      ]
    case 'remove-node':
      return [[`${change.node} member`, 'no'], ...newcomer(change.node, 'no')]
    default:
      return []
  }
}

function newcomer(node: string, availability: string): [string, string][] {
  return [
    [`${node} availability`, availability],
    [`${node} label zone`, 'no'],
  ]
}

function serviceFacts(name: string, spec: ServiceSpec): [string, string][] {
  return [
    [`${name} present`, 'yes'],
    [`${name} task`, taskOf(spec)],
    [`${name} replicas`, replicasOf(spec)],
  ]
}

function absentFacts(name: string): [string, string][] {
  return [
    [`${name} present`, 'no'],
    [`${name} task`, ANYTHING],
    [`${name} replicas`, ANYTHING],
  ]
}

function taskOf({ task }: ServiceSpec): string {
  return canonicalJson(task)
}

function replicasOf({ mode }: ServiceSpec): string {
  return mode.kind === 'global' ? 'global' : String(mode.replicas)
}

function factIn(fact: string, world: World): string {
  const [name = '', what = '', label = ''] = fact.split(' ')
  const node = world.nodes.get(name)
  const service = world.services.get(name)
  // Not through `wantedVersionOf`, which throws: a version that is missing is a change that was lost.
  const wanted = service?.versions.get(service.version)
  switch (what) {
    case 'member':
      return node?.keyFingerprint ?? 'no'
    case 'availability':
      return node?.availability ?? 'no'
    case 'label':
      return node?.operatorLabels[label] ?? 'no'
    case 'present':
      return service && !service.removing ? 'yes' : 'no'
    case 'task':
      return wanted ? taskOf(wanted.spec) : 'no'
    default:
      return wanted ? replicasOf(wanted.spec) : 'no'
  }
}
