/** One coordinator or agent process: started, killed, paused and started again with the same data folder. */
import { existsSync, readFileSync } from 'node:fs'
import { end, isAlive, type launch, type ProcessIdentity, signal } from './processes.ts'
import { GiveUp } from './until.ts'

const STOP_GRACE_MS = 15_000
const LOG_LINES = 30

type Launched = ReturnType<typeof launch>

export class BerthProcess {
  readonly name: string
  readonly logPath: string
  readonly #launch: (logPath: string) => Launched
  #identity: ProcessIdentity | null = null
  #stopping = false
  #exit: number | string | null = null

  constructor(name: string, logPath: string, launch: (logPath: string) => Launched) {
    this.name = name
    this.logPath = logPath
    this.#launch = launch
  }

  /** The Node process itself: `bin/berth` replaces its shell by it. */
  get pid(): number {
    if (!this.#identity) throw new Error(`${this.name} was not started`)
    return this.#identity.pid
  }

  get alive(): boolean {
    return this.#identity !== null && isAlive(this.#identity)
  }

  /** Its exit code or the signal that ended it; null while it runs. */
  get exit(): number | string | null {
    return this.#exit
  }

  /** Returns as soon as the process exists; waiting until it serves is the cluster's. */
  async start(): Promise<void> {
    if (this.alive) throw new Error(`${this.name} runs already`)
    this.#stopping = false
    this.#exit = null
    const { identity, child } = this.#launch(this.logPath)
    this.#identity = identity
    child.on('exit', (code, by) => {
      if (this.#identity === identity) this.#exit = by ?? code
    })
  }

  /** Ends it with SIGKILL, or asks with SIGTERM and waits. Resolves when it is gone. */
  async kill(name: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.#stopping = true
    if (this.#identity) await end(this.#identity, name === 'SIGTERM' ? STOP_GRACE_MS : 0)
  }

  async restart(name: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    await this.kill(name)
    await this.start()
  }

  /** The process stands still: its connections stay open and nobody answers. */
  pause = (): void => void (this.#identity && signal(this.#identity, 'SIGSTOP'))
  resume = (): void => void (this.#identity && signal(this.#identity, 'SIGCONT'))

  /** @throws GiveUp with the end of its log, when it has ended by itself */
  mustLive(): void {
    if (!this.alive) throw new GiveUp(`${this.name} is not running (exit ${this.#exit}):\n${this.logTail()}`)
  }

  /** As `mustLive`, but content with a process that was never started or was killed by the test. */
  mustNotHaveFailed(): void {
    if (this.#identity && !this.#stopping) this.mustLive()
  }

  log(): string {
    return existsSync(this.logPath) ? readFileSync(this.logPath, 'utf8') : ''
  }

  logTail(lines = LOG_LINES): string {
    return this.log().trimEnd().split('\n').slice(-lines).join('\n')
  }
}
