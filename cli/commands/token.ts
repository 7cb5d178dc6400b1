/** `berth token`: showing, making, rotating and taking back tokens. */
import type { ReaderAnswer, ReaderParams, ReadersDocument, RotateAnswer, TokensAnswer } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { createClient } from '../client.ts'
import { configPath, findConnection, writeConfig } from '../config.ts'
import { type Context, withClient } from '../context.ts'
import { duration } from '../figures.ts'
import { tableLines } from '../table.ts'

/** `expires` in ms from now. */
export type RotateOptions = { expires?: number }

/** The line to run on a host that is to join. */
export async function showJoinLine(context: Context): Promise<void> {
  await showJoin(context, ({ command }) => command)
}

/** The token alone. */
export async function showJoinToken(context: Context): Promise<void> {
  await showJoin(context, ({ join }) => join)
}

async function showJoin(context: Context, lineOf: (answer: TokensAnswer) => string): Promise<void> {
  const answer = await withClient(context, (client) => client.get<TokensAnswer>('/v1/tokens'))
  if (context.json) return context.out.document(answer)
  context.out.line(lineOf(answer))
  if (answer.expiresAt !== null) context.out.note(expiryNote(answer.expiresAt, Date.now()))
}

export async function rotateToken(context: Context, which: string, { expires }: RotateOptions): Promise<void> {
  if (which !== 'join' && which !== 'operator') {
    throw new BerthError('invalid-request', `"${which}" is no token; rotate join or operator`)
  }
  const connection = await findConnection(context.env)
  const client = createClient(connection)
  try {
    const asked = { rotate: which, ...(expires === undefined ? {} : { expiresInMs: Math.round(expires) }) }
    const { token, expiresAt } = await client.post<RotateAnswer>('/v1/tokens', asked)
    if (context.json) context.out.document({ token, expiresAt })
    else context.out.line(token)
    if (which === 'join') {
      context.out.note('the join token before is refused from now on; nodes that joined stay')
      if (expiresAt !== null) context.out.note(expiryNote(expiresAt, Date.now()))
      return
    }
    if (context.env.BERTH_TOKEN)
      return context.out.note('the operator token before is refused from now on: set BERTH_TOKEN anew')
    await writeConfig({ ...connection, token }, context.env)
    context.out.note(`the operator token before is refused from now on; ${configPath(context.env)} has the new one`)
  } finally {
    client.close()
  }
}

/** Printed alone, this once: the coordinator keeps its hash. */
export async function createReader(context: Context, name: string): Promise<void> {
  const { out } = context
  const answer = await withClient(context, (client) => client.post<ReaderAnswer>('/v1/tokens/readers', { name }))
  if (context.json) return out.document(answer)
  out.line(answer.token)
  out.note(`${name} may read metrics, states and events, and change nothing; the token is not shown again`)
}

export async function listReaders(context: Context): Promise<void> {
  const { out } = context
  const answer = await withClient(context, (client) => client.get<ReadersDocument>('/v1/tokens/readers'))
  if (context.json) return out.document(answer)
  if (answer.items.length === 0) return out.note('there are no read-only tokens; `berth token create NAME` makes one')
  const rows = answer.items.map(({ name, createdAt }) => [name, 'read', createdAt])
  for (const line of tableLines([{ title: 'NAME' }, { title: 'ROLE' }, { title: 'CREATED' }], rows, out.columns))
    out.line(line)
}

export async function removeReader(context: Context, name: string): Promise<void> {
  const { out } = context
  const answer = await withClient(context, (client) =>
    client.delete<ReaderParams>(`/v1/tokens/readers/${encodeURIComponent(name)}`),
  )
  if (context.json) return out.document(answer)
  out.note(`the token ${name} is refused from now on`)
}

function expiryNote(expiresAt: string, now: number): string {
  const leftMs = Date.parse(expiresAt) - now
  return leftMs > 0
    ? `this token counts until ${expiresAt} (${duration(leftMs)})`
    : `this token expired at ${expiresAt}: hosts are refused with it; \`berth token rotate join\` makes a new one`
}
