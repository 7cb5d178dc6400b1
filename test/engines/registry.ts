/** A real image registry (Debian's docker-registry) beside the hosts, and two that misbehave. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, get } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Host } from './hosts.ts'
import { end, launch, type ProcessIdentity } from './processes.ts'
import { record, type Slot } from './slots.ts'
import { until } from './until.ts'

export type Registry = {
  /** `10.78.0.1:5000`: image names begin with it; every host's engine accepts it without TLS. */
  address: string
  /** Puts an image that a host has into the registry as `name`; gives its digest, `sha256:…`. */
  push(host: Host, image: string, name: string): Promise<string>
  /** Ends it; its images stay for the next `start`. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startRegistry(slot: Slot, port = 5000): Promise<Registry> {
  const address = `${slot.address}:${port}`
  const dir = join(slot.dataDir, `registry-${port}`)
  const config = join(slot.runDir, `registry-${port}.json`)
  mkdirSync(dir, { recursive: true })
  // JSON is YAML too.
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'warn' },
      storage: { filesystem: { rootdirectory: dir }, delete: { enabled: true } },
      http: { addr: address },
    }),
  )
  let running: ProcessIdentity | null = null

  async function start(): Promise<void> {
    running = launch('docker-registry', ['serve', config], join(slot.runDir, `registry-${port}.log`)).identity
    record(slot, running)
    await until(() => answers(`http://${address}/v2/`), `the registry at ${address}`)
  }

  async function kill(): Promise<void> {
    if (running) await end(running)
    running = null
  }

  await start()
  return {
    address,
    start,
    kill,
    async push(host, image, name) {
      const full = `${address}/${name}`
      await host.docker('tag', image, full)
      const said = await host.docker('push', full)
      await host.docker('rmi', full)
      const digest = /digest: (sha256:[0-9a-f]{64})/.exec(said)?.[1]
      if (!digest) throw new Error(`docker push ${full} told no digest: ${said}`)
      return digest
    },
    async stop() {
      await kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export type Misbehaving = { address: string; connections(): number; stop(): Promise<void> }

/** Accepts connections and never says a word. */
export function hangingRegistry(slot: Slot): Promise<Misbehaving> {
  return listen(slot, createServer())
}

/** Answers every request with the status given; 401 without a way to log in, 500, 429, … */
export function refusingRegistry(slot: Slot, status: number): Promise<Misbehaving> {
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: `this registry answers ${status}` }] })
  const server = createHttpServer((_, answer) => {
    answer.writeHead(status, { 'content-type': 'application/json', 'docker-distribution-api-version': 'registry/2.0' })
    answer.end(body)
  })
  return listen(slot, server)
}

/** An address on the bridge at which nothing listens. */
export async function refusedAddress(slot: Slot): Promise<string> {
  const server = await listen(slot, createServer())
  await server.stop()
  return server.address
}

function listen(slot: Slot, server: Server): Promise<Misbehaving> {
  const sockets = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, slot.address, () => {
      const bound = server.address()
      if (!bound || typeof bound === 'string') return reject(new Error('not listening on a port'))
      resolve({
        address: `${slot.address}:${bound.port}`,
        connections: () => connections,
        stop: () =>
          new Promise((done) => {
            server.close(() => done())
            for (const socket of sockets) socket.destroy()
          }),
      })
    })
  })
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(url, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    }).on('error', () => resolve(false))
  })
}
