/** A host is unplugged without a word → its tasks run elsewhere. And none is given up while both cores are under stress. */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, onBed } from './bed/bed.ts'
import { berthFailover, deploy, remove, tasks, untilRunning } from './bed/contestant.ts'
import { option } from './options.ts'
import { swarmFailover } from './peers/swarm.ts'
import { type Bench, median } from './report.ts'

const COUNT = 9
const ROUNDS = option('rounds', 3)
const STRESS_MINUTES = option('stress-minutes', 10)
const BURNERS = 4

export const bench: Bench = {
  about: 'host unplugged with 3 of 9 tasks → all running elsewhere; and false evictions under stress',
  async run({ report, say }) {
    await onBed(say, async (bed) => {
      const lost = bed.hosts[2]!
      const seconds: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        seconds.push((await berthFailover(bed.berth, `lost-${round}`, COUNT, lost)) / 1000)
      }
      const swarmSeconds = (await swarmFailover(bed.swarm, 'lost', COUNT, lost)) / 1000
      report({
        metric: `all ${COUNT} running elsewhere`,
        value: median(seconds),
        unit: 's',
        beside: { swarm: swarmSeconds },
        goal: { atMost: 4 },
      })
      say(`both cores under stress for ${STRESS_MINUTES} min`)
      report({
        metric: `evicted falsely in ${STRESS_MINUTES} min of stress`,
        value: await evictedUnderStress(bed),
        unit: 'count',
        goal: { atMost: 0 },
      })
    })
  },
}

/** Tasks that were not where they had been placed, or had been started again, after so long with both cores taken. */
async function evictedUnderStress({ berth }: Bed): Promise<number> {
  await deploy(berth, 'stress', { replicas: COUNT })
  await untilRunning(berth, 'stress', COUNT)
  const before = new Map((await tasks(berth, 'stress')).map((task) => [task.id, task.containerId]))
  const burners: ChildProcess[] = []
  try {
    for (let i = 0; i < BURNERS; i++) burners.push(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }))
    await sleep(STRESS_MINUTES * 60_000)
  } finally {
    for (const burner of burners) burner.kill('SIGKILL')
  }
  const after = await tasks(berth, 'stress')
  const kept = after.filter((task) => before.get(task.id) === task.containerId && task.attempt === 1)
  await remove(berth, 'stress')
  return COUNT - kept.length
}
