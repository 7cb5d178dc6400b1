/** `berth cluster show|set`, `node set` and `node taint`: what scheduling reckons with. */
import type { ChangeAnswer, ClusterBody, ClusterDocument, NodeBody, TaintsBody } from '../../shared/api.ts'
import { didYouMean } from '../../shared/compose/suggest.ts'
import { parseBytes } from '../../shared/compose/units.ts'
import { BerthError } from '../../shared/errors.ts'
import { POLICY_NAMES, TAINT_EFFECTS } from '../../shared/spec.ts'
import { segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'

export async function showCluster(context: Context): Promise<void> {
  const document = await withClient(context, (client) => client.get<ClusterDocument>('/v1/cluster'))
  if (context.json) return context.out.document(document)
  const { policy, survive, preemption } = document.settings
  context.out.line(`cluster ${document.cluster}`)
  context.out.line(`policy      ${policy}`)
  context.out.line(`survive     ${survive}`)
  context.out.line(`preemption  ${preemption}`)
}

export async function setCluster(context: Context, pairs: string[]): Promise<void> {
  const body = parseClusterSettings(pairs)
  const answer = await withClient(context, (client) => client.patch<ChangeAnswer>('/v1/cluster', body))
  said(context, answer, `${pairs.join(', ')}: set`)
}

export async function setNode(context: Context, node: string, pairs: string[]): Promise<void> {
  const body = parseNodeSettings(pairs)
  const answer = await withClient(context, (client) => client.patch<ChangeAnswer>(`/v1/nodes/${segment(node)}`, body))
  said(context, answer, `${node}  ${pairs.join(', ')}: set`)
}

export async function taintNode(context: Context, node: string, taints: string[]): Promise<void> {
  const body = parseTaints(taints)
  const path = `/v1/nodes/${segment(node)}/taints`
  const answer = await withClient(context, (client) => client.put<ChangeAnswer>(path, body))
  said(context, answer, `${node}  tainted`)
}

function said({ out, json }: Context, answer: unknown, words: string): void {
  if (json) out.document(answer)
  else out.line(words)
}

// ---------------------------------------------------------------- what was written

const CLUSTER_KEYS: Record<keyof ClusterBody, readonly string[]> = {
  policy: POLICY_NAMES,
  survive: ['nothing', 'any-node'],
  preemption: ['true', 'false'],
}

/** @throws BerthError `invalid-request` that names the pair */
export function parseClusterSettings(pairs: readonly string[]): ClusterBody {
  const body: Record<string, string | boolean> = {}
  for (const pair of pairs) {
    const [key, value] = split(pair)
    const values = Object.hasOwn(CLUSTER_KEYS, key) ? CLUSTER_KEYS[key as keyof ClusterBody] : null
    if (!values)
      throw wrong(
        `"${key}" is no setting of the cluster; there are ${Object.keys(CLUSTER_KEYS).join(', ')}${didYouMean(key, Object.keys(CLUSTER_KEYS))}`,
      )
    if (!values.includes(value))
      throw wrong(`${key} cannot be "${value}"; it is one of ${values.join(', ')}${didYouMean(value, values)}`)
    body[key] = key === 'preemption' ? value === 'true' : value
  }
  return body as ClusterBody
}

const NODE_KEYS: Record<string, readonly ['reserve' | 'overcommit', string]> = {
  'cpu-reserve': ['reserve', 'cpuCores'],
  'memory-reserve': ['reserve', 'memoryBytes'],
  'disk-reserve': ['reserve', 'diskBytes'],
  'cpu-overcommit': ['overcommit', 'cpu'],
  'memory-overcommit': ['overcommit', 'memory'],
  'disk-overcommit': ['overcommit', 'disk'],
}

/** @throws BerthError `invalid-request` that names the pair */
export function parseNodeSettings(pairs: readonly string[]): NodeBody {
  const body: Record<'reserve' | 'overcommit', Record<string, number>> = { reserve: {}, overcommit: {} }
  for (const pair of pairs) {
    const [key, value] = split(pair)
    const place = Object.hasOwn(NODE_KEYS, key) ? NODE_KEYS[key] : undefined
    if (!place)
      throw wrong(
        `"${key}" is no setting of a node; there are ${Object.keys(NODE_KEYS).join(', ')}${didYouMean(key, Object.keys(NODE_KEYS))}`,
      )
    const [group, name] = place
    body[group][name] = amount(key, value, name.endsWith('Bytes'))
  }
  return body
}

function amount(key: string, text: string, isSize: boolean): number {
  const value = isSize ? parseBytes(text) : /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
  if (value !== undefined) return value
  throw wrong(`${key} cannot be "${text}"; write it like ${isSize ? '512M or 2G' : '1.5'}`)
}

/** @throws BerthError `invalid-request` that names the taint */
export function parseTaints(texts: readonly string[]): Required<TaintsBody> {
  const body: Required<TaintsBody> = { set: [], remove: [] }
  for (const text of texts) {
    const match = /^([^=:\s]+?)(?:=([^:\s]*))?(?::([a-z-]+?))?(-)?$/.exec(text)
    const [, key = '', value = '', word, minus] = match ?? []
    const effect = TAINT_EFFECTS.find((each) => each === word)
    if (!match || (word !== undefined && !effect) || (!minus && !effect)) {
      const effects = TAINT_EFFECTS.join(', ')
      const meant = word === undefined ? '' : didYouMean(word, TAINT_EFFECTS)
      throw wrong(
        `"${text}" is no taint; write KEY=VALUE:EFFECT to set one (effects: ${effects}), KEY- to remove it${meant}`,
      )
    }
    if (minus) body.remove.push({ key, ...(effect && { effect }) })
    else body.set.push({ key, value, effect: effect! })
  }
  return body
}

function split(pair: string): [string, string] {
  const at = pair.indexOf('=')
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
  throw wrong(`"${pair}" sets nothing; write it like KEY=VALUE`)
}

function wrong(message: string): BerthError {
  return new BerthError('invalid-request', message)
}
