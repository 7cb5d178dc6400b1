/** A coordinator's door for tests: real TLS on a loopback port, real security, real sessions, and a Core that only remembers. */
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { onTestFinished } from 'vitest'
import { joinRoutes } from '../../coordinator/api/join.ts'
import { createPort, type Port, type PortOptions } from '../../coordinator/connections/port.ts'
import { httpsOptions } from '../../coordinator/security/https-options.ts'
import { type OpenedSecurity, openSecurity, type SecurityOptions } from '../../coordinator/security/open.ts'
import { createSessions, type Sessions, type SessionsOptions } from '../../coordinator/sessions/sessions.ts'
import { BerthError, ERROR_CODES } from '../../shared/errors.ts'
import { aFakeCore, aFakeLog, type FakeCore } from './fake-core.ts'
import { temporaryFolder } from './temporary-folder.ts'

export type Door = {
  url: string
  port: number
  core: FakeCore
  security: OpenedSecurity
  sessions: Sessions
  connections: Port
  log: ReturnType<typeof aFakeLog>
  server: Server
  /** As a process that is killed: every socket breaks, the port is free. */
  kill(): Promise<void>
}

export type DoorOptions = {
  dir?: string
  port?: number
  core?: FakeCore
  now?: () => number
  lifetimes?: SecurityOptions['lifetimes']
  limits?: SessionsOptions['limits']
  lastMinutes?: SessionsOptions['lastMinutes']
  strangers?: PortOptions['limits']
  heartbeatIntervalMs?: number
  heartbeatsPerSecondMax?: number
}

export async function aDoor(options: DoorOptions = {}): Promise<Door> {
  const now = options.now ?? Date.now
  const security = await openSecurity({
    dir: options.dir ?? (await temporaryFolder()),
    names: ['localhost', '127.0.0.1'],
    now,
    lifetimes: options.lifetimes,
  })
  const core = options.core ?? aFakeCore()
  const log = aFakeLog()
  const { heartbeatIntervalMs = 100, heartbeatsPerSecondMax } = options
  const settings = { heartbeatIntervalMs, heartbeatsPerSecondMax }
  const connections = createPort({ log, now, limits: options.strangers })
  const { limits, lastMinutes } = options
  const sessions = createSessions({ core, security, settings, port: connections, log, now, limits, lastMinutes })

  let server = createServer(httpsOptions(security))
  const api = Fastify({
    serverFactory(handler) {
      server = createServer(httpsOptions(security), handler)
      return server
    },
  })
  api.setErrorHandler((error, _request, reply) => {
    const code = error instanceof BerthError ? error.code : 'invalid-request'
    reply.code(ERROR_CODES[code].status).send({ code, detail: error instanceof Error ? error.message : String(error) })
  })
  await api.register(joinRoutes({ security, core, now }))
  await api.ready()
  sessions.attach(server)
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  async function kill() {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await sessions.close()
    await closed
  }
  onTestFinished(kill)
  return { url: `https://127.0.0.1:${port}`, port, core, security, sessions, connections, log, server, kill }
}
