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
import { type Dice, diceFrom } from '../../../build/chance.ts'
import { aPort, GiB, MiB } from '../../../build/spec.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../../build/world.ts'

export type RandomCase = { world: World; requests: PlaceRequest[]; policy: PolicyName }

export function randomCase(seed: number, sizes: { nodesMax: number; requestsMax: number }): RandomCase {
  const dice = diceFrom(seed)
  const nodes = Array.from({ length: 1 + dice.below(sizes.nodesMax) }, (_, index) => randomNode(index, dice))
  const services = Array.from({ length: 1 + dice.below(12) }, (_, index) => randomService(index, nodes, dice))
  const tasks = randomTasks(nodes, services, dice)
  const world = aWorld({ nodes, services, tasks })
  const policy = dice.of(POLICY_NAMES)
  return { world, requests: randomRequests(services, nodes, 1 + dice.below(sizes.requestsMax), dice), policy }
}

/** The picture anew: placing changes it. */
export const pictureOfCase = ({ world }: RandomCase) => pictureOf(world)

function randomNode(index: number, dice: Dice): Node {
  const cpuCores = dice.of([2, 4, 4, 16])
  const memoryBytes = dice.of([4, 8, 8, 64]) * GiB
  const load = {
    cpuCoresUsed: dice.share() * cpuCores,
    memoryBytesUsed: dice.share() * memoryBytes,
    memoryBytesTotal: memoryBytes,
  } as Node['load']
  return aNode({
    name: `n${index}`,
    cpuCores,
    memoryBytes,
    load: dice.below(4) === 0 ? null : load,
    agentLabels: { zone: dice.of(['a', 'b', 'c']), rack: `r${dice.below(5)}`, disk: dice.of(['ssd', 'hdd']) },
    availability: dice.below(12) === 0 ? 'drain' : 'active',
    status: dice.below(12) === 0 ? { name: 'lost', since: NOW, why: 'silent' } : { name: 'ready', since: NOW },
    overcommit: { cpu: dice.of([1, 1, 2]), memory: 1 },
    reserve: { memoryBytes: dice.of([0, 0, GiB]) },
    generic: { gpu: dice.below(3) },
    taints: dice.of([[], [], [], ['slow:prefer-no-schedule'], ['gpu:no-schedule'], ['old:no-execute']]),
  })
}

function randomService(index: number, nodes: Node[], dice: Dice): Service {
  const volumes = dice.below(6) === 0 ? ['data'] : []
  const homes = new Map<number, string>()
  if (volumes.length > 0) for (let slot = 1; slot < 5; slot += 2) homes.set(slot, dice.of(nodes).name)
  const policy = dice.below(2) === 0 ? {} : { policy: dice.of(POLICY_NAMES) }
  return aService({
    shortName: `s${index}`,
    homes,
    spec: {
      cpuCores: dice.of([0, 0.1, 0.5, 1.5]),
      memoryBytes: dice.of([0, 64 * MiB, 300 * MiB, 2 * GiB]),
      ports: dice.below(5) === 0 ? [aPort(80 + dice.below(2))] : [],
      volumes,
      generic: dice.of<Record<string, number>>([{}, {}, {}, { gpu: 1 }]),
      placement: {
        ...policy,
        constraints: dice.of<Constraint[]>([
          [],
          [],
          [label('disk', '==', 'ssd')],
          [label('zone', '!=', 'b')],
          [label('zone', '==', 'a'), label('disk', '==', 'ssd')],
        ]),
        spreadOver: dice.of<string[]>([
          [],
          [],
          [],
          ['node.labels.zone'],
          ['node.labels.zone', 'node.labels.rack'],
          ['node.hostname'],
        ]),
        tolerations: dice.of<Toleration[]>([[], [], [{ key: 'gpu', operator: 'exists' }]]),
        affinity: dice.below(3) === 0 ? [randomAffinity(dice)] : [],
        ...(dice.below(4) === 0 && { maxPerNode: 1 + dice.below(2) }),
      },
    },
  })
}

/** Of services that there are mostly, the asking one among them. */
function randomAffinity(dice: Dice): Affinity {
  return {
    service: `s${dice.below(4)}`,
    over: dice.of(['node.name', 'node.labels.zone', 'node.labels.rack']),
    anti: dice.below(2) === 0,
    required: dice.below(2) === 0,
  }
}

function label(name: string, operator: '==' | '!=', value: string): Constraint {
  return { attribute: `node.labels.${name}`, operator, value }
}

function randomTasks(nodes: Node[], services: Service[], dice: Dice): Task[] {
  return Array.from({ length: dice.below(4 * nodes.length) }, (_, index) => {
    const placedAt = dice.below(2) === 0 ? NOW - 5_000 : NOW - 500_000
    return aTask({
      id: `old${index}`,
      service: dice.of(services).name,
      slot: 100 + index,
      node: dice.of(nodes).name,
      placedAt,
      state: dice.below(10) === 0 ? 'failed' : 'running',
    })
  })
}

function randomRequests(services: Service[], nodes: Node[], count: number, dice: Dice): PlaceRequest[] {
  const requests: PlaceRequest[] = []
  while (requests.length < count) {
    const service = dice.of(services)
    // Few and many of a version at a time: they are placed by different ways.
    const alike = dice.of([1, 1, 3, 40])
    for (let each = 0; each < alike && requests.length < count; each++) {
      const slot = requests.length + 1
      const onlyNode = dice.below(15) === 0 ? dice.of(nodes).name : null
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
