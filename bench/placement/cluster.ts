/** Nodes and requests as plain values, from one seed: no coordinator, no agents. */
import type { PlaceRequest } from '../../coordinator/decide/requests.ts'
import type { Node, Service, World } from '../../coordinator/world.ts'
import type { Constraint, PolicyName } from '../../shared/spec.ts'
import { type Dice, diceFrom } from '../../test/build/chance.ts'
import { GiB, MiB, type ServiceSpecGiven } from '../../test/build/spec.ts'
import { aNode, aService, aWorld } from '../../test/build/world.ts'

/** 16 cores and 64 GiB each, in five zones, half of them with an SSD, three kinds of machine, each measured at some load. */
export function clusterOf(count: number, seed = 1): World {
  const dice = diceFrom(seed)
  return aWorld({ nodes: Array.from({ length: count }, (_, index) => nodeOf(index, dice)) })
}

function nodeOf(index: number, dice: Dice): Node {
  const load = {
    cpuCoresUsed: dice.share() * 8,
    memoryBytesUsed: dice.share() * 32 * GiB,
    memoryBytesTotal: 64 * GiB,
  } as Node['load']
  return aNode({
    name: `node-${String(index).padStart(5, '0')}`,
    cpuCores: 16,
    memoryBytes: 64 * GiB,
    load,
    agentLabels: {
      zone: `z${index % 5}`,
      disk: dice.below(2) === 0 ? 'ssd' : 'hdd',
      kind: dice.of(['general', 'general', 'compute', 'memory']),
    },
  })
}

const ssd: Constraint = { attribute: 'node.labels.disk', operator: '==', value: 'ssd' }
const notZone4: Constraint = { attribute: 'node.labels.zone', operator: '!=', value: 'z4' }

/** Twelve sets, from none to two, that a twelfth to all of the nodes meet. */
const CONSTRAINT_SETS: readonly Constraint[][] = [
  [],
  [],
  [ssd],
  [notZone4],
  [ssd, notZone4],
  [{ attribute: 'node.labels.kind', operator: '!=', value: 'memory' }],
  ...['z0', 'z1', 'z2', 'z3', 'z4'].map((value): Constraint[] => [
    { attribute: 'node.labels.zone', operator: '==', value },
  ]),
  [{ attribute: 'node.labels.kind', operator: '==', value: 'compute' }, ssd],
]

/** So many services of so many tasks each, all of one spec: CPU, memory and two constraints. */
export function requestsAlike(services: number, tasks: number, policy: PolicyName): PlaceRequest[] {
  return Array.from({ length: services }, (_, number) =>
    requestsOf(
      number,
      { cpuCores: 0.05, memoryBytes: 128 * MiB, placement: { policy, constraints: [ssd, notZone4] } },
      tasks,
    ),
  ).flat()
}

/** Each of a service of its own, with its own reservations; constraints from the sets above. */
export function requestsDiffering(count: number, policy: PolicyName, seed = 2): PlaceRequest[] {
  const dice = diceFrom(seed)
  return Array.from({ length: count }, (_, number) => {
    const cpuCores = 0.01 + dice.share() * 0.19
    const memoryBytes = Math.round((16 + dice.share() * 700) * MiB)
    const constraints = structuredClone(dice.of(CONSTRAINT_SETS))
    return requestsOf(number, { cpuCores, memoryBytes, placement: { policy, constraints } }, 1)
  }).flat()
}

function requestsOf(number: number, spec: ServiceSpecGiven, tasks: number): PlaceRequest[] {
  const service: Service = aService({ stack: 'bench', shortName: `s${number}`, spec: { ...spec, replicas: tasks } })
  const version = service.versions.get(1)!
  return Array.from({ length: tasks }, (_, index) => ({
    task: `${service.name}.${index + 1}.a`,
    service,
    version,
    slot: index + 1,
    onlyNode: null,
    waitsFor: [],
  }))
}
