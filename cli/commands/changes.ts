/** `berth scale`, `rollback`, `rm`, `drain`, `activate`, `node rm`, `node label`: changes, waited for where they take time. */
import type { ChangeAnswer, ProgressDocument, ServiceDetail, TaskDocument } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { FORBIDDEN_KEY } from '../../shared/names.ts'
import { hasEnded } from '../../shared/task-state.ts'
import { type Client, segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { duration, plural } from '../figures.ts'
import { leavingOnInterrupt } from '../interrupt.ts'
import { type WaitOptions, waitForStack } from '../wait.ts'
import { finish } from './deploy.ts'
import { all } from './lists.ts'

/** `timeout` in ms. */
export type WaitFlags = { detach?: boolean; timeout: number }

const pollMs = 300
const leftShownMax = 10

export async function scale(context: Context, pairs: string[], flags: WaitFlags): Promise<void> {
  const wanted = pairs.map(parseScale)
  await withClient(context, async (client) => {
    const answers: ChangeAnswer[] = []
    for (const { service, replicas } of wanted) {
      answers.push(await client.post<ChangeAnswer>(`/v1/services/${segment(service)}/scale`, { replicas }))
    }
    if (flags.detach) return said(context, answers.at(-1), `${pairs.join(', ')}: on its way`)
    for (const { service } of wanted) await waitForService(context, client, service, flags.timeout)
  })
}

export async function rollback(context: Context, service: string, flags: WaitFlags): Promise<void> {
  await withClient(context, async (client) => {
    const answer = await client.post<ChangeAnswer>(`/v1/services/${segment(service)}/rollback`)
    if (flags.detach) return said(context, answer, `${service}: rolling back`)
    await waitForService(context, client, service, flags.timeout, true)
  })
}

export async function removeStack(context: Context, stack: string, flags: WaitFlags): Promise<void> {
  await withClient(context, async (client) => {
    const answer = await client.delete<ChangeAnswer>(`/v1/stacks/${segment(stack)}`)
    if (flags.detach) return said(context, answer, `${stack}: being removed`)
    const leaveHint = 'berth ps shows what is left'
    const progress = await waitForStack(context, client, {
      stack,
      timeoutMs: flags.timeout,
      leaveHint,
      isRemoval: true,
    })
    if (progress.outcome !== 'gone') throw new BerthError('conflict', `${stack} was deployed again meanwhile`)
    said(context, { ...answer, ...progress }, `${stack}  removed`)
  })
}

export async function drain(context: Context, node: string, flags: WaitFlags): Promise<void> {
  await withClient(context, async (client) => {
    const answer = await client.post<ChangeAnswer>(`/v1/nodes/${segment(node)}/drain`)
    if (flags.detach) return said(context, answer, `${node}: draining`)
    let staying: TaskDocument[] = []
    const look = async () => {
      const left = await tasksOn(client, node)
      staying = left.filter(({ homeVolume }) => homeVolume !== null)
      return left.length === staying.length ? null : `${node}  ${plural(left.length, 'task')} left`
    }
    const hint = `berth ps --node ${node} shows what is left there`
    const hasMoved = await leavingOnInterrupt(context, hint, () => until(flags.timeout, look, context))
    if (!hasMoved) throw await notDrained(client, node, flags.timeout)
    if (staying.length > 0) throw someStay(node, staying)
    said(context, answer, `${node}  drained; berth activate ${node} lets tasks come again`)
  })
}

export async function activate(context: Context, node: string): Promise<void> {
  const answer = await withClient(context, (client) => client.post<ChangeAnswer>(`/v1/nodes/${segment(node)}/activate`))
  said(context, answer, `${node}  active; new tasks may come, running ones stay where they are`)
}

export async function removeNode(context: Context, node: string): Promise<void> {
  const answer = await withClient(context, (client) => client.delete<ChangeAnswer>(`/v1/nodes/${segment(node)}`))
  said(context, answer, `${node}  removed; its certificate is refused from now on`)
}

/** `disk=ssd` sets, `disk-` removes. */
export async function labelNode(context: Context, node: string, labels: string[]): Promise<void> {
  const body = parseLabels(labels)
  const answer = await withClient(context, (client) =>
    client.put<ChangeAnswer>(`/v1/nodes/${segment(node)}/labels`, body),
  )
  said(context, answer, `${node}  labelled`)
}

export function parseLabels(labels: string[]): { set: Record<string, string>; remove: string[] } {
  const set: Record<string, string> = {}
  const remove: string[] = []
  for (const label of labels) {
    const split = label.indexOf('=')
    if (label.slice(0, split) === FORBIDDEN_KEY) throw forbiddenLabel()
    if (split > 0) set[label.slice(0, split)] = label.slice(split + 1)
    else if (split < 0 && label.length > 1 && label.endsWith('-')) remove.push(label.slice(0, -1))
    else
      throw new BerthError('invalid-request', `"${label}" is no label; write KEY=VALUE to set one, KEY- to remove it`)
  }
  return { set, remove }
}

function forbiddenLabel(): BerthError {
  return new BerthError('invalid-request', `${FORBIDDEN_KEY} cannot be the name of a label; choose another`)
}

export function parseScale(pair: string): { service: string; replicas: number } {
  const match = /^([^=]+)=(\d{1,7})$/.exec(pair)
  if (match) return { service: match[1] ?? '', replicas: Number(match[2]) }
  throw new BerthError('invalid-request', `"${pair}" is no scale; write it like shop_api=5`)
}

/** Until the service is up (or rolled back, when that was asked for) and its surplus tasks have stopped. */
async function waitForService(
  context: Context,
  client: Client,
  name: string,
  timeoutMs: number,
  isRollback = false,
): Promise<void> {
  const startedAt = performance.now()
  const { stack } = await client.get<ServiceDetail>(`/v1/services/${segment(name)}`)
  const isThere = (progress: ProgressDocument) => {
    const service = progress.services.find((each) => each.service === name)
    const isUp = service?.stage === 'up' || service?.stage === 'done'
    return isUp || (isRollback && service?.stage === 'rolled-back' && service.good >= service.counts.wanted)
  }
  const leaveHint = `berth services ${name} shows it`
  const options: WaitOptions = { stack, timeoutMs, leaveHint, services: [name], isEnough: isThere }
  const progress = await waitForStack(context, client, options)
  if (!isThere(progress)) return finish(context, progress)

  const leftMs = timeoutMs - (performance.now() - startedAt)
  const left = async () => {
    const { counts } = await client.get<ServiceDetail>(`/v1/services/${segment(name)}`)
    return counts.stopping === 0 ? null : `${name}  ${counts.stopping} stopping`
  }
  const hasStopped = await leavingOnInterrupt(context, leaveHint, () => until(leftMs, left, context))
  if (!hasStopped) throw new BerthError('timed-out', `${name}: tasks are still stopping after ${duration(timeoutMs)}`)
  if (context.json) context.out.document(progress.services.find((each) => each.service === name))
}

/** Looks again and again until `look` says nothing is left (null); what it says meanwhile is told once each. */
async function until(timeoutMs: number, look: () => Promise<string | null>, { out, json }: Context): Promise<boolean> {
  const end = performance.now() + timeoutMs
  let told = ''
  for (;;) {
    const left = await look()
    if (left === null) return true
    if (left !== told && !json) out.line(left)
    told = left
    if (performance.now() >= end) return false
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

/** Without those that have ended: their records stay, and run nothing. */
async function tasksOn(client: Client, node: string): Promise<TaskDocument[]> {
  return (await all<TaskDocument>(client, '/v1/tasks', { node })).filter(({ state }) => !hasEnded(state))
}

/** Waiting longer would not help: they run where their data is until somebody decides about that. */
function someStay(node: string, staying: TaskDocument[]): BerthError {
  const lines = staying
    .slice(0, leftShownMax)
    .map(({ name, homeVolume }) => `  ${name}  its volume ${homeVolume} is here`)
  return new BerthError(
    'conflict',
    `${node} takes no new tasks, and ${plural(staying.length, 'task')} cannot leave it; berth rm or berth scale ends them:\n${lines.join('\n')}`,
    { details: { node, tasks: staying.map(({ name }) => name) } },
  )
}

/** What is still there and, where its successor has no node yet, why not. */
async function notDrained(client: Client, node: string, timeoutMs: number): Promise<BerthError> {
  const tasks = await tasksOn(client, node)
  const waiting = (await all<TaskDocument>(client, '/v1/tasks')).filter(({ waits }) => waits.length > 0)
  const left = tasks.slice(0, leftShownMax).map(({ name, service, state, homeVolume }) => {
    if (homeVolume !== null) return `  ${name}  stays: its volume ${homeVolume} is here`
    const why = waiting.find((task) => task.service === service)?.waits[0]
    const where = why && why.nodes.length > 0 ? `${why.nodes.slice(0, 3).join(', ')}: ` : ''
    return `  ${name}  ${state}${why ? `, no other node takes it (${where}${why.message})` : ''}`
  })
  return new BerthError(
    'timed-out',
    `${node} still has ${plural(tasks.length, 'task')} after ${duration(timeoutMs)}; it goes on draining:\n${left.join('\n')}`,
    { details: { node, tasks: tasks.map((task) => task.name) } },
  )
}

function said({ out, json }: Context, answer: unknown, words: string): void {
  if (json) out.document(answer)
  else out.line(words)
}
