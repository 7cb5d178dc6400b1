/** Room is short: a service of higher priority has tasks of a lower one stopped for it, which come back when it leaves. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly } from '../engines/exactly.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, makeBed, tasksOf } from './bed.ts'

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  bed = await makeBed({ hosts: 2 })
  cluster = bed.cluster
})
afterAll(() => bed?.hosts.stop())

/** So much that two of them fill a host, whatever the host has. */
async function halfOfAHost(): Promise<string> {
  const { nodes } = await cluster.status()
  const memoryBytes = Math.min(...nodes.map((node) => node.memoryBytes))
  return `${Math.floor(memoryBytes / 2 / 2 ** 20) - 1}M`
}

/** It takes a second to stop, and leaves a file: what is killed leaves none. */
const GRACEFUL = `["sh", "-c", "trap 'sleep 1; touch /left/$$HOSTNAME; exit 0' TERM; while :; do sleep 1000 & wait $$!; done"]`

test('victims stop in good order, are queued again and told why, and come back when the room is free', async () => {
  const memory = await halfOfAHost()
  const left = mkdtempSync(join(tmpdir(), 'berth-left-'))
  onTestFinished(() => rmSync(left, { recursive: true, force: true }))
  const service = (priority: string, replicas: number) => `
    image: bb:1
    command: ${GRACEFUL}
    stop_grace_period: 20s
    volumes: ["${left}:/left"]
    x-berth: { priority: ${priority} }
    deploy: { replicas: ${replicas}, resources: { reservations: { memory: ${memory} } } }`
  exits(await cluster.deploy('batch', `services:\n  low:${service('low', 4)}`), 0)
  const before = await assertExactly(cluster.hosts, { batch_low: 4 })

  exits(await cluster.deploy('shop', `services:\n  api:${service('high', 2)}`), 0)
  const [api] = await tasksOf(cluster, 'shop_api')
  await until(
    async () => (await tasksOf(cluster, 'batch_low')).filter(({ state }) => state === 'waiting').length === 2,
    'two tasks to be queued again',
  )
  const during = await assertExactly(cluster.hosts, { batch_low: 2, shop_api: 2 })
  const kept = [...before].filter(([id, { startedAt }]) => during.get(id)?.startedAt === startedAt)
  expect(kept, 'those that were not in the way ran on').toHaveLength(2)
  const waiting = (await tasksOf(cluster, 'batch_low')).filter(({ state }) => state === 'waiting')
  for (const task of waiting) {
    expect(task.preempted).toMatch(/^preempted by shop_api\.\d\.\w+ \(priority 75\) for memory /)
    expect(task.waits).toMatchObject([{ check: 'memory' }])
  }
  const said = exits(await cluster.berth('ps'), 0)
  expect(said).toMatch(/batch_low\.\d .*waiting: preempted by shop_api/)
  const events = exits(await cluster.berth('events'), 0)
  expect(events.match(/is preempted by shop_api\.\d\.\w+ \(priority 75\) for memory/g)).toHaveLength(2)
  expect(events).toMatch(/shop_api\.\d\.\w+ \(priority 75\) gets room on host-\d/)
  expect(readdirSync(left), 'stopped in good order').toHaveLength(2)
  expect(api?.state).toBe('running')

  exits(await cluster.berth('rm', 'shop'), 0)
  await until(
    async () => (await tasksOf(cluster, 'batch_low')).every(({ state }) => state === 'running'),
    'all of low priority to run again',
  )
  await assertExactly(cluster.hosts, { batch_low: 4 }, { since: during, unchanged: ['batch_low'] })
  cluster.coordinator.mustLive()
})
