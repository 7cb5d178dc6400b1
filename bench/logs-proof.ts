/**
 * No line of a container is lost or comes twice, and all are in order: numbered lines, as fast as 50 MiB/s, through the smallest
 * files, while everything between the container and the disk of the coordinator is killed or cut off. What cannot be kept, as the
 * Engine throws it away while nobody is there, must lie within a gap that was told.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, startCluster } from '../test/engines/berth.ts'
import { type Host, startHosts } from '../test/engines/hosts.ts'
import { loadImages } from '../test/engines/image.ts'
import { until } from '../test/engines/until.ts'
import { digestOf, textsInFiles } from './logs/engine-files.ts'
import { keptTexts, LINE_BYTES, lastNumber, printingService, untoldLines, verdictOf } from './logs/numbered.ts'
import { option } from './options.ts'
import type { Bench, BenchContext } from './report.ts'

const SECONDS = option('seconds', 20)
const PAUSE_MS = option('pause', 10)
const CUT_SECONDS = option('cut', 60)
/** The one of the list below to run; 0: all. */
const TRIAL = option('trial', 0)
const RATE_BYTES = 50 * 1024 ** 2
const LIMIT_MS = 150_000

/** 3 MiB of it are on the disk: 60 ms. */
const SMALL = '{ driver: json-file, options: { max-size: 1m, max-file: "3" } }'
/** 5 s. */
const LARGE = '{ driver: json-file, options: { max-size: 64m, max-file: "4" } }'
/** More than is printed. */
const ALL = '{ driver: json-file, options: { max-size: 64m, max-file: "50" } }'
const COMPRESSED = '{ driver: json-file, options: { max-size: 16m, max-file: "20", compress: "true" } }'

/** `trouble` while it prints. `mayLose`: the Engine throws away more than it keeps while no agent is there. */
type Trial = {
  name: string
  logging: string
  seconds?: number
  trouble?(cluster: Cluster, host: Host): Promise<void>
  mayLose?: true
  /** The Engine is killed, and its containers with it: what it had written is in its files, all of them. */
  byFiles?: true
}

async function thrice(deed: () => Promise<void>): Promise<void> {
  for (let time = 0; time < 3; time++) {
    await sleep(3_000)
    await deed()
  }
}

const TRIALS: Trial[] = [
  { name: 'undisturbed, 1m × 3', logging: SMALL },
  {
    name: 'coordinator killed 3 times, 1m × 3',
    logging: SMALL,
    trouble: ({ coordinator }) => thrice(() => coordinator.restart('SIGKILL')),
  },
  {
    name: `cut off for ${CUT_SECONDS} s, 1m × 3`,
    logging: SMALL,
    seconds: CUT_SECONDS,
    async trouble(_, host) {
      await sleep(1_000)
      await host.unplug()
      await sleep(CUT_SECONDS * 1_000)
      await host.plug()
    },
  },
  {
    name: 'agent killed 3 times, 64m × 4',
    logging: LARGE,
    trouble: ({ agents }) => thrice(() => agents[0]!.restart('SIGKILL')),
  },
  {
    name: 'agent killed 3 times, 16m × 20 compressed',
    logging: COMPRESSED,
    trouble: ({ agents }) => thrice(() => agents[0]!.restart('SIGKILL')),
  },
  {
    name: 'agent killed 3 times, 1m × 3',
    logging: SMALL,
    trouble: ({ agents }) => thrice(() => agents[0]!.restart('SIGKILL')),
    mayLose: true,
  },
  {
    name: 'Engine killed 3 times, 64m × 50',
    logging: ALL,
    trouble: (_, host) => thrice(() => host.restartEngine('SIGKILL')),
    byFiles: true,
  },
]

export const bench: Bench = {
  about: 'no line lost, doubled or out of order at 50 MiB/s, whatever is killed; trials 1 to 7, or --trial N',
  async run(context) {
    for (const [index, trial] of TRIALS.entries()) {
      if (TRIAL === 0 || TRIAL === index + 1) await run(trial, context)
    }
  },
}

async function run(trial: Trial, context: BenchContext): Promise<void> {
  const hosts = await startHosts({ count: 1 })
  try {
    await loadImages(hosts.hosts)
    // Cut off for a minute, the node is not to be given up.
    const patience = ['--agent-grace', '5m', '--engine-grace', '5m', '--start-grace', '5m']
    const cluster = await startCluster(hosts, { coordinatorArgs: patience })
    const host = hosts.hosts[0]!
    const lines = Math.ceil(((trial.seconds ?? SECONDS) * RATE_BYTES) / LINE_BYTES / 2_500) * 2_500
    context.say(`${trial.name}: ${lines} lines`)
    const deployed = await cluster.deploy('proof', printingService(lines, PAUSE_MS, trial.logging))
    if (deployed.exit !== 0) throw new Error(deployed.stderr)
    await trial.trouble?.(cluster, host)
    await cluster.ready()
    await cluster.nodesReady()
    const isWhole = async () => {
      const last = await lastNumber(cluster, 'proof_web')
      if (!(last >= lines - 1)) throw new Error(`line ${last} is the last`)
      return true
    }
    await until(isWhole, `line ${lines - 1} to be kept`, { limitMs: LIMIT_MS, everyMs: 500 })
    if (trial.byFiles) await compareWithFiles(trial, cluster, host, context)
    else await judgeByNumbers(trial, cluster, lines, context)
    await cluster.stop()
  } finally {
    await hosts.stop()
  }
}

async function compareWithFiles({ name }: Trial, cluster: Cluster, host: Host, { report }: BenchContext) {
  const [written, kept] = [await digestOf(textsInFiles(host.dataDir)), await digestOf(keptTexts(cluster, 'proof_web'))]
  const [beside, goal] = [{ written: written.lines }, { atMost: 0 }]
  const missing = Math.max(0, written.lines - kept.lines)
  report({ metric: `${name}: lost of what the Engine wrote`, value: missing, unit: 'count', beside, goal })
  const isOther = written.sha256 !== kept.sha256 && missing === 0
  report({ metric: `${name}: doubled, out of order or others`, value: isOther ? 1 : 0, unit: 'count', goal })
}

async function judgeByNumbers(
  { name, mayLose }: Trial,
  cluster: Cluster,
  lines: number,
  { report, say }: BenchContext,
) {
  const verdict = await verdictOf(cluster, 'proof_web')
  const untold = await untoldLines(cluster, verdict)
  const { text } = await cluster.request('GET', '/metrics')
  const figure = (name: string) => new RegExp(`^berth_logs_${name} (.*)$`, 'm').exec(text)?.[1]
  say(`since its start the coordinator kept ${figure('received_lines_total')} lines, ${figure('gaps_total')} gaps`)
  for (const { lines, from, to } of verdict.holes.slice(0, 20))
    say(`${lines} lines between ${new Date(from).toISOString()} and ${new Date(to).toISOString()} are missing`)
  const none = { atMost: 0 }
  report({
    metric: `${name}: printed, MB/s`,
    value: (lines * LINE_BYTES) / 1e6 / verdict.seconds,
    unit: 'per second',
  })
  const beside = { printed: lines }
  report({ metric: `${name}: lost`, value: verdict.lost, unit: 'count', beside, ...(!mayLose && { goal: none }) })
  report({ metric: `${name}: lost outside of told gaps`, value: untold, unit: 'count', goal: none })
  const twice = verdict.doubled + verdict.disordered
  report({ metric: `${name}: doubled or out of order`, value: twice, unit: 'count', goal: none })
}
