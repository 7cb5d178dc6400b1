/** Where the Engine listens. */

import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BerthError } from '../../shared/errors.ts'

export type Place = { name: string; socketPath: string } | { name: string; host: string; port: number }

const TCP_PORT_DEFAULT = 2375

/**
 * `unix:///run/docker.sock`, `tcp://HOST:PORT` or a plain path; absent: the first that exists of the system's socket, the rootless
 * one of this user and Podman's.
 * @throws BerthError `invalid-request` for anything else
 */
export function enginePlace(host: string | undefined): Place {
  if (!host) return atSocket(usualSockets().find((path) => existsSync(path)) ?? '/var/run/docker.sock')
  if (host.startsWith('unix://')) return atSocket(host.slice('unix://'.length))
  if (host.startsWith('/')) return atSocket(host)
  const url = URL.canParse(host) ? new URL(host) : null
  if (url && (url.protocol === 'tcp:' || url.protocol === 'http:')) {
    const port = Number(url.port) || TCP_PORT_DEFAULT
    return { name: `tcp://${url.hostname}:${port}`, host: url.hostname, port }
  }
  throw new BerthError(
    'invalid-request',
    `"${host}" is not a Docker Engine's address; write unix:///PATH or tcp://HOST:PORT`,
  )
}

function atSocket(socketPath: string): Place {
  return { name: `unix://${socketPath}`, socketPath }
}

function usualSockets(): string[] {
  const runtime = process.env.XDG_RUNTIME_DIR
  return [
    '/var/run/docker.sock',
    ...(runtime ? [join(runtime, 'docker.sock'), join(runtime, 'podman/podman.sock')] : []),
    join(homedir(), '.docker/run/docker.sock'),
    '/run/podman/podman.sock',
  ]
}
