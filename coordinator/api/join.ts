/** `POST /v1/join`: a host that shows the join token becomes a node, with a certificate for the key that it made. */
// Its types say what a route's schema may hold.
import type {} from '@fastify/swagger'
import type { FastifyPluginAsync } from 'fastify'
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { JoinAnswer, JoinRequest } from '../../shared/join.ts'
import type { Core } from '../core.ts'
import { createFailureLimit } from '../security/failure-limit.ts'
import type { Security } from '../security/security.ts'

export type JoinOptions = { security: Security; core: Core; now?: () => Instant }

/** Certificates are backdated by ten minutes: a host more than this behind could not use its own. */
export const CLOCK_SKEW_MAX_MS = 5 * 60_000
const JOIN_BODY_BYTES_MAX = 64 * 1024

export function joinRoutes({ security, core, now = Date.now }: JoinOptions): FastifyPluginAsync {
  const limit = createFailureLimit()

  async function join(asked: JoinRequest, address: string): Promise<JoinAnswer> {
    const waitMs = limit.waitMs(address, now())
    if (waitMs > 0) throw tooManyFailures(address, waitMs)
    try {
      security.checkJoinToken(asked.token)
    } catch (error) {
      limit.failed(address, now())
      throw error
    }
    checkClock(asked.at, now())
    const { certificatePem, keyFingerprint } = await security.sign(asked.request, asked.node)
    checkName(core, asked.node, keyFingerprint)
    await core.submit({ kind: 'join-node', node: asked.node, keyFingerprint })
    return {
      certificate: certificatePem,
      ca: security.caCertificatePem,
      cluster: security.cluster,
      node: asked.node,
    }
  }

  return async (server) => {
    server.post<{ Body: JoinRequest; Reply: JoinAnswer }>(
      '/v1/join',
      {
        bodyLimit: JOIN_BODY_BYTES_MAX,
        schema: {
          summary: 'Join a host to the cluster',
          description: 'Authenticated by the join token in the body. The same key may join again under its name.',
          tags: ['nodes'],
          body: JoinRequest,
          response: { 200: JoinAnswer },
        },
      },
      (request) => join(request.body, request.ip),
    )
  }
}

function checkClock(theirs: Instant, ours: Instant): void {
  const skewMs = theirs - ours
  if (Math.abs(skewMs) <= CLOCK_SKEW_MAX_MS) return
  const [host, coordinator] = [isoTime(theirs), isoTime(ours)]
  throw new BerthError(
    'clock-skew',
    `the host's clock says ${host}, the coordinator's says ${coordinator}: certificates need them within ` +
      `${CLOCK_SKEW_MAX_MS / 60_000} minutes. Set the clock that is wrong (\`timedatectl set-ntp true\`) and join again`,
    { details: { host, coordinator, skewMs } },
  )
}

function checkName(core: Core, node: string, keyFingerprint: string): void {
  const known = core.world.nodes.get(node)
  if (known === undefined || known.keyFingerprint === keyFingerprint) return
  throw new BerthError(
    'name-taken',
    `another host is node ${node} already. Join with --name and a name of its own or, if this host replaces that one, ` +
      `run \`berth node rm ${node}\` first`,
    { details: { node } },
  )
}

function tooManyFailures(address: string, waitMs: number): BerthError {
  const seconds = Math.ceil(waitMs / 1000)
  return new BerthError('too-many-requests', `too many failed joins from ${address}: try again in ${seconds} s`, {
    details: { retryAfterSeconds: seconds },
  })
}

/** A clock can be wrong by more than a Date can hold. */
function isoTime(at: Instant): string {
  return Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : `${at} ms`
}
