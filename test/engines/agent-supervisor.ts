/** A supervisor on a real Engine, with what it tells kept for tests to ask. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Owner } from '../../agent/decide/container.ts'
import { connectEngine } from '../../agent/docker/engine.ts'
import type { Supervisor } from '../../agent/parts.ts'
import { createSupervisor } from '../../agent/supervisor.ts'
import { specHash, type TaskSpec } from '../../shared/spec.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import type { EngineInfo, TaskObservation } from '../../shared/wire/up.ts'
import { until } from './until.ts'

export type Wanted = { id: string; spec: TaskSpec; desired?: AssignedTask['desired'] }

export class SupervisedNode {
  readonly owner: Owner
  readonly dataDir = mkdtempSync(join(tmpdir(), 'berth-agent-'))
  readonly tasks = new Map<string, TaskObservation>()
  readonly told: TaskObservation[] = []
  readonly notices: { code: string; message: string; task?: string }[] = []
  engineInfo: EngineInfo | null = null
  supervisor!: Supervisor
  #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #revision = 0
  readonly #dockerHost: string
  readonly #pullStallMs: number | undefined

  constructor(dockerHost: string, options: { owner?: Owner; pullStallMs?: number } = {}) {
    this.#dockerHost = dockerHost
    this.owner = options.owner ?? { cluster: `test-${process.pid}-${Date.now()}`, node: 'node-1' }
    this.#pullStallMs = options.pullStallMs
  }

  /** As when the agent's process starts: nothing is known but what is on the disk. */
  start(): this {
    this.#stop = new AbortController()
    this.tasks.clear()
    const engine = connectEngine({ host: this.#dockerHost })
    const { owner, dataDir } = this
    this.supervisor = createSupervisor({ engine, owner, dataDir, pullStallMs: this.#pullStallMs })
    this.supervisor.onNotice((notice) => this.notices.push(notice))
    this.supervisor.onChange((change) => {
      this.engineInfo = change.engine
      for (const task of change.tasks) {
        this.tasks.set(task.task, task)
        this.told.push(task)
      }
      for (const id of change.gone) this.tasks.delete(id)
    })
    this.#running = this.supervisor.run(this.#stop.signal).finally(() => engine.close())
    return this
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** Stops, and forgets the folder. */
  async dispose(): Promise<void> {
    await this.stop()
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  assign(wanted: Wanted[]) {
    const specs = Object.fromEntries(wanted.map(({ spec }) => [specHash(spec), spec]))
    const tasks = wanted.map(({ id, spec, desired = 'running' as const }) => ({
      id,
      stack: 'shop',
      service: 'shop_api',
      slot: 1,
      spec: specHash(spec),
      desired,
    }))
    this.#revision = Math.max(this.#revision, this.supervisor.revision) + 1
    return this.supervisor.assign({ kind: 'assignment', revision: this.#revision, specs, tasks })
  }

  /** Waits until what was told last of the task fits. */
  async sees(task: string, fits: (seen: TaskObservation) => boolean, what: string): Promise<TaskObservation> {
    const look = () => {
      const seen = this.tasks.get(task)
      if (!seen || !fits(seen)) throw new Error(JSON.stringify(seen))
      return seen
    }
    return until(look, `${task} ${what}`, { everyMs: 5 })
  }

  runs = (task: string, attempt = 1) =>
    this.sees(task, (seen) => seen.state === 'running' && seen.attempt >= attempt, `to run in attempt ${attempt}`)

  isGone = (task: string) => until(() => !this.tasks.has(task), `${task} to be gone`, { everyMs: 5 })
}
