/**
 * One process per data folder: two coordinators on one store would each believe their own memory, two agents would each start
 * and stop the other's containers. The lock is a file that names its holder by pid, start time and boot, so that one left
 * behind by a kill or a power cut is known to be stale even after its pid was given to somebody else.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BerthError } from './errors.ts'

const ATTEMPTS_MAX = 20

/**
 * Takes the folder, which exists, for this process, a `kind` of daemon; returns the way to give it back.
 * @throws BerthError `conflict` when another process that is alive holds it.
 */
export function lockFolder(dir: string, kind: 'coordinator' | 'agent'): () => void {
  const path = join(dir, 'lock')
  const mine = identityOf(process.pid)!
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (create(path, mine)) return () => release(path, mine)
    const holder = read(path)
    if (holder === null) continue
    if (isAlive(holder)) {
      throw new BerthError(
        'conflict',
        `${dir} is in use by process ${pidOf(holder)}; one ${kind} per data folder. Stop that one or choose another --data`,
        { details: { dir, pid: pidOf(holder) } },
      )
    }
    moveAside(path, holder)
  }
  throw new BerthError('conflict', `${path} keeps changing hands; is something starting ${kind}s in a loop?`)
}

function create(path: string, text: string): boolean {
  // Written aside and linked, so that nobody ever reads a lock that is half written.
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, text, { mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Renames before removing: whoever loses the race may have caught a fresh lock, which it then puts back. */
function moveAside(path: string, stale: string): void {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
    if (read(aside) !== stale) linkSync(aside, path)
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

function release(path: string, mine: string): void {
  if (read(path) === mine) rmSync(path, { force: true })
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function isAlive(identity: string): boolean {
  return identityOf(pidOf(identity)) === identity
}

function pidOf(identity: string): number {
  return Number.parseInt(identity, 10)
}

/** `PID START-TICKS BOOT-ID`, null when no such process runs; one that has ended and was not yet waited for runs no more. */
function identityOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in brackets, may hold anything; the state is the first field after it, the start time the 20th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const { 0: state, 19: startTicks } = fields
    if (state === 'Z' || state === 'X') return null
    return `${pid} ${startTicks} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`
  } catch {
    return null
  }
}
