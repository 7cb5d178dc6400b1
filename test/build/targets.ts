/** Systems that lines are forwarded to, in this process: they take down what comes, and fail as they are told. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { gunzipSync } from 'node:zlib'
import { onTestFinished } from 'vitest'

export type Posted = { path: string; headers: IncomingMessage['headers']; body: unknown }
/** What is answered to a request instead of 204, once it has been read. */
export type Fault = (response: ServerResponse) => void

/** `posted`: what was taken, in order. `faults`: of requests, the next first. While it is down it breaks all connections. */
export async function anHttpTarget(given: { tls?: TlsOptions; port?: number } = {}) {
  const posted: Posted[] = []
  const refused: Posted[] = []
  const faults: Fault[] = []
  let isDown = false
  const take = (request: IncomingMessage, response: ServerResponse) => {
    if (isDown) return void request.socket.destroy()
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const bytes = Buffer.concat(chunks)
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
      const one = { path: request.url ?? '', headers: request.headers, body: JSON.parse(text) as unknown }
      const fault = faults.shift()
      if (fault !== undefined) {
        refused.push(one)
        fault(response)
        return
      }
      posted.push(one)
      response.writeHead(204).end()
    })
  }
  const server = given.tls === undefined ? createHttpServer(take) : createHttpsServer(given.tls, take)
  await listening(server, given.port ?? 0)
  const close = () => {
    server.closeAllConnections()
    return closed(server)
  }
  onTestFinished(close)
  const setDown = (down: boolean) => {
    isDown = down
  }
  return { posted, refused, faults, setDown, close, port: (server.address() as AddressInfo).port }
}

export const answering =
  (status: number, text = '', headers: Record<string, string> = {}): Fault =>
  (response) =>
    response.writeHead(status, headers).end(text)

/** Texts of `/loki/api/v1/push`, in the order in which they came. */
export function lokiTexts(posted: Posted[]): string[] {
  return posted.flatMap(({ body }) =>
    (body as { streams: { values: [string, string][] }[] }).streams.flatMap(({ values }) =>
      values.map(([, text]) => text),
    ),
  )
}

export function otlpTexts(posted: Posted[]): string[] {
  type Logs = { resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[] }
  return posted.flatMap(({ body }) =>
    (body as Logs).resourceLogs.flatMap(({ scopeLogs }) =>
      scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body }) => body.stringValue)),
    ),
  )
}

/** Reads frames with octet counting; `onConnection` may break one. A connection is ended when the other side has. */
export async function aSyslogTarget(
  given: { tls?: TlsOptions; port?: number; onConnection?: (socket: Socket) => void } = {},
) {
  const messages: string[] = []
  const take = (socket: Socket) => {
    const chunks: Buffer[] = []
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => {
      messages.push(...framesOf(Buffer.concat(chunks)))
      socket.end()
    })
    given.onConnection?.(socket)
  }
  const options = { allowHalfOpen: true }
  const server =
    given.tls === undefined ? createTcpServer(options, take) : createTlsServer({ ...options, ...given.tls }, take)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  await listening(server, given.port ?? 0)
  const close = () => {
    for (const socket of sockets) socket.destroy()
    return closed(server)
  }
  onTestFinished(close)
  return { messages, close, port: (server.address() as AddressInfo).port }
}

function framesOf(bytes: Buffer): string[] {
  const frames: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(32, at)
    const length = Number(bytes.toString('utf8', at, space))
    if (!Number.isSafeInteger(length) || space < 0) throw new Error(`no length at ${at}`)
    frames.push(bytes.toString('utf8', space + 1, space + 1 + length))
    at = space + 1 + length
  }
  return frames
}

/** What stands behind the structured data. */
export const syslogTexts = (messages: string[]): string[] => messages.map((message) => message.replace(/^.*?\] /s, ''))

const listening = (server: Server, port: number) =>
  new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
const closed = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()))
