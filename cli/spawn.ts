/** A part of Berth as a child of this process: same Node, same source, its last words kept. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { LIFELINE } from './lifeline.ts'

const lastLinesMax = 20
const stopGraceMs = 10_000

export type Child = {
  /** Resolves with a sentence when it ends, by itself or not. */
  readonly ended: Promise<string>
  readonly hasEnded: boolean
  readonly lastLines: readonly string[]
  /** Asks it to stop, kills it when it takes too long; resolves when it is gone. */
  stop(): Promise<void>
  kill(): void
}

export function spawnBerth(args: string[], env: Record<string, string> = {}): Child {
  const entry = fileURLToPath(new URL('./main.ts', import.meta.url))
  const lastLines: string[] = []
  let hasEnded = false
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, ...args], {
    env: { ...process.env, ...env, [LIFELINE]: 'stdin' },
    // The pipe to its standard input closes with us, however we end: the child then stops, too.
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C on the terminal reaches us alone, and we decide who stops when.
    detached: true,
  })
  child.stdin.on('error', () => undefined)
  const keep = (text: string) => {
    lastLines.push(...text.split('\n').filter((line) => line !== ''))
    lastLines.splice(0, lastLines.length - lastLinesMax)
  }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => {
      hasEnded = true
      resolve(`berth ${args[0]} did not start: ${error.message}`)
    })
    child.once('close', (code, signal) => {
      hasEnded = true
      resolve(`berth ${args[0]} ended (${signal ?? `exit ${code}`})\n${lastLines.join('\n')}`)
    })
  })
  return {
    ended,
    get hasEnded() {
      return hasEnded
    },
    lastLines,
    async stop() {
      if (hasEnded) return
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
      await ended
      clearTimeout(timer)
    },
    kill: () => void child.kill('SIGKILL'),
  }
}
