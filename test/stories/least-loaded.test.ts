/** Hosts are judged by what is measured on them, whoever causes it. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Cluster } from '../engines/berth.ts'
import { assertExactly } from '../engines/exactly.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, makeBed, tasksOf } from './bed.ts'

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  bed = await makeBed({ hosts: 3, hostCgroups: true })
  cluster = bed.cluster
})
afterAll(() => bed?.hosts.stop())

test('a host that a program outside Berth keeps busy gets none of the new tasks under least-loaded', async () => {
  const busy = bed.hosts.hosts[1]!
  const loadOf = async () =>
    (await cluster.status()).nodes.map(({ name, load, cpuCores }) => ({
      name,
      share: (load?.cpuCoresUsed ?? 0) / cpuCores,
    }))
  const { cpuCores } = (await cluster.status()).nodes[0]!
  const burner = busy.burn(0.8 * cpuCores)
  onTestFinished(() => burner.stop())
  // A level counts as the peak once it has lasted for nine seconds of late.
  let busyFor = 0
  await until(
    async () => {
      const share = (await loadOf()).find(({ name }) => name === busy.name)!.share
      busyFor = share > 0.5 ? busyFor + 1 : 0
      return busyFor >= 15
    },
    `${busy.name} to be seen busy for a while`,
    { everyMs: 1000, limitMs: 120_000 },
  )

  const said = exits(
    await cluster.deploy(
      'web',
      `services:\n  api:\n    image: bb:1\n    command: ["sleep", "1000"]\n    stop_grace_period: 1s\n    x-berth: { placement: { policy: least-loaded } }\n    deploy: { replicas: 6 }\n`,
    ),
    0,
  )
  expect(said).toContain('api')
  await assertExactly(cluster.hosts, { web_api: 6 })
  const nodes = (await tasksOf(cluster, 'web_api')).map(({ node }) => node)
  expect(nodes).not.toContain(busy.name)
  expect(new Set(nodes).size).toBe(2)
})
