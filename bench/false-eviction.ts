/**
 * Both cores under stress, and nobody may be given up for it: three hosts with running tasks beside programs that take all there
 * is. Prints how near it came: the longest silence of any node, and how long it might have been silent just then.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCluster } from '../test/engines/berth.ts'
import { startHosts } from '../test/engines/hosts.ts'
import { loadImages } from '../test/engines/image.ts'
import { type Contestant, contestant, deploy, remove, tasks, untilRunning } from './bed/contestant.ts'
import { option } from './options.ts'
import { closeEngineConnections } from './peers/engine-client.ts'
import type { Bench } from './report.ts'

const COUNT = 9
const MINUTES = option('minutes', 10)
const BURNERS = option('burners', 4)
/** Ends with this process, however that ends: what burns on would spoil every bench after it. */
const BURN = 'while kill -0 "$PPID"; do :; done'
const LOOK_EVERY_MS = 250

export const bench: Bench = {
  about: `tasks given up falsely in ${MINUTES} min with ${BURNERS} programs on both cores`,
  async run({ report, say }) {
    const hosts = await startHosts({ count: 3 })
    try {
      await loadImages(hosts.hosts)
      const cluster = await startCluster(hosts)
      const berth = contestant(cluster)
      await deploy(berth, 'stress', { replicas: COUNT })
      await untilRunning(berth, 'stress', COUNT)
      const before = new Map((await tasks(berth, 'stress')).map((task) => [task.id, task.containerId]))
      say(`both cores under stress for ${MINUTES} min`)
      const nearest = await underStress(berth)
      const after = await tasks(berth, 'stress')
      const kept = after.filter((task) => before.get(task.id) === task.containerId && task.attempt === 1)
      report({ metric: 'tasks given up falsely', value: COUNT - kept.length, unit: 'count', goal: { atMost: 0 } })
      report({
        metric: 'longest silence beside its limit then',
        value: nearest.longest.seconds,
        unit: 's',
        beside: { limit: nearest.longest.limit },
      })
      report({
        metric: 'nearest to its limit',
        value: nearest.nearest.seconds,
        unit: 's',
        beside: { limit: nearest.nearest.limit },
      })
      await remove(berth, 'stress')
      berth.api.close()
      await cluster.stop()
    } finally {
      closeEngineConnections()
      await hosts.stop()
    }
  },
}

type Silence = { seconds: number; limit: number }

async function underStress(berth: Contestant): Promise<{ longest: Silence; nearest: Silence }> {
  const burners: ChildProcess[] = []
  let longest: Silence = { seconds: 0, limit: Number.NaN }
  let nearest: Silence = { seconds: 0, limit: Number.POSITIVE_INFINITY }
  try {
    for (let i = 0; i < BURNERS; i++) burners.push(spawn('sh', ['-c', BURN], { stdio: 'ignore' }))
    const until = performance.now() + MINUTES * 60_000
    while (performance.now() < until) {
      for (const silence of await silencesOf(berth)) {
        if (silence.seconds > longest.seconds) longest = silence
        if (silence.seconds / silence.limit > nearest.seconds / nearest.limit) nearest = silence
      }
      await sleep(LOOK_EVERY_MS)
    }
  } finally {
    for (const burner of burners) burner.kill('SIGKILL')
  }
  return { longest, nearest }
}

/** Of each node: how long it has been silent, and may be. */
async function silencesOf({ cluster }: Contestant): Promise<Silence[]> {
  const { text } = await cluster.request('GET', '/metrics')
  const figures = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}{.*} (.*)$`, 'gm'))].map(([, figure]) => Number(figure))
  const limits = figures('berth_node_quiet_seconds_limit')
  return figures('berth_node_quiet_seconds').map((seconds, index) => ({ seconds, limit: limits[index]! }))
}
