/** The coordinator's API over kept-alive connections: what is measured is Berth, not a TLS handshake per question. */
import { Agent, request } from 'node:https'
import type { Cluster } from '../../test/engines/berth.ts'

export type Api = {
  /** @throws Error with the answer when its status is 400 or more */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<T>
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
    close: () => agent.destroy(),
  }
}
