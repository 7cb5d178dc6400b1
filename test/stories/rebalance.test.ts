/** A host joins a cluster that is full on one side: tasks are moved to it start-first, and back again, and nothing else is touched. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly, assertUnchanged, snapshot } from '../engines/exactly.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, makeBed } from './bed.ts'
import { watch } from './timeline.ts'

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  bed = await makeBed({ agents: 2 })
  cluster = bed.cluster
})
afterAll(() => bed?.hosts.stop())

async function perHost(service: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const one of (await snapshot(cluster.hosts)).values()) {
    if (one.service === service && one.state === 'running') counts[one.host] = (counts[one.host] ?? 0) + 1
  }
  return counts
}

test('a new host takes its share, none is missing meanwhile, what did not move was not touched, and it can be undone', async () => {
  const compose = `
services:
  web:
    image: bb:1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait $$!; done"]
    deploy: { replicas: 6 }
  bystander: { image: "bb:1", command: ["sleep", "100000"], deploy: { replicas: 1, placement: { constraints: [node.name==host-1] } } }
`
  exits(await cluster.deploy('shop', compose), 0)
  const wanted = { shop_web: 6, shop_bystander: 1 }
  const before = await assertExactly(cluster.hosts, wanted)
  expect(exits(await cluster.berth('rebalance'), 0)).toContain('every task is where its policy would put it now')

  await cluster.agentOn(cluster.hosts[2]!).start()
  await cluster.nodesReady(['host-3'])
  const shown = exits(await cluster.berth('rebalance'), 0)
  expect(shown).toMatch(/^2 moves, in this order, start-first$/m)
  expect(shown.match(/shop_web\.\d +host-[12] +host-3 /g)).toHaveLength(2)
  expect(await perHost('shop_web')).toEqual({ 'host-1': 3, 'host-2': 3 })

  const watching = await watch(cluster.hosts, 'shop_web')
  expect(exits(await cluster.berth('rebalance', '--apply'), 0)).toContain('2 of 2 tasks moved')
  await until(async () => (await perHost('shop_web'))['host-3'] === 2, 'two tasks on the new host')
  const { running } = await watching.stop()
  expect(running.least, 'a replacement is up before the old one stops').toBe(6)
  const moved = await assertExactly(cluster.hosts, wanted)
  assertUnchanged(before, moved, ['shop_bystander'])
  const kept = [...before].filter(([id, { startedAt }]) => moved.get(id)?.startedAt === startedAt)
  expect(kept, 'four of six and the bystander').toHaveLength(5)
  const events = exits(await cluster.berth('events'), 0)
  expect(events).toMatch(/rebalance/)

  exits(await cluster.berth('rebalance', '--undo'), 0)
  await assertExactly(cluster.hosts, wanted)
  expect(await perHost('shop_web')).toEqual({ 'host-1': 3, 'host-2': 3 })
  cluster.coordinator.mustLive()
})
