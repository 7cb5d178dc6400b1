/** `berth cluster show|set`, `node set` and `node taint`: what scheduling reckons with. */
import type { ChangeAnswer, ClusterBody, ClusterDocument, NodeBody, TaintsBody } from '../../shared/api.ts'
import { didYouMean } from '../../shared/compose/suggest.ts'
import { parseBytes } from '../../shared/compose/units.ts'
import { BerthError } from '../../shared/errors.ts'
import { OVERCOMMIT_MAX, OVERCOMMIT_MIN } from '../../shared/overcommit.ts'
import { POLICY_NAMES, TAINT_EFFECTS } from '../../shared/spec.ts'
import { segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'

export async function showCluster(context: Context): Promise<void> {
  const document = await withClient(context, (client) => client.get<ClusterDocument>('/v1/cluster'))
  if (context.json) return context.out.document(document)
  const { policy, survive, preemption, rebalance } = document.settings
  context.out.line(`cluster ${document.cluster}`)
  context.out.line(`policy      ${policy}`)
  context.out.line(`survive     ${survive}`)
  context.out.line(`preemption  ${preemption}`)
  context.out.line(
    `rebalance   ${rebalance.auto ? `at most ${rebalance.movesPerHour} moves an hour by itself` : 'when asked'}`,
  )
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
  const words = [
    ...body.set.map(({ key, value, effect }) => `taint ${key}${value && `=${value}`}:${effect} set`),
    ...body.remove.map(({ key, effect }) => `taint ${key}${effect ? `:${effect}` : ''} removed`),
  ]
  said(context, answer, `${node}  ${words.join(', ')}`)
}

function said({ out, json }: Context, answer: unknown, words: string): void {
  if (json) out.document(answer)
  else out.line(words)
}

// ---------------------------------------------------------------- what was written

/** `known`: words it may be, for a hint when one is misspelt. */
type Setting = { words: string; known: readonly string[]; read(value: string): Partial<ClusterBody> | null }

const CLUSTER_SETTINGS: Record<keyof ClusterBody, Setting> = {
  policy: oneOf(POLICY_NAMES, (policy) => ({ policy })),
  survive: oneOf(['nothing', 'any-node'], (survive) => ({ survive })),
  preemption: oneOf(['true', 'false'], (word) => ({ preemption: word === 'true' })),
  rebalance: {
    words: 'off, or how many moves an hour it may make by itself (1 to 10000)',
    known: ['off'],
    read(value) {
      if (value === 'off') return { rebalance: { auto: false } }
      const isCount = /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 10_000
      return isCount ? { rebalance: { auto: true, movesPerHour: Number(value) } } : null
    },
  },
}

function oneOf<const Word extends string>(known: readonly Word[], body: (word: Word) => Partial<ClusterBody>): Setting {
  return {
    words: `one of ${known.join(', ')}`,
    known,
    read(value) {
      const word = known.find((each) => each === value)
      return word === undefined ? null : body(word)
    },
  }
}

/** @throws BerthError `invalid-request` that names the pair */
export function parseClusterSettings(pairs: readonly string[]): ClusterBody {
  const body: ClusterBody = {}
  for (const pair of pairs) {
    const [key, value] = split(pair)
    const setting = Object.hasOwn(CLUSTER_SETTINGS, key) ? CLUSTER_SETTINGS[key as keyof ClusterBody] : null
    if (!setting) {
      const keys = Object.keys(CLUSTER_SETTINGS)
      throw wrong(`"${key}" is no setting of the cluster; there are ${keys.join(', ')}${didYouMean(key, keys)}`)
    }
    const read = setting.read(value)
    if (!read) throw wrong(`${key} cannot be "${value}"; it is ${setting.words}${didYouMean(value, setting.known)}`)
    Object.assign(body, read)
  }
  return body
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
    const given = amount(key, value, name.endsWith('Bytes'))
    if (group === 'overcommit' && !(given >= OVERCOMMIT_MIN && given <= OVERCOMMIT_MAX))
      throw wrong(`${key} cannot be ${value}; it is a factor from ${OVERCOMMIT_MIN} to ${OVERCOMMIT_MAX}`)
    body[group][name] = given
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
