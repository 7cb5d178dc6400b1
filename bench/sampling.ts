/** What it costs to look at every container once a second, beside `docker stats`; at paces of their own; and at the host, beside node_exporter. */
import { fork, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerHandle } from '../agent/parts.ts'
import { startCluster } from '../test/engines/berth.ts'
import { enterCgroup, makeCgroup, removeCgroup } from '../test/engines/cgroups.ts'
import { type Host, startHosts } from '../test/engines/hosts.ts'
import { loadImages } from '../test/engines/image.ts'
import { contestant, deploy, remove, untilRunning } from './bed/contestant.ts'
import { cpuSeconds, residentBytes } from './fleet/usage.ts'
import { agentSettings } from './logs/agent-settings.ts'
import { option } from './options.ts'
import { dockerStatsCpu } from './peers/docker-stats.ts'
import { closeEngineConnections } from './peers/engine-client.ts'
import { nodeExporterCpu } from './peers/node-exporter.ts'
import type { Bench, BenchContext } from './report.ts'
import type { MeterOrder, MeterResult } from './sampling/meter-process.ts'

/** 0: of the host alone. */
const CONTAINERS = option('containers', 100)
const SECONDS = option('seconds', 30)
/** How long containers run before their own paces are measured; 0: they are not. Calm ones need three minutes. */
const CALM_SECONDS = option('calm', 0)
const SETTLE_MS = 20_000
const MICROSECONDS = 1e6
const ALL = { all: true, everyMs: 1_000, warmSamples: 10 }
const SLEEPERS = 300
const STEP_MS_MAX = 1_100
const CALM_CONTAINERS = 100
/** Seconds until the slowest pace is reached, and so many that are counted. */
const CALM_AFTER_SAMPLES = 300
const CALM_SAMPLES = 600
const HOST_EVERY_MS = 200
const HOST_SAMPLES = 50

export const bench: Bench = {
  about:
    'CPU per container and second beside docker stats, at paces of their own (--calm 200), of the host beside node_exporter',
  async run(context) {
    if (CONTAINERS > 0) await containers(context)
    await paces(context)
    await host(context)
  },
}

async function containers({ report, say }: BenchContext): Promise<void> {
  const hosts = await startHosts({ count: 1 })
  try {
    await loadImages(hosts.hosts)
    const cluster = await startCluster(hosts)
    const berth = contestant(cluster)
    say(`starting ${CONTAINERS} containers`)
    const fullRate = { fullMs: 1_000, calmMs: 1_000 }
    await deploy(berth, 'all', { replicas: CONTAINERS, ...(CALM_SECONDS === 0 && { sampling: fullRate }) })
    await untilRunning(berth, 'all', CONTAINERS)
    await cluster.agents[0]!.kill('SIGTERM')
    await cluster.agents[0]!.start()
    await cluster.nodesReady()
    await sleep(CALM_SECONDS === 0 ? SETTLE_MS : CALM_SECONDS * 1_000)
    const { pid } = cluster.agents[0]!
    const [before, began] = [cpuSeconds(pid), performance.now()]
    await sleep(SECONDS * 1_000)
    const perSecond = (cpuSeconds(pid) - before) / ((performance.now() - began) / 1_000)
    const paces = CALM_SECONDS === 0 ? 'all once a second' : 'at their own paces'
    const name = `${CONTAINERS} containers, ${paces}`
    report({ metric: `agent, ${name}`, value: perSecond * 100, unit: 'percent of a core' })
    report({ metric: `agent, ${name}: RSS`, value: residentBytes(pid) / 1e6, unit: 'MB' })
    if (CALM_SECONDS === 0) {
      const handles = await handlesOf(hosts.hosts[0]!)
      const meter = await measured({ ...ALL, handles, samples: SECONDS })
      if (meter.fewestContainers < CONTAINERS) throw new Error(`a sample had ${meter.fewestContainers} containers`)
      const steps = `longest step, ${CONTAINERS} containers in each`
      report({ metric: steps, value: meter.longestStepMs, unit: 'ms', goal: { atMost: STEP_MS_MAX } })
      const stats = await dockerStatsCpu(hosts.hosts[0]!, SECONDS * 1_000)
      say(`the Engine at rest: ${(stats.atRest * 100).toFixed(1)} % of a core`)
      const each = (cpu: number) => (cpu / CONTAINERS) * MICROSECONDS
      const beside = { 'docker stats': each(stats.perSecond) }
      const goal = { atMostTimes: 1 / 50, of: 'docker stats' }
      report({
        metric: 'all of the agent, µs of CPU per container',
        value: each(perSecond),
        unit: 'count',
        beside,
        goal,
      })
      report({
        metric: 'the sampling, µs of CPU per container',
        value: each(meter.cpuSecondsPerSample),
        unit: 'count',
        beside,
        goal,
      })
    }
    await remove(berth, 'all')
    berth.api.close()
    await cluster.stop()
  } finally {
    closeEngineConnections()
    await hosts.stop()
  }
}

/** Of many: whether each is read every second. Of a hundred that do nothing, once they have been calm for long: what their paces save. */
async function paces({ report }: BenchContext): Promise<void> {
  const sleepers = Array.from({ length: SLEEPERS }, (_, index) => {
    const name = `berth-bench/${index}`
    makeCgroup(name)
    return spawn('sh', ['-c', `${enterCgroup(name)} && exec sleep 600`], { stdio: 'ignore' })
  })
  try {
    await sleep(1_000)
    const handles = sleepers.map(({ pid }) => handleOf(String(pid), pid!))
    const steps = await measured({ ...ALL, handles, samples: SECONDS })
    if (steps.fewestContainers < SLEEPERS) throw new Error(`a sample had ${steps.fewestContainers} of ${SLEEPERS}`)
    report({
      metric: `longest step, ${SLEEPERS} processes in cgroups of their own in each`,
      value: steps.longestStepMs,
      unit: 'ms',
      goal: { atMost: STEP_MS_MAX },
    })
    const calm = handles.slice(0, CALM_CONTAINERS)
    const fullRate = { fullMs: 1_000, calmMs: 1_000 }
    const order = { all: false, everyMs: 0, warmSamples: CALM_AFTER_SAMPLES, samples: CALM_SAMPLES }
    const full = await measured({ ...order, handles: calm.map((handle) => ({ ...handle, sampling: fullRate })) })
    const own = await measured({ ...order, handles: calm })
    report({
      metric: `${CALM_CONTAINERS} calm ones and the host, µs of CPU per second`,
      value: own.cpuSecondsPerSample * MICROSECONDS,
      unit: 'count',
      beside: { 'all once a second': full.cpuSecondsPerSample * MICROSECONDS },
    })
  } finally {
    for (const sleeper of sleepers) sleeper.kill('SIGKILL')
    await sleep(500)
    for (const index of sleepers.keys()) removeCgroup(`berth-bench/${index}`)
    removeCgroup('berth-bench')
  }
}

async function host({ report }: BenchContext): Promise<void> {
  const pace = { everyMs: HOST_EVERY_MS, samples: HOST_SAMPLES }
  const { cpuSecondsPerSample } = await measured({ ...ALL, ...pace, handles: [] })
  const exporter = await nodeExporterCpu(pace.everyMs, pace.samples)
  report({
    metric: 'the host once, µs of CPU',
    value: cpuSecondsPerSample * MICROSECONDS,
    unit: 'count',
    beside: { node_exporter: exporter.perScrape * MICROSECONDS },
    goal: { atMostTimes: 1, of: 'node_exporter' },
  })
}

function measured(order: MeterOrder): Promise<MeterResult> {
  const child = fork(join(import.meta.dirname, 'sampling/meter-process.ts'), [JSON.stringify(order)], agentSettings())
  return new Promise((resolve, reject) => {
    child.once('message', (result) => resolve(result as MeterResult))
    child.once('exit', (code) => reject(new Error(`the meter ended with ${code}`)))
  })
}

async function handlesOf(host: Host): Promise<ContainerHandle[]> {
  const ids = (await host.docker('ps', '--quiet', '--no-trunc')).trim().split('\n')
  const told = await host.docker('inspect', '--format', '{{.Id}} {{.State.Pid}}', ...ids)
  return told
    .trim()
    .split('\n')
    .map((line) => {
      const [containerId, pid] = line.split(' ') as [string, string]
      return {
        ...{ task: containerId, containerId, attempt: 1, pid: Number(pid) },
        logPath: null,
        memoryBytesLimit: null,
      }
    })
}

function handleOf(containerId: string, pid: number): ContainerHandle {
  return { task: containerId, containerId, attempt: 1, pid, logPath: null, memoryBytesLimit: null }
}
