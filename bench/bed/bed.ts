/**
 * What the benches on real Engines stand on: three hosts, an image registry, Docker Swarm and Berth side by side on the
 * same engines. Both are up the whole time and take turns, so that a machine whose speed drifts treats them alike.
 */
import { startCluster } from '../../test/engines/berth.ts'
import { type Host, startHosts } from '../../test/engines/hosts.ts'
import { BUSYBOX, loadImages } from '../../test/engines/image.ts'
import { startRegistry } from '../../test/engines/registry.ts'
import { closeEngineConnections } from '../peers/engine-client.ts'
import { type Swarm, startSwarm, stopSwarm } from '../peers/swarm.ts'
import { type Contestant, contestant } from './contestant.ts'

export type Bed = { hosts: Host[]; berth: Contestant; swarm: Swarm }

/** Makes the bed, runs `act` on it, and clears it away. */
export async function onBed(say: (text: string) => void, act: (bed: Bed) => Promise<void>): Promise<void> {
  say('three hosts with an Engine each, an image registry, Docker Swarm, Berth')
  const hosts = await startHosts({ count: 3 })
  try {
    await loadImages(hosts.hosts)
    const registry = await startRegistry(hosts.slot)
    await registry.push(hosts.hosts[0]!, BUSYBOX, 'bench/bb:1')
    const image = `${registry.address}/bench/bb:1`
    for (const host of hosts.hosts) await host.docker('pull', '--quiet', image)
    const swarm = await startSwarm(hosts.hosts, image)
    const cluster = await startCluster(hosts)
    const berth = contestant(cluster)
    try {
      await act({ hosts: hosts.hosts, berth, swarm })
    } finally {
      berth.api.close()
      await cluster.stop()
      await stopSwarm(swarm)
    }
    await registry.stop()
  } finally {
    closeEngineConnections()
    await hosts.stop()
  }
}
