/** `berth forward`: where lines and figures go, and how far each target is. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type {
  ForwardedLogs,
  ForwardedMetrics,
  ForwardedTarget,
  ForwardingDocument,
  ForwardingTestAnswer,
} from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { type Context, withClient } from '../context.ts'
import { bytes, duration, plural } from '../figures.ts'
import { type Column, tableLines } from '../table.ts'
import { findingsTold, settingsText, whyUnreadable } from './settings-file.ts'

export async function listForwarding(context: Context): Promise<void> {
  const { out, json } = context
  const document = await withClient(context, (client) => client.get<ForwardingDocument>('/v1/forwarding'))
  if (json) return out.document(document)
  const rows = document.targets.flatMap(rowsOf)
  if (rows.length === 0) return out.line('nothing is forwarded: berth forward set -f forwarding.yaml')
  for (const line of tableLines(COLUMNS, rows, out.columns)) out.line(line)
}

/** Replaces the targets with those of the file. @throws BerthError `invalid-file` with every finding and its line */
export async function setForwarding(context: Context, { file }: { file: string }): Promise<void> {
  const { readForwarding } = await import('../../shared/forwarding/read-forwarding.ts')
  const written = await settingsText(file)
  const folder = file === '-' ? process.cwd() : dirname(file)
  const config = await findingsTold(() => readForwarding(written, file, (path) => caText(resolve(folder, path))))
  const answer = await withClient(context, (client) => client.put<{ targets: number }>('/v1/forwarding', config))
  if (context.json) return context.out.document(answer)
  context.out.line(`forwarding set, ${plural(answer.targets, 'target')}; berth forward test tries them`)
}

function caText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`names ${path}: ${whyUnreadable(error)}`)
  }
}

/** @throws BerthError `failed` when a target did not take it */
export async function testForwarding(context: Context): Promise<void> {
  const { items } = await withClient(context, (client) => client.post<ForwardingTestAnswer>('/v1/forwarding/test'))
  if (context.json) context.out.document(items)
  else {
    for (const { target, error } of items) context.out.line(`${target}  ${error === null ? 'has taken it' : error}`)
    if (items.length === 0) context.out.line('no target is set: berth forward set -f forwarding.yaml')
  }
  const failed = items.filter(({ error }) => error !== null).length
  if (failed > 0) throw new BerthError('failed', `${failed} of ${plural(items.length, 'target')} did not take the test`)
}

const COLUMNS: Column[] = [
  { title: 'TARGET', shrinkTo: 8 },
  { title: 'KIND' },
  { title: 'STATE' },
  { title: 'BEHIND', shrinkTo: 10 },
  { title: 'SENT', align: 'right' },
  { title: 'LOST', align: 'right' },
  { title: 'BECAUSE', shrinkTo: 16 },
]

function rowsOf({ name, logs, metrics, config }: ForwardedTarget): string[][] {
  return [
    ...(config.logs === null ? [] : [[name, `${config.kind} logs`, ...(logs === null ? NOT_KEPT : logCells(logs))]]),
    ...(metrics === null ? [] : [[name, `${config.kind} metrics`, ...metricCells(metrics)]]),
  ]
}

const NOT_KEPT = ['off', '-', '-', '-', 'no lines are kept (--logs-size 0)']

function logCells({ state, since, why, behind, sent, refused, skipped }: ForwardedLogs): string[] {
  const waiting = `${plural(behind.lines, 'line')}, ${bytes(behind.bytes)}, ${duration(behind.seconds * 1000)}`
  return [
    stateCell(state, since),
    behind.lines === 0 ? '-' : waiting,
    plural(sent.lines, 'line'),
    String(refused + skipped),
    why ?? '',
  ]
}

function metricCells({ state, since, why, sent, failed }: ForwardedMetrics): string[] {
  return [stateCell(state, since), '-', plural(sent, 'time'), String(failed), why ?? '']
}

function stateCell(state: string, since: string | null): string {
  return since === null ? state : `${state} ${duration(Date.now() - Date.parse(since))}`
}
