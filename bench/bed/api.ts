/** The coordinator's API over kept-alive connections: what is measured is Berth, not a TLS handshake per question. */
import { Agent, request } from 'node:https'
import type { Cluster } from '../../test/engines/berth.ts'

export type Api = {
  /** @throws Error with the answer when its status is 400 or more */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<T>
  /** Server-sent events, each event's data; resolves once the stream is open, with the way to end it. */
  events<T = unknown>(path: string, onEvent: (event: T) => void, onEnd: () => void): Promise<() => void>
  close(): void
}

export function apiOf(cluster: Cluster): Api {
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: cluster.caPem })
  const token = cluster.operatorToken
  return {
    call: (method, path, body) =>
      new Promise((resolve, reject) => {
        const payload = body === undefined ? undefined : JSON.stringify(body)
        const headers: Record<string, string> = { authorization: `Bearer ${token}` }
        if (payload !== undefined) headers['content-type'] = 'application/json'
        const asked = request(new URL(path, cluster.url), { method, headers, agent }, (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            if ((answer.statusCode ?? 500) >= 400) return reject(new Error(`${method} ${path}: ${text}`))
            resolve(JSON.parse(text))
          })
        })
        asked.on('error', reject)
        asked.end(payload)
      }),
    events: (path, onEvent, onEnd) =>
      new Promise((resolve, reject) => {
        const asked = request(new URL(path, cluster.url), { headers: { authorization: `Bearer ${token}` }, agent })
        asked.on('response', (answer) => {
          if (answer.statusCode !== 200) return reject(new Error(`GET ${path}: ${answer.statusCode}`))
          resolve(() => asked.destroy())
          let text = ''
          answer.setEncoding('utf8').on('data', (chunk: string) => {
            const events = (text + chunk).split('\n\n')
            text = events.pop() ?? ''
            for (const event of events) {
              const data = /^data: (.*)$/m.exec(event)?.[1]
              if (data !== undefined) onEvent(JSON.parse(data))
            }
          })
          answer.on('close', onEnd)
        })
        asked.on('error', reject)
        asked.end()
      }),
    close: () => agent.destroy(),
  }
}
