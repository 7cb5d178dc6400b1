/** Runs the bare server with its clients and gives the server's process to be measured. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const START_LIMIT_MS = 120_000
/** And so long for each that connects. */
const START_LIMIT_MS_EACH = 30
/** As many as simulated agents have: one that sends ten thousand heartbeats a second has no time to connect more. */
const CLIENT_PROCESSES = 2

export async function withBareServer<Result>(clients: number, act: (pid: number) => Promise<Result>): Promise<Result> {
  const dir = mkdtempSync(join('/dev/shm', 'berth-bench-'))
  const children: ChildProcess[] = []
  const start = (file: string, args: string[]) => {
    const child = fork(join(import.meta.dirname, file), args)
    children.push(child)
    return child
  }
  try {
    const server = start('bare-server.ts', [dir])
    const limitMs = START_LIMIT_MS + clients * START_LIMIT_MS_EACH
    const port = await messageOf(server, limitMs, () => true)
    const share = Math.ceil(clients / CLIENT_PROCESSES)
    await Promise.all(
      Array.from({ length: Math.min(CLIENT_PROCESSES, clients) }, (_, index) => {
        const own = Math.min(share, clients - index * share)
        return messageOf(start('bare-clients.ts', [String(port), String(own)]), limitMs, (open) => open === own)
      }),
    )
    return await act(server.pid!)
  } finally {
    await Promise.all(
      children.map((child) => {
        const gone = new Promise((resolve) => child.once('exit', resolve))
        return child.exitCode === null && child.kill('SIGKILL') ? gone : undefined
      }),
    )
    rmSync(dir, { recursive: true, force: true })
  }
}

/** The first message that is wanted. @throws Error when the process ends before it, or it takes too long */
function messageOf(child: ChildProcess, limitMs: number, isWanted: (message: unknown) => boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('a bare process did not get ready in time')), limitMs)
    child.on('message', (message) => {
      if (!isWanted(message)) return
      clearTimeout(timer)
      resolve(message)
    })
    child.once('exit', () => reject(new Error('a bare process has ended')))
  })
}
