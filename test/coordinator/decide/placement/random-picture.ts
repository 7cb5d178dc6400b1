/** Random nodes, services and requests, from one seed: crowded enough that room, ports and limits run out. */
import { pictureOf } from '../../../../coordinator/decide/picture.ts'
import type { PlaceRequest } from '../../../../coordinator/decide/requests.ts'
import type { Node, Service, Task, World } from '../../../../coordinator/world.ts'
import {
  type Affinity,
  type Constraint,
  POLICY_NAMES,
  type PolicyName,
  type Toleration,
} from '../../../../shared/spec.ts'
import { aPort, GiB, MiB } from '../../../build/spec.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../../build/world.ts'

export type RandomCase = { world: World; requests: PlaceRequest[]; policy: PolicyName }

export function randomCase(seed: number, sizes: { nodesMax: number; requestsMax: number }): RandomCase {
  const chance = chanceFrom(seed)
  const nodes = Array.from({ length: 1 + chance.below(sizes.nodesMax) }, (_, index) => randomNode(index, chance))
  const services = Array.from({ length: 1 + chance.below(12) }, (_, index) => randomService(index, nodes, chance))
  const tasks = randomTasks(nodes, services, chance)
  const world = aWorld({ nodes, services, tasks })
  const policy = chance.of(POLICY_NAMES)
  return { world, requests: randomRequests(services, nodes, 1 + chance.below(sizes.requestsMax), chance), policy }
}

/** The picture anew: placing changes it. */
export const pictureOfCase = ({ world }: RandomCase) => pictureOf(world)

function randomNode(index: number, chance: Chance): Node {
  const cpuCores = chance.of([2, 4, 4, 16])
  const memoryBytes = chance.of([4, 8, 8, 64]) * GiB
  const load = {
    cpuCoresUsed: chance.share() * cpuCores,
    memoryBytesUsed: chance.share() * memoryBytes,
    memoryBytesTotal: memoryBytes,
  } as Node['load']
  return aNode({
    name: `n${index}`,
    cpuCores,
    memoryBytes,
    load: chance.below(4) === 0 ? null : load,
    agentLabels: { zone: chance.of(['a', 'b', 'c']), rack: `r${chance.below(5)}`, disk: chance.of(['ssd', 'hdd']) },
    availability: chance.below(12) === 0 ? 'drain' : 'active',
    status: chance.below(12) === 0 ? { name: 'lost', since: NOW, why: 'silent' } : { name: 'ready', since: NOW },
    overcommit: { cpu: chance.of([1, 1, 2]), memory: 1 },
    reserve: { memoryBytes: chance.of([0, 0, GiB]) },
    generic: { gpu: chance.below(3) },
    taints: chance.of([[], [], [], ['slow:prefer-no-schedule'], ['gpu:no-schedule'], ['old:no-execute']]),
  })
}

function randomService(index: number, nodes: Node[], chance: Chance): Service {
  const volumes = chance.below(6) === 0 ? ['data'] : []
  const homes = new Map<number, string>()
  if (volumes.length > 0) for (let slot = 1; slot < 5; slot += 2) homes.set(slot, chance.of(nodes).name)
  const policy = chance.below(2) === 0 ? {} : { policy: chance.of(POLICY_NAMES) }
  return aService({
    shortName: `s${index}`,
    homes,
    spec: {
      cpuCores: chance.of([0, 0.1, 0.5, 1.5]),
      memoryBytes: chance.of([0, 64 * MiB, 300 * MiB, 2 * GiB]),
      ports: chance.below(5) === 0 ? [aPort(80 + chance.below(2))] : [],
      volumes,
      generic: chance.of<Record<string, number>>([{}, {}, {}, { gpu: 1 }]),
      placement: {
        ...policy,
        constraints: chance.of<Constraint[]>([
          [],
          [],
          [label('disk', '==', 'ssd')],
          [label('zone', '!=', 'b')],
          [label('zone', '==', 'a'), label('disk', '==', 'ssd')],
        ]),
        spreadOver: chance.of<string[]>([
          [],
          [],
          [],
          ['node.labels.zone'],
          ['node.labels.zone', 'node.labels.rack'],
          ['node.hostname'],
        ]),
        tolerations: chance.of<Toleration[]>([[], [], [{ key: 'gpu', operator: 'exists' }]]),
        affinity: chance.below(3) === 0 ? [randomAffinity(chance)] : [],
        ...(chance.below(4) === 0 && { maxPerNode: 1 + chance.below(2) }),
      },
    },
  })
}

/** Of services that there are mostly, the asking one among them. */
function randomAffinity(chance: Chance): Affinity {
  return {
    service: `s${chance.below(4)}`,
    over: chance.of(['node.name', 'node.labels.zone', 'node.labels.rack']),
    anti: chance.below(2) === 0,
    required: chance.below(2) === 0,
  }
}

function label(name: string, operator: '==' | '!=', value: string): Constraint {
  return { attribute: `node.labels.${name}`, operator, value }
}

function randomTasks(nodes: Node[], services: Service[], chance: Chance): Task[] {
  return Array.from({ length: chance.below(4 * nodes.length) }, (_, index) => {
    const placedAt = chance.below(2) === 0 ? NOW - 5_000 : NOW - 500_000
    return aTask({
      id: `old${index}`,
      service: chance.of(services).name,
      slot: 100 + index,
      node: chance.of(nodes).name,
      placedAt,
      state: chance.below(10) === 0 ? 'failed' : 'running',
    })
  })
}

function randomRequests(services: Service[], nodes: Node[], count: number, chance: Chance): PlaceRequest[] {
  const requests: PlaceRequest[] = []
  while (requests.length < count) {
    const service = chance.of(services)
    // Few and many of a version at a time: they are placed by different ways.
    const alike = chance.of([1, 1, 3, 40])
    for (let each = 0; each < alike && requests.length < count; each++) {
      const slot = requests.length + 1
      const onlyNode = chance.below(15) === 0 ? chance.of(nodes).name : null
      requests.push({
        task: `t${slot}`,
        service,
        version: service.versions.get(1)!,
        slot: slot % 7,
        onlyNode,
        waitsFor: [],
      })
    }
  }
  return requests
}

export type Chance = { below(count: number): number; share(): number; of<T>(values: readonly T[]): T }

/** mulberry32, by Tommy Ettinger: small, and the same everywhere. */
export function chanceFrom(seed: number): Chance {
  let state = seed >>> 0
  const share = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count: number) => Math.floor(share() * count)
  return { share, below, of: (values) => values[below(values.length)]! }
}
