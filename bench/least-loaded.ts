/** A program that Berth knows nothing of keeps one of four real hosts busy: new replicas go to the others. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeDocument } from '../shared/api/node.ts'
import { startCluster } from '../test/engines/berth.ts'
import { startHosts } from '../test/engines/hosts.ts'
import { loadImages } from '../test/engines/image.ts'
import { type Contestant, contestant, deploy, remove, tasks, untilRunning } from './bed/contestant.ts'
import { closeEngineConnections } from './peers/engine-client.ts'
import type { Bench } from './report.ts'

const HOSTS = 4
const REPLICAS = 20
const BURNED_SHARE = 0.8
/** As long as a level must last to be taken for the peak, and a little more. */
const BURNS_BEFORE_MS = 15_000

export const bench: Bench = {
  about: `a program outside Berth burns ${100 * BURNED_SHARE} % of the CPU of one of ${HOSTS} real hosts; ${REPLICAS} new replicas by least-loaded`,
  async run({ report, say }) {
    say(`${HOSTS} hosts with an Engine each, every agent measuring its own host's cgroup`)
    const hosts = await startHosts({ count: HOSTS })
    try {
      await loadImages(hosts.hosts)
      const cluster = await startCluster(hosts, { hostCgroups: true })
      const berth = contestant(cluster)
      const busy = hosts.hosts[1]!
      const { cpuCores } = (await nodesOf(berth)).find(({ name }) => name === busy.name)!
      const burner = busy.burn(BURNED_SHARE * cpuCores)
      await sleep(BURNS_BEFORE_MS)
      for (const { name, load } of await nodesOf(berth)) {
        const share = (100 * (load?.cpuCoresUsed ?? 0)) / cpuCores
        report({
          metric: `measured on ${name}${name === busy.name ? ', the busy one' : ''} (%)`,
          value: share,
          unit: 'count',
        })
      }
      for (const policy of ['least-loaded', 'spread'] as const) {
        await deploy(berth, policy, { replicas: REPLICAS, placement: { policy } })
        await untilRunning(berth, policy, REPLICAS)
        const avoided = (await tasks(berth, policy)).filter(({ node }) => node !== busy.name).length
        const goal = policy === 'least-loaded' ? { atLeast: REPLICAS } : undefined
        report({
          metric: `of ${REPLICAS} replicas away from the busy host, by ${policy}`,
          value: avoided,
          unit: 'count',
          goal,
        })
        await remove(berth, policy)
      }
      await burner.stop()
      berth.api.close()
      await cluster.stop()
    } finally {
      closeEngineConnections()
      await hosts.stop()
    }
  },
}

async function nodesOf({ api }: Contestant): Promise<NodeDocument[]> {
  return (await api.call<{ items: NodeDocument[] }>('GET', '/v1/nodes')).items
}
