/** `GET /v1/recording`: what the journal holds, as one file that `berth replay` reads. */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { BerthError } from '../../../shared/errors.ts'
import type { RouteParts } from '../api.ts'

/** Each holds a file open and keeps the disk busy. */
const READERS_MAX = 4

export function recordingRoutes(api: FastifyInstance, { journal }: RouteParts): void {
  let readers = 0
  const schema = {
    summary:
      'What was observed, asked for and decided, as far back as it is kept; berth replay reads it. Holds whole specs',
  }
  api.get('/v1/recording', { schema }, async (_request, reply) => {
    if (!journal) {
      throw new BerthError('conflict', 'this coordinator keeps no journal; it was started with --journal-size 0')
    }
    if (readers >= READERS_MAX) {
      throw new BerthError('too-many-requests', `${readers} recordings are being read already; try again shortly`)
    }
    readers += 1
    reply.raw.once('close', () => {
      readers -= 1
    })
    const { stream } = await journal.read()
    return reply.type('application/octet-stream').send(Readable.from(stream))
  })
}
