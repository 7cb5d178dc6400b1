/** What must be true after every story: exactly the wanted containers exist, no orphan, none restarted without cause. */
import { LABEL } from '../../shared/labels.ts'
import type { ContainerView } from './engine-api.ts'
import type { Host } from './hosts.ts'
import { until } from './until.ts'

export type Placed = ContainerView & { host: string; service: string; task: string }

/** Berth's containers on all hosts, by container id. */
export type Snapshot = Map<string, Placed>

/** Hosts whose engine does not answer are an error: a story that leaves one down names only the others. */
export async function snapshot(hosts: Host[]): Promise<Snapshot> {
  const lists = await Promise.all(hosts.map(async (host) => (await host.containers()).map((one) => placed(host, one))))
  return new Map(
    lists
      .flat()
      .filter((container) => container.labels[LABEL.task] !== undefined)
      .map((container) => [container.id, container]),
  )
}

/**
 * Waits until the hosts show exactly the wanted number of running containers per service (`{ shop_web: 3 }`), each for a task of
 * its own, and no other container of Berth, in whatever state. Gives what it saw. `ended` names services whose containers
 * have ended and are kept for their logs: jobs, and tasks that failed for good.
 * With `since`, containers that existed then and belong to `unchanged` services (all, when absent) must be the same, started at
 * the same time.
 */
export async function assertExactly(
  hosts: Host[],
  wanted: Record<string, number>,
  options: { since?: Snapshot; unchanged?: string[]; ended?: Record<string, number>; limitMs?: number } = {},
): Promise<Snapshot> {
  let now: Snapshot = new Map()
  const asWanted = async () => {
    now = await snapshot(hosts)
    const wrong = differences(now, wanted, options.ended)
    if (wrong.length > 0) throw new Error(`${wrong.join('; ')}\n${describe(now)}`)
    return true
  }
  await until(
    asWanted,
    'exactly the wanted containers',
    options.limitMs === undefined ? {} : { limitMs: options.limitMs },
  )
  if (options.since) assertUnchanged(options.since, now, options.unchanged)
  return now
}

/** @throws Error naming each container of the services (all, when absent) that is gone or was started again */
export function assertUnchanged(before: Snapshot, now: Snapshot, services?: string[]): void {
  const wrong: string[] = []
  for (const [id, was] of before) {
    if (was.state !== 'running' || (services && !services.includes(was.service))) continue
    const is = now.get(id)
    if (!is) wrong.push(`${was.task} on ${was.host} lost its container ${id.slice(0, 12)}`)
    else if (is.startedAt !== was.startedAt) wrong.push(`${was.task} on ${was.host} was started again`)
  }
  if (wrong.length > 0) throw new Error(`restarted or replaced without cause: ${wrong.join('; ')}\n${describe(now)}`)
}

export function differences(
  now: Snapshot,
  wanted: Record<string, number>,
  ended: Record<string, number> = {},
): string[] {
  const containers = [...now.values()]
  const wrong: string[] = []
  const services = [...Object.keys(wanted), ...Object.keys(ended), ...containers.map((one) => one.service)]
  for (const service of new Set(services)) {
    const want = wanted[service] ?? 0
    const wantAll = want + (ended[service] ?? 0)
    const have = containers.filter((one) => one.service === service)
    const running = have.filter((one) => one.state === 'running').length
    if (running !== want) wrong.push(`${service}: ${running} running, wanted ${want}`)
    if (have.length !== wantAll) wrong.push(`${service}: ${have.length} containers, wanted ${wantAll}`)
    const twice = have.map((one) => one.task).filter((task, index, all) => all.indexOf(task) !== index)
    if (twice.length > 0) wrong.push(`${service}: two containers of ${twice.join(', ')}`)
    const byEngine = have.filter((one) => one.restartCount > 0)
    if (byEngine.length > 0) wrong.push(`${service}: restarted by the Engine instead of the agent`)
  }
  return wrong
}

/** One line per container, for messages. */
export function describe(now: Snapshot): string {
  const lines = [...now.values()].map(
    (one) => `  ${one.host} ${one.task} ${one.state}${one.health ? ` ${one.health}` : ''} ${one.image} ${one.name}`,
  )
  return lines.sort().join('\n') || '  (no containers)'
}

function placed(host: Host, container: ContainerView): Placed {
  const stack = container.labels[LABEL.stack] ?? ''
  const service = container.labels[LABEL.service] ?? ''
  const full = service.startsWith(`${stack}_`) ? service : `${stack}_${service}`
  return { ...container, host: host.name, service: full, task: container.labels[LABEL.task] ?? '' }
}
