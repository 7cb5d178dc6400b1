/** `berth alerts`: what fires, rules and receivers, silences. */
import type { AlertDocument, AlertsDocument, AlertsTestAnswer, SilenceBody, SilenceDocument } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { duration, plural } from '../figures.ts'
import { type Column, tableLines } from '../table.ts'
import { findingsTold, settingsText } from './settings-file.ts'

export async function listAlerts(context: Context): Promise<void> {
  const { out, json } = context
  const document = await withClient(context, (client) => client.get<AlertsDocument>('/v1/alerts'))
  if (json) return out.document(document)
  const { alerts, silences, config } = document
  if (alerts.length === 0) out.line('nothing fires')
  else for (const line of tableLines(ALERT_COLUMNS, alerts.map(alertRow), out.columns)) out.line(line)
  if (silences.length > 0) {
    out.line('')
    for (const line of tableLines(SILENCE_COLUMNS, silences.map(silenceRow), out.columns)) out.line(line)
  }
  if (config.receivers.length === 0) out.note('no receiver is set, so nobody is told: berth alerts set -f alerts.yaml')
}

/** Replaces rules and receivers with what the file says. @throws BerthError `invalid-file` with every finding and its line */
export async function setAlerts(context: Context, { file }: { file: string }): Promise<void> {
  const { readAlerts } = await import('../../shared/alerts/read-alerts.ts')
  const written = await settingsText(file)
  const config = await findingsTold(() => readAlerts(written, file))
  const answer = await withClient(context, (client) => client.put<{ receivers: number }>('/v1/alerts', config))
  if (context.json) return context.out.document(answer)
  context.out.line(`alerts set, ${plural(answer.receivers, 'receiver')}; berth alerts test tries them`)
}

/** @throws BerthError `failed` when a receiver did not take it */
export async function testAlerts(context: Context): Promise<void> {
  const { items } = await withClient(context, (client) => client.post<AlertsTestAnswer>('/v1/alerts/test'))
  if (context.json) context.out.document(items)
  else {
    for (const { receiver, error } of items) context.out.line(`${receiver}  ${error === null ? 'has taken it' : error}`)
    if (items.length === 0) context.out.line('no receiver is set: berth alerts set -f alerts.yaml')
  }
  const failed = items.filter(({ error }) => error !== null).length
  if (failed > 0)
    throw new BerthError('failed', `${failed} of ${plural(items.length, 'receiver')} did not take the test`)
}

export type SilenceOptions = { rule?: string; node?: string; service?: string; for: number; comment?: string }

export async function silenceAlerts(context: Context, { for: forMs, ...named }: SilenceOptions): Promise<void> {
  const body: SilenceBody = { ...named, forMs }
  const made = await withClient(context, (client) => client.post<SilenceDocument>('/v1/alerts/silences', body))
  if (context.json) return context.out.document(made)
  context.out.line(
    `silence ${made.id} for ${duration(forMs)}: ${ofWhat(made)}; berth alerts unsilence ${made.id} ends it`,
  )
}

export async function unsilenceAlerts(context: Context, id: string): Promise<void> {
  const answer = await withClient(context, (client) =>
    client.delete<{ id: string }>(`/v1/alerts/silences/${segment(id)}`),
  )
  if (context.json) return context.out.document(answer)
  context.out.line(`silence ${id} ended`)
}

const ALERT_COLUMNS: Column[] = [
  { title: 'STATE' },
  { title: 'FOR', align: 'right' },
  { title: 'RULE', shrinkTo: 12 },
  { title: 'REASON', shrinkTo: 20 },
  { title: 'SILENCED' },
]

function alertRow({ state, since, rule, reason, silencedBy }: AlertDocument): string[] {
  return [state, duration(Date.now() - Date.parse(since)), rule, reason.replaceAll(/\s+/g, ' '), silencedBy ?? '']
}

const SILENCE_COLUMNS: Column[] = [
  { title: 'SILENCE' },
  { title: 'ENDS IN', align: 'right' },
  { title: 'OF', shrinkTo: 20 },
  { title: 'COMMENT', shrinkTo: 10 },
]

function silenceRow(silence: SilenceDocument): string[] {
  const { id, endsAt, comment } = silence
  return [id, duration(Date.parse(endsAt) - Date.now()), ofWhat(silence), comment]
}

function ofWhat({ rule, node, service }: SilenceDocument): string {
  const named = Object.entries({ rule, node, service }).filter(([, name]) => name !== undefined)
  return named.length === 0 ? 'everything' : named.map(([label, name]) => `${label} ${name}`).join(', ')
}
