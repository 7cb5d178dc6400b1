/** `berth nodes`, `services`, `ps`, `stacks`: tables of what there is. */
import type {
  NodeDocument,
  Page,
  ServiceDetail,
  ServiceDocument,
  StackDocument,
  TaskDocument,
} from '../../shared/api.ts'
import { taintText } from '../../shared/taint.ts'
import { type Client, type Query, segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { bytes, duration, percent, trimmed } from '../figures.ts'
import { type Column, tableLines } from '../table.ts'
import { parseTarget } from '../target.ts'

const pageLimit = 1000
/** Nobody reads more; programs page for themselves. */
const itemsMax = 100_000

export async function nodes(context: Context, name?: string): Promise<void> {
  if (name !== undefined) return node(context, name)
  const items = await withClient(context, (client) => all<NodeDocument>(client, '/v1/nodes'))
  show(context, items, NODE_COLUMNS, nodeRow)
}

export async function services(context: Context, name: string | undefined, options: { stack?: string }): Promise<void> {
  if (name !== undefined) return service(context, name)
  const items = await withClient(context, (client) =>
    all<ServiceDocument>(client, '/v1/services', options.stack === undefined ? {} : { stack: options.stack }),
  )
  show(context, items, SERVICE_COLUMNS, serviceRow)
}

export async function ps(context: Context, name: string | undefined, options: PsOptions): Promise<void> {
  const target = name === undefined ? null : parseTarget(name)
  const query: Query = { ...target, node: options.node, all: options.all }
  const items = await withClient(context, async (client) =>
    target !== null && 'task' in target
      ? [await client.get<TaskDocument>(`/v1/tasks/${segment(target.task)}`)]
      : all<TaskDocument>(client, '/v1/tasks', query),
  )
  show(context, items, TASK_COLUMNS, (task) => taskRow(task, Date.now()))
}

export type PsOptions = { node?: string; all?: boolean }

export async function stacks(context: Context): Promise<void> {
  const items = await withClient(context, (client) => all<StackDocument>(client, '/v1/stacks'))
  show(context, items, STACK_COLUMNS, (stack) => stackRow(stack, Date.now()))
}

async function node(context: Context, name: string): Promise<void> {
  const detail = await withClient(context, (client) => client.get<NodeDocument>(`/v1/nodes/${segment(name)}`))
  if (context.json) return context.out.document(detail)
  for (const line of tableLines(NODE_COLUMNS, [nodeRow(detail)], context.out.columns)) context.out.line(line)
  for (const line of nodeLines(detail)) context.out.line(line)
}

/** What is promised of it and what may be, what keeps tasks away. */
export function nodeLines(node: NodeDocument): string[] {
  const { room, reserve, overcommit } = node
  const line = (what: string, promised: string, of: string, has: string, factor: number, kept: string | null) => {
    const times = factor === 1 ? '' : `, times ${factor}`
    const less = kept === null ? '' : `, ${kept} kept back`
    return `${what.padEnd(8)} ${promised} of ${of} promised  (has ${has}${times}${less})`
  }
  const kept = (amount: number, text: string) => (amount > 0 ? text : null)
  const { cpuCores, memoryBytes, diskBytes } = reserve
  const lines = [
    line(
      'cpu',
      trimmed(node.cpuCoresPromised),
      trimmed(room.cpuCores),
      trimmed(node.cpuCores),
      overcommit.cpu,
      kept(cpuCores, trimmed(cpuCores)),
    ),
    line(
      'memory',
      bytes(node.memoryBytesPromised),
      bytes(room.memoryBytes),
      bytes(node.memoryBytes),
      overcommit.memory,
      kept(memoryBytes, bytes(memoryBytes)),
    ),
  ]
  if (node.diskBytes > 0) {
    lines.push(
      line(
        'disk',
        bytes(node.diskBytesPromised),
        bytes(room.diskBytes),
        bytes(node.diskBytes),
        overcommit.disk,
        kept(diskBytes, bytes(diskBytes)),
      ),
    )
  }
  for (const resource of Object.keys({ ...node.generic, ...node.genericPromised }).sort()) {
    lines.push(
      `${resource.padEnd(8)} ${node.genericPromised[resource] ?? 0} of ${node.generic[resource] ?? 0} promised`,
    )
  }
  for (const taint of node.taints) lines.push(`taint    ${taintText(taint)}`)
  return lines
}

async function service(context: Context, name: string): Promise<void> {
  const detail = await withClient(context, (client) => client.get<ServiceDetail>(`/v1/services/${segment(name)}`))
  if (context.json) return context.out.document(detail)
  for (const line of tableLines(SERVICE_COLUMNS, [serviceRow(detail)], context.out.columns)) context.out.line(line)
  for (const { service: other, condition, now } of detail.heldBy) {
    context.out.line(`waits for ${other} (${condition}), now ${now}`)
  }
  for (const { message, nodes: where } of detail.waits) {
    context.out.line(`waits  ${message}${where.length > 0 ? `  (${where.join(', ')})` : ''}`)
  }
  if (detail.rollout.why !== null) context.out.line(`rollout ${detail.rollout.state}: ${detail.rollout.why}`)
}

/** All pages of a list. */
export async function all<Item>(client: Client, path: string, query: Query = {}): Promise<Item[]> {
  const items: Item[] = []
  let after: string | undefined
  do {
    const { items: more, next } = await client.get<Page<Item>>(path, { ...query, limit: pageLimit, after })
    items.push(...more)
    after = next ?? undefined
  } while (after !== undefined && items.length < itemsMax)
  return items
}

function show<Item>({ out, json }: Context, items: Item[], columns: Column[], row: (item: Item) => string[]): void {
  if (json) {
    out.document(items)
    return
  }
  for (const line of tableLines(columns, items.map(row), out.columns)) out.line(line)
}

export const NODE_COLUMNS: Column[] = [
  { title: 'NODE', shrinkTo: 12 },
  { title: 'STATUS', shrinkTo: 10 },
  { title: 'TASKS', align: 'right' },
  { title: 'CPU', align: 'right' },
  { title: 'CORES', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'OF', align: 'right' },
  { title: 'ADDRESS', shrinkTo: 10 },
  { title: 'LABELS', shrinkTo: 8 },
]

export function nodeRow(node: NodeDocument): string[] {
  return [
    node.name,
    nodeStatus(node),
    String(node.tasks.running),
    node.load ? percent(node.load.cpuCoresUsed, node.cpuCores) : '-',
    trimmed(node.cpuCores),
    node.load ? percent(node.load.memoryBytesUsed, node.load.memoryBytesTotal) : '-',
    bytes(node.memoryBytes),
    node.address ?? '-',
    Object.entries(node.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  ]
}

/** A clock that is off makes every time that the host tells doubtful, so it stands beside the status. */
function nodeStatus({ status, availability, taints, clockSkewMs }: NodeDocument): string {
  const clock = `clock ${duration(Math.abs(clockSkewMs))} ${clockSkewMs > 0 ? 'ahead' : 'behind'}`
  return [
    status,
    ...(availability === 'drain' ? ['drained'] : []),
    ...(taints.length > 0 ? ['tainted'] : []),
    ...(Math.abs(clockSkewMs) > clockSkewMsMax ? [clock] : []),
  ].join(', ')
}

/** As in the problems of `berth status`. */
const clockSkewMsMax = 30_000

export const SERVICE_COLUMNS: Column[] = [
  { title: 'SERVICE', shrinkTo: 16 },
  { title: 'RUNNING', align: 'right' },
  { title: 'MODE' },
  { title: 'STATE', shrinkTo: 14 },
  { title: 'VERSION', align: 'right' },
  { title: 'IMAGE', shrinkTo: 12 },
  { title: 'PORTS', shrinkTo: 8 },
]

export function serviceRow(service: ServiceDocument): string[] {
  return [
    service.name,
    `${service.counts.running}/${service.counts.wanted}`,
    service.mode,
    serviceState(service),
    String(service.version),
    service.image,
    service.ports.map(({ hostPort, containerPort }) => `${hostPort ?? '?'}→${containerPort}`).join(','),
  ]
}

function serviceState(service: ServiceDocument): string {
  const { counts, rollout } = service
  if (service.removing) return 'removing'
  if (service.heldBy.length > 0) return `waits for ${service.heldBy[0]?.service ?? ''}`
  if (rollout.state !== 'settled') return `${rollout.state} ${rollout.done}/${counts.wanted}`
  if (counts.waiting > 0) return `${counts.waiting} waiting`
  if (counts.unhealthy > 0) return `${counts.unhealthy} unhealthy`
  if (counts.restarting > 0) return `${counts.restarting} restarting`
  if (counts.failed > 0) return `${counts.failed} failed`
  if (counts.completed > 0 && counts.running === 0) return 'done'
  return counts.healthy > 0 ? 'healthy' : 'running'
}

export const TASK_COLUMNS: Column[] = [
  { title: 'TASK', shrinkTo: 16 },
  { title: 'NODE', shrinkTo: 8 },
  { title: 'STATE', shrinkTo: 18 },
  { title: 'FOR', align: 'right' },
  { title: 'CPU', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'IMAGE', shrinkTo: 10 },
  { title: 'PORTS', shrinkTo: 8 },
]

export function taskRow(task: TaskDocument, now: number): string[] {
  return [
    task.name,
    task.node ?? '-',
    taskState(task),
    duration(now - Date.parse(task.since)),
    task.cpuCoresUsed === null ? '-' : task.cpuCoresUsed.toFixed(2),
    task.memoryBytesUsed === null ? '-' : bytes(task.memoryBytesUsed),
    task.image,
    task.ports.map(({ hostPort, containerPort }) => `${hostPort}→${containerPort}`).join(','),
  ]
}

function taskState(task: TaskDocument): string {
  if (task.desired === 'stopped') {
    const state = task.state === 'running' ? 'stopping' : task.state
    return task.preempted ? `${state}: ${task.preempted}` : state
  }
  if (task.nodeLost) return `node away, was ${task.state}`
  if (task.state === 'running') return task.health === 'none' ? 'running' : task.health
  if (task.state === 'waiting') return waitingState(task)
  const why = task.error?.message ?? (task.exitCode === null ? null : `exited ${task.exitCode}`)
  const attempt = task.attempt > 1 ? `, attempt ${task.attempt}` : ''
  return `${task.state}${why && task.state !== 'completed' ? `: ${why}` : ''}${attempt}`
}

function waitingState({ promised, preempted, waits: [first] }: TaskDocument): string {
  if (promised) return `waiting: room is made on ${promised}`
  const why = [preempted, first?.message].filter((reason) => reason !== undefined)
  return why.length > 0 ? `waiting: ${why.join('; ')}` : 'waiting'
}

export const STACK_COLUMNS: Column[] = [
  { title: 'STACK' },
  { title: 'SERVICES', align: 'right' },
  { title: 'RUNNING', align: 'right' },
  { title: 'STATE' },
  { title: 'DEPLOYMENT', align: 'right' },
  { title: 'DEPLOYED' },
]

export function stackRow(stack: StackDocument, now: number): string[] {
  return [
    stack.name,
    String(stack.services.length),
    `${stack.counts.running}/${stack.counts.wanted}`,
    stack.outcome,
    String(stack.deployment),
    `${duration(now - Date.parse(stack.deployedAt))} ago`,
  ]
}
