/** `berth audit`: who changed what, from where, and what came of it. */
import { type AuditDocument, PAGE_LIMIT_MAX } from '../../shared/api.ts'
import type { Query } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { type Column, tableLines } from '../table.ts'

export type AuditOptions = { limit?: number /** Milliseconds before now. */; since?: number }

export async function audit(context: Context, { limit, since }: AuditOptions): Promise<void> {
  const { out, json } = context
  const query: Query = since === undefined ? { limit } : { limit: limit ?? PAGE_LIMIT_MAX, since: Date.now() - since }
  const { items } = await withClient(context, (client) => client.get<{ items: AuditDocument[] }>('/v1/audit', query))
  if (json) return out.document(items)
  for (const line of tableLines(COLUMNS, items.map(row), out.columns)) out.line(line)
  if (since !== undefined && items.length === query.limit) {
    out.note(`these are the newest ${items.length}; there may be more: choose a shorter --since`)
  }
}

const COLUMNS: Column[] = [
  { title: 'TIME' },
  { title: 'WHO' },
  { title: 'FROM', shrinkTo: 12 },
  { title: 'WHAT', shrinkTo: 20 },
  { title: 'RESULT' },
]

function row({ at, who, from, method, path, details, status, code }: AuditDocument): string[] {
  const words = Object.entries(details).map(([name, value]) => ` ${name}=${value}`)
  const result = status === null ? 'not answered' : (code ?? 'done')
  return [at.replace('T', ' ').slice(0, 19), who, from, `${method} ${legible(path)}${words.join('')}`, result]
}

function legible(path: string): string {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
