/** What the benches of the coordinator stand on: a real coordinator process, a fleet of simulated agents, tasks placed on them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StatusDocument } from '../../shared/api.ts'
import { aCoordinatorProcess, type CoordinatorProcess } from '../../test/build/coordinator.ts'
import { aServiceSpec } from '../../test/build/spec.ts'
import { type Fleet, startFleet } from './fleet.ts'
import type { Life } from './life.ts'

export type Stage = { coordinator: CoordinatorProcess; fleet: Fleet }

const SERVICES_PER_STACK = 10
const OPEN_LIMIT_MS = 120_000
/** And so long for each that joins: keys, certificates and handshakes of both sides share the machine. */
const OPEN_LIMIT_MS_EACH = 30
const RUNNING_LIMIT_MS = 180_000

/** Runs `act` on a stage with so many agents and tasks, and clears it away. */
export async function onStage(
  size: { agents: number; tasks: number; life?: Life; say(text: string): void },
  act: (stage: Stage) => Promise<void>,
): Promise<void> {
  // The coordinator's folder lies on a real disk, the agents' keys in memory: a thousand of them are not what is measured.
  const dir = mkdtempSync(join('/var/tmp', 'berth-bench-'))
  const keys = mkdtempSync(join('/dev/shm', 'berth-bench-'))
  const coordinator = await aCoordinatorProcess(dir, { logLevel: 'warn' })
  let fleet: Fleet | null = null
  try {
    await coordinator.start()
    const joinToken = await coordinator.joinToken()
    const { agents, life } = size
    fleet = startFleet({ agents, processes: 2, coordinator: coordinator.url, joinToken, dir: keys, life })
    size.say(`joining ${size.agents} simulated agents`)
    await fleet.untilOpen(size.agents, OPEN_LIMIT_MS + size.agents * OPEN_LIMIT_MS_EACH)
    if (size.tasks > 0) {
      size.say(`deploying ${size.tasks} tasks`)
      await ask(coordinator, size.tasks)
      await untilRunning(coordinator, size.tasks)
    }
    await act({ coordinator, fleet })
  } finally {
    await fleet?.stop()
    // Ended in order where Node is asked for a profile of it (NODE_OPTIONS=--cpu-prof), which it writes at its end.
    await coordinator.kill(process.env.NODE_OPTIONS?.includes('--cpu-prof') ? 'SIGTERM' : 'SIGKILL')
    for (const folder of [dir, keys]) rmSync(folder, { recursive: true, force: true })
  }
}

export async function statusOf({ ask }: CoordinatorProcess): Promise<StatusDocument> {
  return (await ask('GET', '/status')).body as StatusDocument
}

/**
 * In stacks of ten services of up to a hundred tasks, or a thousand where there are many. Resolves once all is durable with the
 * number of tasks, or with that of those which were when `isEnough` said so.
 */
export async function ask(
  coordinator: CoordinatorProcess,
  tasks: number,
  isEnough: (asked: number) => boolean = () => false,
): Promise<number> {
  const perStack = tasks > MANY_TASKS ? 10_000 : 1000
  for (let first = 0; first < tasks; first += perStack) {
    const name = `bench-${first / perStack}`
    const replicas = Math.min(perStack, tasks - first) / SERVICES_PER_STACK
    const services = Object.fromEntries(
      Array.from({ length: SERVICES_PER_STACK }, (_, index) => [
        `s${index}`,
        aServiceSpec({ image: 'bb:1', replicas }),
      ]),
    )
    const { status, body } = await coordinator.ask('PUT', `/v1/stacks/${name}`, { name, services })
    if (status !== 200) throw new Error(`the stack was refused: ${JSON.stringify(body)}`)
    const asked = Math.min(tasks, first + perStack)
    if (isEnough(asked)) return asked
  }
  return tasks
}

const MANY_TASKS = 50_000

async function untilRunning(coordinator: CoordinatorProcess, tasks: number): Promise<void> {
  const limitAt = performance.now() + RUNNING_LIMIT_MS
  for (;;) {
    const { totals } = await statusOf(coordinator)
    if (totals.tasks.running >= tasks) return
    if (performance.now() > limitAt) throw new Error(`of ${tasks} tasks run only ${JSON.stringify(totals.tasks)}`)
    await sleep(500)
  }
}
