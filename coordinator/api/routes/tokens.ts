/** Tokens: showing and changing the join token, changing the operator's. */
import type { FastifyInstance } from 'fastify'
import { RotateAnswer, RotateBody, TokensAnswer } from '../../../shared/api.ts'
import type { RouteParts } from '../api.ts'
import { joinCommand } from '../join-command.ts'

export function tokenRoutes(api: FastifyInstance, { security, settings }: RouteParts): void {
  const show = { summary: 'The join token, and the line that joins a host with it', response: { 200: TokensAnswer } }
  api.get('/v1/tokens', { schema: show }, (_request, reply) => {
    reply.header('cache-control', 'no-store')
    const join = security.joinToken()
    return { join, command: joinCommand(settings.url, security.serverKeyPin, join) }
  })

  const rotate = {
    summary: 'Makes a new token; the one before is refused from then on',
    body: RotateBody,
    response: { 200: RotateAnswer },
  }
  api.post<{ Body: RotateBody }>('/v1/tokens', { schema: rotate }, async ({ body }, reply) => {
    reply.header('cache-control', 'no-store')
    const token = body.rotate === 'join' ? await security.rotateJoinToken() : await security.rotateOperatorToken()
    return { token }
  })
}
