/** `berth token`: showing and rotating tokens. */
import type { RotateAnswer, TokensAnswer } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { createClient } from '../client.ts'
import { configPath, findConnection, writeConfig } from '../config.ts'
import { type Context, withClient } from '../context.ts'

/** The line to run on a host that is to join. */
export async function showJoinLine(context: Context): Promise<void> {
  const answer = await withClient(context, (client) => client.get<TokensAnswer>('/v1/tokens'))
  if (context.json) context.out.document(answer)
  else context.out.line(answer.command)
}

/** The token alone. */
export async function showJoinToken(context: Context): Promise<void> {
  const answer = await withClient(context, (client) => client.get<TokensAnswer>('/v1/tokens'))
  if (context.json) context.out.document(answer)
  else context.out.line(answer.join)
}

export async function rotateToken(context: Context, which: string): Promise<void> {
  if (which !== 'join' && which !== 'operator') {
    throw new BerthError('invalid-request', `"${which}" is no token; rotate join or operator`)
  }
  const connection = await findConnection(context.env)
  const client = createClient(connection)
  try {
    const { token } = await client.post<RotateAnswer>('/v1/tokens', { rotate: which })
    if (context.json) context.out.document({ token })
    else context.out.line(token)
    if (which === 'join')
      return context.out.note('the join token before is refused from now on; nodes that joined stay')
    if (context.env.BERTH_TOKEN)
      return context.out.note('the operator token before is refused from now on: set BERTH_TOKEN anew')
    await writeConfig({ ...connection, token }, context.env)
    context.out.note(`the operator token before is refused from now on; ${configPath(context.env)} has the new one`)
  } finally {
    client.close()
  }
}
