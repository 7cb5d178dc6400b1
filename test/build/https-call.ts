/** A plain https request, apart from the product's own client. */
import { request } from 'node:https'

export type Call = { method?: string; path: string; token?: string; body?: unknown; raw?: string; contentType?: string }
export type Answer = { status: number; headers: Record<string, unknown>; text: string; json: Record<string, unknown> }

export function call(server: { url: string; ca: string; token: string }, asked: Call): Promise<Answer> {
  const payload = asked.raw ?? (asked.body === undefined ? undefined : JSON.stringify(asked.body))
  const token = asked.token ?? server.token
  const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` }
  if (payload !== undefined) headers['content-type'] = asked.contentType ?? 'application/json'
  return new Promise((resolve, reject) => {
    // The path as it is: a URL would tidy it first.
    const options = { method: asked.method ?? 'GET', path: asked.path, headers, ca: server.ca, agent: false as const }
    const outgoing = request(server.url, options, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      answer.on('error', reject)
      answer.on('end', () => {
        const isJson =
          text !== '' &&
          /json/.test(String(answer.headers['content-type'])) &&
          !/ndjson/.test(String(answer.headers['content-type']))
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json: isJson ? JSON.parse(text) : {} })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(payload)
  })
}
