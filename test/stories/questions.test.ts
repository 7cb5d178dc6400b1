/** The scheduler is questioned on real Engines: what it says is what then happens, and asking changes nothing. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { PlanDocument, WhatIfDocument, WhyDocument } from '../../shared/api.ts'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly, snapshot } from '../engines/exactly.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, expectShape, makeBed, remake, tasksOf } from './bed.ts'

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  bed = await makeBed({ hosts: 2 })
  cluster = bed.cluster
})
afterAll(() => bed?.hosts.stop())
afterEach(() => remake(bed))

const web = (image: string, replicas: number) =>
  `services: { web: { image: "${image}", deploy: { replicas: ${replicas} } } }`

test('what is planned is what the deployment then does, and planning does nothing', async () => {
  exits(await cluster.deploy('shop', web('bb:1', 3)), 0)
  const since = await snapshot(cluster.hosts)
  const file = cluster.composeFile('shop', web('bb:1', 5))
  const planned = await cluster.berth('plan', '-f', file, '--stack', 'shop', '--json')
  expect(planned.exit, planned.stderr).toBe(5)
  const plan = JSON.parse(planned.stdout)
  expectShape(PlanDocument, plan)
  await assertExactly(cluster.hosts, { shop_web: 3 }, { since })
  exits(await cluster.berth('deploy', '-f', file, '--stack', 'shop'), 0)
  const tasks = await tasksOf(cluster, 'shop_web')
  for (const { task, to } of plan.changes) expect(tasks.find(({ name }) => name === task)?.node, task).toBe(to)
  expect(exits(await cluster.berth('plan', '-f', file, '--stack', 'shop'), 0)).toContain('nothing would change')
})

test('why a task waits, and the smallest change, which then lets it run', async () => {
  const { nodes } = await cluster.status()
  const mib = Math.floor((nodes[0]!.memoryBytes * 0.6) / 2 ** 20)
  const compose = (memory: number) =>
    `services: { a: { image: "bb:1", deploy: { replicas: 3, resources: { reservations: { memory: ${memory}M } } } } }`
  exits(await cluster.deploy('tight', compose(mib), '--timeout', '5s'), 4)
  const { stdout } = await cluster.berth('why', 'tight_a', '--json')
  const why = JSON.parse(stdout)
  expectShape(WhyDocument, why)
  const [wait] = why.waits
  expect(wait.checks[0]).toMatchObject({ check: 'memory', count: 2, of: 2 })
  const [change] = wait.smallestChanges[0].changes
  expect(change).toMatchObject({ kind: 'reserve-less', resource: 'memory' })
  exits(await cluster.deploy('tight', compose(Math.floor(change.to / 2 ** 20))), 0)
})

test('when a host is emptied its tasks go where it was said that they would if it were lost', async () => {
  exits(await cluster.deploy('shop', web('bb:1', 4)), 0)
  const emptied = bed.hosts.hosts[0]!
  const { stdout } = await cluster.berth('what-if', '--lose', emptied.name, '--json')
  const supposed = JSON.parse(stdout)
  expectShape(WhatIfDocument, supposed)
  expect(supposed.changes.map(({ kind }: { kind: string }) => kind)).toEqual(['move', 'move'])
  exits(await cluster.berth('drain', emptied.name), 0)
  for (const { task, to } of supposed.changes) {
    await until(async () => {
      const tasks = await tasksOf(cluster, 'shop_web')
      return tasks.some((each) => each.name === task && each.node === to && each.state === 'running')
    }, `${task} to run on ${to}`)
  }
})
