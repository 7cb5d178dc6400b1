/** Worlds at rest of any size, for measuring how long a question takes. */
import type { World } from '../../coordinator/world.ts'
import { GiB } from '../../test/build/spec.ts'
import { aNode, aService, aTask, aWorld } from '../../test/build/world.ts'

/** Nodes in three zones and racks of 50; services of 200 tasks, CPU and memory about half promised. */
export function aFleet(nodeCount: number, taskCount: number): World {
  const nodes = Array.from({ length: nodeCount }, (_, index) =>
    aNode({
      name: `n${String(index).padStart(5, '0')}`,
      cpuCores: 64,
      memoryBytes: 256 * GiB,
      operatorLabels: { zone: 'abc'[index % 3]!, rack: `r${Math.floor(index / 50)}` },
    }),
  )
  const replicas = 200
  const services = Array.from({ length: taskCount / replicas }, (_, index) =>
    aService({
      shortName: `s${index}`,
      spec: { replicas, cpuCores: 0.5 + (index % 8) * 0.25, memoryBytes: (1 + (index % 10)) * GiB },
    }),
  )
  let next = 0
  const tasks = services.flatMap(({ name }) =>
    Array.from({ length: replicas }, (_, index) =>
      aTask({ id: `${name}.${index + 1}.a`, service: name, slot: index + 1, node: nodes[next++ % nodeCount]!.name }),
    ),
  )
  return aWorld({ nodes, services, tasks })
}
