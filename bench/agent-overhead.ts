/** What an agent costs its host: 100 running containers, measured once a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startCluster } from '../test/engines/berth.ts'
import { startHosts } from '../test/engines/hosts.ts'
import { loadImages } from '../test/engines/image.ts'
import { contestant, deploy, remove, untilRunning } from './bed/contestant.ts'
import { cpuSeconds, residentBytes } from './fleet/usage.ts'
import { option } from './options.ts'
import { closeEngineConnections } from './peers/engine-client.ts'
import type { Bench } from './report.ts'

const CONTAINERS = 100
const SETTLE_MS = 20_000
const MEASURED_MS = option('seconds', 60) * 1000

export const bench: Bench = {
  about: `an agent with ${CONTAINERS} running containers: memory and CPU`,
  async run({ report, say }) {
    const hosts = await startHosts({ count: 1 })
    try {
      await loadImages(hosts.hosts)
      const cluster = await startCluster(hosts)
      const berth = contestant(cluster)
      say(`starting ${CONTAINERS} containers`)
      await deploy(berth, 'hundred', { replicas: CONTAINERS })
      await untilRunning(berth, 'hundred', CONTAINERS)
      // An agent that has just started all of them still holds what that took; one that was restarted since is the rule.
      await cluster.agents[0]!.kill('SIGTERM')
      await cluster.agents[0]!.start()
      await cluster.nodesReady()
      await sleep(SETTLE_MS)
      const { pid } = cluster.agents[0]!
      const [cpuBefore, began] = [cpuSeconds(pid), performance.now()]
      await sleep(MEASURED_MS)
      const share = ((cpuSeconds(pid) - cpuBefore) / ((performance.now() - began) / 1000)) * 100
      const goal = { atMost: 80 }
      report({ metric: `memory with ${CONTAINERS} containers`, value: residentBytes(pid) / 1e6, unit: 'MB', goal })
      report({
        metric: `CPU with ${CONTAINERS} containers at 1 Hz`,
        value: share,
        unit: 'percent of a core',
        goal: { atMost: 1.5 },
      })
      await remove(berth, 'hundred')
      berth.api.close()
      await cluster.stop()
    } finally {
      closeEngineConnections()
      await hosts.stop()
    }
  },
}
