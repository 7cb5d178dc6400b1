/** Where the Engine listens. */

import { existsSync, readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BerthError } from '../../shared/errors.ts'

export type Place =
  | { name: string; socketPath: string }
  | { name: string; host: string; port: number; tls: TlsFiles | null; isElsewhere: boolean }
/** PEM. */
export type TlsFiles = { ca: Buffer; cert: Buffer; key: Buffer }

const TCP_PORT_DEFAULT = 2375
const TLS_PORT_DEFAULT = 2376

/**
 * `unix:///run/docker.sock`, `tcp://HOST:PORT` or a plain path; absent: the first that exists of the system's socket, the rootless
 * one of this user and Podman's. An Engine on another machine is spoken to with TLS only, by the files that `certPath` (as
 * DOCKER_CERT_PATH) holds: what containers are made from has passwords in it, and whoever reaches an Engine is root there.
 * @throws BerthError `invalid-request` for anything else
 */
export function enginePlace(
  host: string | undefined,
  certPath: string | undefined = process.env.DOCKER_CERT_PATH || undefined,
): Place {
  if (!host) return atSocket(usualSockets().find((path) => existsSync(path)) ?? '/var/run/docker.sock')
  if (host.startsWith('unix://')) return atSocket(host.slice('unix://'.length))
  if (host.startsWith('/')) return atSocket(host)
  const url = URL.canParse(host) ? new URL(host) : null
  if (url && (url.protocol === 'tcp:' || url.protocol === 'http:')) {
    return atAddress(url, certPath)
  }
  throw new BerthError(
    'invalid-request',
    `"${host}" is not a Docker Engine's address; write unix:///PATH or tcp://HOST:PORT`,
  )
}

function atAddress({ hostname, port: given }: URL, certPath: string | undefined): Place {
  const host = hostname.replace(/^\[|\]$/g, '')
  const port = Number(given) || (certPath ? TLS_PORT_DEFAULT : TCP_PORT_DEFAULT)
  const name = `tcp://${hostname}:${port}`
  const isElsewhere = !isThisMachine(host)
  if (certPath) return { name, host, port, tls: readTls(certPath), isElsewhere }
  if (!isElsewhere) return { name, host, port, tls: null, isElsewhere }
  throw new BerthError(
    'invalid-request',
    `${name} is another machine, and without TLS everything would cross the network in the clear: let DOCKER_CERT_PATH name ` +
      'the folder of ca.pem, cert.pem and key.pem, or run the agent on that machine',
  )
}

function readTls(folder: string): TlsFiles {
  const read = (file: string) => {
    const path = join(folder, file)
    try {
      return readFileSync(path)
    } catch (cause) {
      throw new BerthError('invalid-request', `DOCKER_CERT_PATH: ${path} cannot be read: ${(cause as Error).message}`, {
        cause,
      })
    }
  }
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

function isThisMachine(host: string): boolean {
  const family = isIP(host)
  return family === 0 ? host === 'localhost' : loopback.check(host, family === 4 ? 'ipv4' : 'ipv6')
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
