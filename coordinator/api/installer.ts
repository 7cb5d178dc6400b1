/**
 * What a host downloads to join: `GET /install.sh`, `GET /v1/agent-bundle.sha256` and `GET /v1/agent-bundle.tar.gz`, the two
 * with `?arch=x64|arm64`. Public, because the host has no certificate yet; hence nothing secret is in them.
 */
// Its types say what a route's schema may hold.

import { createReadStream } from 'node:fs'
import type {} from '@fastify/swagger'
import type { FastifyPluginAsync } from 'fastify'
import { BerthError } from '../../shared/errors.ts'
import Type, { type Static } from '../../shared/schema.ts'
import { ARCHITECTURES, bundles } from '../installer/bundle.ts'
import { installScript } from '../installer/script.ts'
import type { Security } from '../security/security.ts'

export type InstallerOptions = {
  /** The project's folder: a checkout or an installed release. */
  root: string
  /** Where archives are kept; some 50 MB for each processor. */
  cacheDir: string
  /** Where hosts reach this coordinator; used when a request does not say how it got here. */
  url: string
  security: Pick<Security, 'serverKeyPin' | 'caCertificatePem'>
  /** For tests; see DOWNLOAD_MAX_MS. */
  downloadMaxMs?: number
}

/** Each takes a file descriptor and bandwidth; a thousand hosts that join at once wait their turn. */
export const DOWNLOADS_MAX = 64
/** One that takes longer is cut off and its place given to the next: whoever reads nothing must not keep hosts from joining. */
export const DOWNLOAD_MAX_MS = 10 * 60_000
const RETRY_AFTER_S = 5
const HOST_SHAPE = /^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/

const Query = Type.Object(
  {
    arch: Type.Union(
      ARCHITECTURES.map((arch) => Type.Literal(arch)),
      { default: 'x64' },
    ),
  },
  { additionalProperties: false },
)
type Query = Static<typeof Query>

export function installerRoutes(options: InstallerOptions): FastifyPluginAsync {
  const { root, cacheDir, url, security, downloadMaxMs = DOWNLOAD_MAX_MS } = options
  const bundleFor = bundles({ root, cacheDir })
  let downloads = 0

  return async (server) => {
    server.get(
      '/install.sh',
      { schema: { summary: 'The installer, for a host that joins', tags: ['install'] } },
      (request, reply) => {
        const { serverKeyPin, caCertificatePem } = security
        reply.type('text/x-shellscript; charset=utf-8')
        return installScript(root, { url: urlOf(request.headers.host) ?? url, serverKeyPin, caCertificatePem })
      },
    )

    server.get<{ Querystring: Query }>(
      '/v1/agent-bundle.sha256',
      { schema: { summary: "The SHA-256 of the agent's bundle, hex", tags: ['install'], querystring: Query } },
      async (request, reply) => {
        const { sha256 } = await bundleFor(request.query.arch)
        reply.type('text/plain; charset=utf-8')
        return `${sha256}\n`
      },
    )

    server.get<{ Querystring: Query }>(
      '/v1/agent-bundle.tar.gz',
      { schema: { summary: 'The agent, its packages and Node.js', tags: ['install'], querystring: Query } },
      async (request, reply) => {
        const { path, bytes, sha256 } = await bundleFor(request.query.arch)
        if (downloads >= DOWNLOADS_MAX) {
          reply.header('retry-after', RETRY_AFTER_S)
          throw new BerthError(
            'too-many-requests',
            `${downloads} hosts download already; try again in ${RETRY_AFTER_S} s`,
          )
        }
        downloads++
        const limit = setTimeout(() => reply.raw.destroy(), downloadMaxMs)
        reply.raw.once('close', () => {
          clearTimeout(limit)
          downloads--
        })
        reply.headers({ 'content-length': bytes, etag: `"${sha256}"` }).type('application/gzip')
        return createReadStream(path)
      },
    )
  }
}

/** The address by which the host got here is one that it can reach. */
function urlOf(host: string | undefined): string | null {
  return host !== undefined && HOST_SHAPE.test(host) ? `https://${host}` : null
}
