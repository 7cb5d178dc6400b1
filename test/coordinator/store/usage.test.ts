import { expect, test } from 'vitest'
import { measuredNeed } from '../../../coordinator/decide/service-usage.ts'
import { apply } from '../../../coordinator/store/apply.ts'
import { aHostLoad, aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const GiB = 1024 ** 3
const load = aHostLoad()

/** What the service is reckoned to need after ten minutes in which one task is idle and one busy, each read every so many seconds. */
function needAfter({ idleEveryS, busyEveryS }: { idleEveryS: number; busyEveryS: number }) {
  const tasks = ['idle', 'busy'].map((id, index) => aTask({ id, slot: index + 1, node: 'n1', firstUpAt: NOW }))
  const world = aWorld({ nodes: [aNode()], services: [aService()], tasks })
  for (let second = 0; second < 600; second++) {
    const containers = [
      ...(second % idleEveryS === 0 ? [{ task: 'idle', cpuCoresUsed: 0.01, memoryBytesUsed: GiB / 100 }] : []),
      ...(second % busyEveryS === 0 ? [{ task: 'busy', cpuCoresUsed: 2, memoryBytesUsed: GiB }] : []),
    ]
    apply(world, {
      at: NOW + second * 1000,
      observation: { kind: 'heartbeat', node: 'n1', revision: 1, load, containers },
    })
  }
  const usage = world.usageByService.get(tasks[0]!.service)!
  return { need: measuredNeed(usage), cpu: [...usage.cpu.weights], peak: world.nodes.get('n1')!.loadHistory.peak }
}

test('what a service needs does not depend on how often each of its containers is read', () => {
  const even = needAfter({ idleEveryS: 1, busyEveryS: 1 })
  expect(even.need).not.toBeNull()
  expect(needAfter({ idleEveryS: 10, busyEveryS: 1 })).toEqual(even)
  expect(needAfter({ idleEveryS: 1, busyEveryS: 60 })).toEqual(even)
})
