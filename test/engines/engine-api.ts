/** Bare requests to a Docker Engine's socket, for looking at it from outside: Berth's own client is what is being tested. */
import { request } from 'node:http'

const REQUEST_LIMIT_MS = 30_000

/** @throws Error with the Engine's answer when the status is 400 or more */
export function engineApi<T = unknown>(socket: string, method: string, path: string, body?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const headers: Record<string, string> = payload === undefined ? {} : { 'content-type': 'application/json' }
    const call = request({ socketPath: socket, method, path, headers, timeout: REQUEST_LIMIT_MS }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      answer.on('error', reject)
      answer.on('end', () => {
        if ((answer.statusCode ?? 500) >= 400) return reject(new Error(`${method} ${path}: ${text.trim()}`))
        const json = answer.headers['content-type']?.startsWith('application/json')
        resolve((json && text ? JSON.parse(text) : text) as T)
      })
    })
    call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer in ${REQUEST_LIMIT_MS} ms`)))
    call.on('error', reject)
    call.end(payload)
  })
}

export type ContainerView = {
  id: string
  name: string
  image: string
  /** `running`, `exited`, `created`, … as the Engine says. */
  state: string
  health: string | null
  startedAt: string
  pid: number
  exitCode: number
  labels: Record<string, string>
  /** The Engine's own restarts: always 0, because the agent does the restarting. */
  restartCount: number
}

type Inspected = {
  Id: string
  Name: string
  Config: { Image: string; Labels: Record<string, string> | null }
  State: { Status: string; StartedAt: string; Pid: number; ExitCode: number; Health?: { Status: string } }
  RestartCount: number
}

/** Every container of an Engine, also those that do not run; one that is removed meanwhile is left out. */
export async function listContainers(socket: string): Promise<ContainerView[]> {
  const listed = await engineApi<{ Id: string }[]>(socket, 'GET', '/containers/json?all=true')
  const inspected = await Promise.all(
    listed.map(({ Id }) => engineApi<Inspected>(socket, 'GET', `/containers/${Id}/json`).catch(ignoreGone)),
  )
  return inspected.filter((container) => container !== null).map(viewOf)
}

function viewOf(container: Inspected): ContainerView {
  return {
    id: container.Id,
    name: container.Name.slice(1),
    image: container.Config.Image,
    state: container.State.Status,
    health: container.State.Health?.Status ?? null,
    startedAt: container.State.StartedAt,
    pid: container.State.Pid,
    exitCode: container.State.ExitCode,
    labels: container.Config.Labels ?? {},
    restartCount: container.RestartCount,
  }
}

function ignoreGone(error: unknown): null {
  if (error instanceof Error && /no such container/i.test(error.message)) return null
  throw error
}
