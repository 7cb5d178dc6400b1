/**
 * The Engine's API over kept-alive connections, for measuring: what the Engine itself needs, without any orchestrator.
 * The tests' client opens a connection per call, which would flatter whatever is measured beside it.
 */
import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** @throws Error with the Engine's answer when the status is 400 or more */
export function engineCall<T = unknown>(socket: string, method: string, path: string, body?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const headers: Record<string, string | number> =
      payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
    const call = request({ socketPath: socket, method, path: `/v1.41${path}`, headers, agent }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if ((answer.statusCode ?? 500) >= 400)
          return reject(new Error(`${method} ${path}: ${answer.statusCode} ${text.trim()}`))
        const isJson = answer.headers['content-type']?.includes('json')
        resolve((text && isJson ? JSON.parse(text) : text) as T)
      })
    })
    call.on('error', reject)
    call.end(payload)
  })
}

/** The Engine's events from now on, over a connection of their own; resolves once it is open, with the way to end it. */
export function engineEvents<T = unknown>(
  socket: string,
  by: Record<string, string[]>,
  onEvent: (event: T) => void,
  onEnd: () => void,
): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: socket, path: `/v1.41/events?${filters(by)}` }, (answer) => {
      if (answer.statusCode !== 200) return reject(new Error(`events of ${socket}: ${answer.statusCode}`))
      resolve(() => call.destroy())
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (text + chunk).split('\n')
        text = lines.pop() ?? ''
        for (const line of lines) if (line.trim() !== '') onEvent(JSON.parse(line))
      })
      answer.on('close', onEnd)
    })
    call.on('error', reject)
    call.end()
  })
}

export function closeEngineConnections(): void {
  agent.destroy()
}

/** `?filters=…` as the Engine takes them. */
export function filters(by: Record<string, string[]>): string {
  return `filters=${encodeURIComponent(JSON.stringify(by))}`
}
