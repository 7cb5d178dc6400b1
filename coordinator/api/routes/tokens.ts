/** Tokens: showing and changing the join token, changing the operator's. */
import type { FastifyInstance } from 'fastify'
import {
  ReaderAnswer,
  ReaderBody,
  ReaderParams,
  ReadersDocument,
  RotateAnswer,
  RotateBody,
  TokensAnswer,
} from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import type { RouteParts } from '../api.ts'
import { OPERATOR } from '../auth.ts'
import { joinCommand } from '../join-command.ts'
import { isoTime } from '../words.ts'

export function tokenRoutes(api: FastifyInstance, { security, settings, clock, streams }: RouteParts): void {
  const show = { summary: 'The join token, and the line that joins a host with it', response: { 200: TokensAnswer } }
  api.get('/v1/tokens', { schema: show }, (_request, reply) => {
    reply.header('cache-control', 'no-store')
    const join = security.joinToken()
    const expiresAt = timeOf(security.joinTokenExpiresAt())
    return { join, command: joinCommand(settings.url, security.serverKeyPin, join), expiresAt }
  })

  const rotate = {
    summary: 'Makes a new token; the one before is refused from then on',
    body: RotateBody,
    response: { 200: RotateAnswer },
  }
  api.post<{ Body: RotateBody }>('/v1/tokens', { schema: rotate }, async ({ body }, reply) => {
    reply.header('cache-control', 'no-store')
    return body.rotate === 'join' ? rotateJoin(body) : rotateOperator(body)
  })

  const list = { summary: 'The read-only tokens: their names, never the tokens', response: { 200: ReadersDocument } }
  api.get('/v1/tokens/readers', { schema: list }, () => ({
    items: security.readers().map(({ name, createdAt }) => ({ name, createdAt: isoTime(createdAt) })),
  }))

  const create = {
    summary: 'Makes a read-only token and tells it, this once',
    body: ReaderBody,
    response: { 200: ReaderAnswer },
  }
  api.post<{ Body: ReaderBody }>('/v1/tokens/readers', { schema: create }, async ({ body: { name } }, reply) => {
    reply.header('cache-control', 'no-store')
    if (RESERVED_NAMES.includes(name)) {
      throw new BerthError(
        'invalid-request',
        `a read-only token cannot be called ${name}: that is the name of another token`,
      )
    }
    return { name, token: await security.createReader(name) }
  })

  const remove = { summary: 'Takes a read-only token back', params: ReaderParams, response: { 200: ReaderParams } }
  api.delete<{ Params: ReaderParams }>('/v1/tokens/readers/:name', { schema: remove }, async ({ params: { name } }) => {
    await security.removeReader(name)
    // Some may have been opened with it; who may still read opens them again.
    streams.endAll()
    return { name }
  })

  async function rotateJoin({ expiresInMs }: RotateBody): Promise<RotateAnswer> {
    const expiresAt = expiresInMs === undefined ? null : clock.now() + expiresInMs
    const token = await security.rotateJoinToken(expiresAt === null ? {} : { expiresAt })
    return { token, expiresAt: timeOf(expiresAt) }
  }

  async function rotateOperator({ expiresInMs }: RotateBody): Promise<RotateAnswer> {
    if (expiresInMs !== undefined) {
      throw new BerthError('invalid-request', 'expiresInMs is for the join token only: operator tokens do not expire')
    }
    const token = await security.rotateOperatorToken()
    // They were opened with the token that was just refused; who has the new one opens them again.
    streams.endAll()
    return { token, expiresAt: null }
  }
}

/** As the audit log has them. */
const RESERVED_NAMES = [OPERATOR, 'join']
const timeOf = (at: number | null) => (at === null ? null : isoTime(at))
