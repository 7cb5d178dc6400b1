/** Processes known by id and start time, so that a later process that got the same id is never taken for ours. */

import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'

export type ProcessIdentity = {
  pid: number
  /** Clock ticks since the machine booted, field 22 of /proc/PID/stat. */
  startTicks: string
}

export type Command = { exit: number; stdout: string; stderr: string }

const OUTPUT_CHARS_MAX = 4 * 1024 * 1024

/** Null when there is no such process, or only its zombie. */
export function identify(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces; what follows the last one does not.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return { pid, startTicks: fields[19]! }
  } catch {
    return null
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTicks === identity.startTicks
}

/** False when the process is gone already. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false
  try {
    process.kill(identity.pid, name)
    return true
  } catch {
    return false
  }
}

/** Asks with SIGTERM, waits up to `graceMs`, then kills. Resolves when the process is gone. */
export async function end(identity: ProcessIdentity, graceMs = 0): Promise<void> {
  if (graceMs > 0 && signal(identity, 'SIGTERM')) await gone(identity, graceMs)
  if (signal(identity, 'SIGKILL')) await gone(identity, 10_000)
}

/** Resolves true when the process ended within `limitMs`. */
export async function gone(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  const until = Date.now() + limitMs
  while (isAlive(identity)) {
    if (Date.now() > until) return false
    await pause(20)
  }
  return true
}

/** Runs to the end. Never throws for an exit code; `sh` does. */
export function run(
  file: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; stdin?: string; cwd?: string; limitMs?: number } = {},
): Promise<Command> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env: options.env ?? process.env,
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.limitMs ?? 120_000,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < OUTPUT_CHARS_MAX) stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < OUTPUT_CHARS_MAX) stderr += text
    })
    child.on('error', reject)
    child.on('close', (code, by) => {
      if (by) stderr += `\n(ended by ${by})`
      resolve({ exit: code ?? 128, stdout, stderr })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(options.stdin ?? '')
  })
}

/** Runs a program that must succeed and gives its output. @throws Error with what it wrote */
export async function must(file: string, args: string[], options: Parameters<typeof run>[2] = {}): Promise<string> {
  const { exit, stdout, stderr } = await run(file, args, options)
  if (exit !== 0) throw new Error(`${file} ${args.join(' ')} exited ${exit}: ${(stderr || stdout).trim()}`)
  return stdout
}

/** Starts a process in a session of its own that outlives this one; its output goes to `logPath`. */
export function launch(file: string, args: string[], logPath: string, env: NodeJS.ProcessEnv = process.env) {
  const log = openSync(logPath, 'a')
  const child = spawn(file, args, { detached: true, stdio: ['ignore', log, log], env })
  closeSync(log)
  const failed = new Promise<never>((_, reject) => child.on('error', reject))
  failed.catch(() => {})
  child.unref()
  const identity = child.pid === undefined ? null : identify(child.pid)
  if (!identity) throw new Error(`${file} did not start; see ${logPath}`)
  return { identity, child }
}

/** Every process whose cgroup lies below the one named, in any hierarchy (v1 or v2). */
export function processesInCgroup(name: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const lines = readFileSync(`/proc/${entry}/cgroup`, 'utf8').split('\n')
      if (!lines.some((line) => line.includes(`:/${name}/`))) continue
    } catch {
      continue
    }
    const identity = identify(Number(entry))
    if (identity) found.push(identity)
  }
  return found
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
