/** A coordinator process with a folder of its own: started, killed, asked. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoordinatorOptions } from '../../coordinator/options.ts'

export type Answer = { status: number; body: unknown }

export type CoordinatorProcess = {
  url: string
  pid(): number
  /** Starts it and resolves, with the milliseconds it took, once it answers. */
  start(limitMs?: number): Promise<number>
  /** Resolves when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<number | null>
  /** @throws Error when there is no answer */
  ask(method: string, path: string, body?: unknown): Promise<Answer>
  joinToken(): Promise<string>
  /** What an operator shows and trusts. */
  access(): { token: string; caPem: string }
  log(): string
}

/** Listens on a free port of 127.0.0.1, the same one at each start. */
export async function aCoordinatorProcess(
  dir: string,
  options: Partial<CoordinatorOptions> = {},
): Promise<CoordinatorProcess> {
  const port = options.port ?? (await freePort())
  const url = `https://127.0.0.1:${port}`
  const dataDir = options.dataDir ?? join(dir, 'coordinator')
  const logPath = join(dir, 'coordinator.log')
  const given = { dataDir, host: '127.0.0.1', port, ...options }
  let child: ChildProcess | null = null
  let agent = new Agent({ keepAlive: true, rejectUnauthorized: false })

  function ask(method: string, path: string, body?: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body)
      const headers: Record<string, string> = { authorization: `Bearer ${tokenIn(dataDir)}` }
      if (text !== '') headers['content-type'] = 'application/json'
      const asking = request(`${url}${path}`, { method, headers, agent }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, body: answer === '' ? null : parsed(answer) })
        })
      })
      asking.on('error', reject)
      asking.end(text)
    })
  }

  return {
    url,
    pid: () => child?.pid ?? 0,
    async start(limitMs = 20_000) {
      const began = performance.now()
      const log = openSync(logPath, 'a')
      const started = spawn(
        process.execPath,
        [
          '--disable-warning=ExperimentalWarning',
          join(import.meta.dirname, 'coordinator-process.ts'),
          JSON.stringify(given),
        ],
        // bin/berth keeps compiled code between starts in the same way.
        { stdio: ['ignore', log, log], env: { ...process.env, NODE_COMPILE_CACHE: join(dir, 'compiled') } },
      )
      closeSync(log)
      child = started
      while (performance.now() - began < limitMs) {
        const answer = await ask('GET', '/healthz').catch(() => null)
        if (answer?.status === 200) return performance.now() - began
        if (started.exitCode !== null) throw new Error(`the coordinator ended: ${tail(logPath)}`)
        await sleep(5)
      }
      throw new Error(`the coordinator did not serve within ${limitMs} ms: ${tail(logPath)}`)
    },
    async kill(signal = 'SIGKILL') {
      const dying = child
      if (dying === null || dying.exitCode !== null || dying.signalCode !== null) return dying?.exitCode ?? null
      const gone = new Promise<number | null>((resolve) => dying.once('exit', resolve))
      dying.kill(signal)
      const exit = await gone
      agent.destroy()
      agent = new Agent({ keepAlive: true, rejectUnauthorized: false })
      return exit
    },
    ask,
    async joinToken() {
      const { body } = await ask('GET', '/v1/tokens')
      return (body as { join: string }).join
    },
    access: () => ({
      token: tokenIn(dataDir),
      caPem: readFileSync(join(dataDir, 'security', 'ca.pem'), 'utf8'),
    }),
    log: () => readFileSync(logPath, 'utf8'),
  }
}

function tokenIn(dataDir: string): string {
  try {
    return readFileSync(join(dataDir, 'security', 'operator-token'), 'utf8').trim()
  } catch {
    return 'none-yet'
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').slice(-2000)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0))
    })
  })
}
