/** A fleet of simulated agents, spread over a few processes. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentsOrder, AgentsReport } from './agents-process.ts'
import { type Life, STEADY } from './life.ts'

export type FleetOptions = {
  agents: number
  processes: number
  coordinator: string
  joinToken: string
  /** For the agents' keys; on memory-backed disk, since a thousand of them sync. */
  dir: string
  /** STEADY unless given. */
  life?: Life
}

export type Fleet = {
  /** Agents that are connected and welcomed, as of some 50 ms ago. */
  open(): number
  /** Tasks that have begun to run since the start. */
  running(): number
  /** @throws Error when that many are not connected within the limit, or one has given up */
  untilOpen(count: number, limitMs: number): Promise<void>
  stop(): Promise<void>
}

export const nodeNames = (count: number) =>
  Array.from({ length: count }, (_, index) => `sim-${String(index + 1).padStart(5, '0')}`)

export function startFleet(options: FleetOptions): Fleet {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const tokenPath = join(options.dir, 'join-token')
  writeFileSync(tokenPath, options.joinToken, { mode: 0o600 })
  const names = nodeNames(options.agents)
  const share = Math.ceil(names.length / options.processes)
  const reports = new Map<ChildProcess, AgentsReport>()
  const children = Array.from({ length: options.processes }, (_, index) => {
    const order: AgentsOrder = {
      names: names.slice(index * share, (index + 1) * share),
      coordinator: options.coordinator,
      tokenPath,
      dataDir: options.dir,
      life: options.life ?? STEADY,
    }
    const child = fork(join(import.meta.dirname, 'agents-process.ts'), [JSON.stringify(order)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    child.on('message', (report) => reports.set(child, report as AgentsReport))
    return child
  })

  const sum = (of: (report: AgentsReport) => number) =>
    [...reports.values()].reduce((total, report) => total + of(report), 0)
  const open = () => sum((report) => report.open)
  return {
    open,
    running: () => sum((report) => report.running),
    async untilOpen(count, limitMs) {
      const limitAt = performance.now() + limitMs
      while (open() < count) {
        const failed = [...reports.values()].find((report) => report.failed !== null)
        if (failed) throw new Error(`a simulated agent gave up: ${failed.failed}`)
        if (children.some((child) => child.exitCode !== null))
          throw new Error('a process of simulated agents has ended')
        if (performance.now() > limitAt) throw new Error(`${open()} of ${count} agents connected within ${limitMs} ms`)
        await sleep(20)
      }
    },
    async stop() {
      await Promise.all(
        children.map((child) => {
          const gone = new Promise((resolve) => child.once('exit', resolve))
          if (child.exitCode !== null || !child.kill('SIGKILL')) return undefined
          return gone
        }),
      )
    },
  }
}
