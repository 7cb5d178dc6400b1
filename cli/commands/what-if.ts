/** `berth what-if`: nodes lost or added, services scaled; what would come of it. */
import type { AddedNodeBody, WhatIfBody, WhatIfDocument } from '../../shared/api.ts'
import { parseBytes } from '../../shared/compose/units.ts'
import { BerthError } from '../../shared/errors.ts'
import { FORBIDDEN_KEY } from '../../shared/names.ts'
import { type Context, withClient } from '../context.ts'
import { plural } from '../figures.ts'
import type { Output } from '../output.ts'
import { changeLines, unplacedLines } from '../question-view.ts'
import { parseScale } from './changes.ts'

export type WhatIfOptions = { lose?: string[]; loseLabel?: string[]; add?: string[]; scale?: string[] }

/** Sets exit code 1 when something would have no place, or a service would stop. */
export async function whatIf(context: Context, options: WhatIfOptions): Promise<void> {
  const body = whatIfBody(options)
  const answer = await withClient(context, (client) => client.post<WhatIfDocument>('/v1/what-if', body))
  if (answer.unplaced.length > 0 || answer.stopped.length > 0) process.exitCode = 1
  if (context.json) return context.out.document(answer)
  for (const line of whatIfLines(answer, context.out.paint)) context.out.line(line)
}

/** @throws BerthError `invalid-request` for what cannot be read */
export function whatIfBody({ lose = [], loseLabel = [], add = [], scale = [] }: WhatIfOptions): WhatIfBody {
  if (lose.length + loseLabel.length + add.length + scale.length === 0) {
    throw new BerthError(
      'invalid-request',
      'say what should be supposed: --lose NODE, --lose-label KEY=VALUE, --add cpu=8,memory=32G or --scale SERVICE=N',
    )
  }
  return {
    lose,
    loseLabels: loseLabel.map(parseLabel),
    add: add.map(parseNode),
    scale: scale.map(parseScale),
  }
}

function parseLabel(text: string): { label: string; value: string } {
  const split = text.indexOf('=')
  if (split > 0) return { label: text.slice(0, split), value: text.slice(split + 1) }
  throw new BerthError('invalid-request', `"${text}" is no label; write --lose-label like zone=a`)
}

const EXAMPLE = 'write it like cpu=8,memory=32G,labels.zone=a,count=2'

/** `cpu=8,memory=32G`, then as wanted `disk`, `labels.KEY`, `generic.KEY`, `os`, `arch`, `count`. */
export function parseNode(text: string): AddedNodeBody {
  const node: AddedNodeBody = { cpuCores: 0, memoryBytes: 0 }
  const seen = new Set<string>()
  for (const pair of text.split(',')) {
    const split = pair.indexOf('=')
    const key = pair.slice(0, split).trim()
    if (split <= 0) throw unreadable(text, `"${pair}" is no KEY=VALUE`)
    if (seen.has(key)) throw unreadable(text, `${key} is given twice`)
    seen.add(key)
    setPart(node, key, pair.slice(split + 1).trim(), text)
  }
  if (node.cpuCores === 0) throw unreadable(text, 'cpu is missing')
  if (node.memoryBytes === 0) throw unreadable(text, 'memory is missing')
  return node
}

function setPart(node: AddedNodeBody, key: string, value: string, text: string): void {
  if (key === 'cpu') node.cpuCores = positive(key, value, text)
  else if (key === 'memory') node.memoryBytes = size(key, value, text)
  else if (key === 'disk') node.diskBytes = size(key, value, text)
  else if (key === 'count') node.count = whole(key, value, text)
  else if (key === 'os') node.os = value
  else if (key === 'arch') node.arch = value
  else if (key.startsWith('labels.')) node.labels = { ...node.labels, [nameIn(key, text)]: value }
  else if (key.startsWith('generic.')) node.generic = { ...node.generic, [nameIn(key, text)]: whole(key, value, text) }
  else
    throw unreadable(
      text,
      `${key} is no part of a node; there are cpu, memory, disk, labels.KEY, generic.KEY, os, arch, count`,
    )
}

function nameIn(key: string, text: string): string {
  const name = key.slice(key.indexOf('.') + 1)
  if (name === '' || name === FORBIDDEN_KEY) throw unreadable(text, `${key} names nothing`)
  return name
}

function positive(key: string, value: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(value) && Number(value) > 0) return Number(value)
  throw unreadable(text, `${key} must be a number above 0, not "${value}"`)
}

function whole(key: string, value: string, text: string): number {
  if (/^[1-9]\d{0,5}$/.test(value)) return Number(value)
  throw unreadable(text, `${key} must be a whole number from 1, not "${value}"`)
}

function size(key: string, value: string, text: string): number {
  const bytes = parseBytes(value) ?? 0
  if (bytes > 0) return bytes
  throw unreadable(text, `${key} must be a size such as 512M or 32G, not "${value}"`)
}

function unreadable(text: string, what: string): BerthError {
  return new BerthError('invalid-request', `--add ${text}: ${what}; ${EXAMPLE}`)
}

// ---------------------------------------------------------------- the answer

export function whatIfLines(answer: WhatIfDocument, paint: Output['paint']): string[] {
  const { stopped, interrupted, isNobodyLeft, isComplete } = answer
  const stopping = new Set(stopped.filter(({ volume }) => volume !== null).map(({ service }) => service))
  const nowhere = answer.unplaced.filter(({ service }) => !stopping.has(service))
  return [
    headLine(answer),
    ...(isNobodyLeft ? ['no node would be left: the coordinator gives up none of them, and nothing moves'] : []),
    ...changeLines(answer.changes.filter(({ kind }) => kind !== 'displace' && kind !== 'wait')),
    ...unplacedLines(nowhere, paint),
    ...stopped.map(({ service, volume, nodes }) =>
      volume === null
        ? `${paint('red', '✗')} ${service} stops: no node would take any of its tasks`
        : `${paint('red', '✗')} ${service} stops: its volume ${volume} lives on ${nodes.join(', ')} only`,
    ),
    ...interrupted.map(
      (service) => `${paint('yellow', '!')} ${service} loses its last task until it has started elsewhere`,
    ),
    ...preemptedLine(answer, paint),
    ...(isComplete ? [] : ['there is more to come than is looked at; what is told is how it begins']),
  ]
}

/** Each is among what moves or would fit nowhere as well: here is who gives way. Of very many changes only the first are told. */
function preemptedLine({ counts, changes }: WhatIfDocument, paint: Output['paint']): string[] {
  if (counts.preempted === 0) return []
  const names = changes.filter(({ isPreempted }) => isPreempted).map(({ task }) => task)
  const shown = names.slice(0, PREEMPTED_SHOWN)
  const more = counts.preempted > shown.length ? [`and ${counts.preempted - shown.length} more`] : []
  const what = `${plural(counts.preempted, 'task')} of lower priority would be preempted`
  return [`${paint('yellow', '!')} ${what}: ${[...shown, ...more].join(', ')}`]
}

const PREEMPTED_SHOWN = 10

/** `26 tasks move: 24 fit, 2 do not`. */
function headLine({ lost, added, scaled, counts, unplaced }: WhatIfDocument): string {
  const supposed = [
    lost.length > 0 ? `${namesText(lost)} lost` : '',
    added.length > 0 ? `${plural(added.length, 'node')} added` : '',
    ...scaled.map(({ service, from, to }) => `${service} ${from} → ${to}`),
  ].filter((part) => part !== '')
  const out = unplaced.reduce((sum, each) => sum + each.count, 0)
  const fit = counts.move + counts.place + counts.replace
  const want = fit + out
  const what =
    want === 0
      ? 'no task needs another place'
      : `${plural(want, 'task')} ${want === 1 ? 'needs' : 'need'} a place: ${fit} fit, ${out} do not`
  return `${supposed.join(', ')}: ${what}${counts.stop > 0 ? `, ${counts.stop} stopped` : ''}`
}

function namesText(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.length} nodes`
}
