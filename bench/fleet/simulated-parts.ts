/**
 * An agent without an Engine: the real link with a supervisor whose containers only exist in memory. They take their time to start
 * and stop, fail, crash and are started again, and have a load; how, is said by their Life.
 */
import type {
  AssignOutcome,
  ContainerHandle,
  LoadMeter,
  LogTail,
  ObservedChange,
  Supervisor,
} from '../../agent/parts.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'
import type { ContainerLoad, HostLoad } from '../../shared/load.ts'
import type { AssignedTask, Assignment, AssignmentChange } from '../../shared/wire/down.ts'
import type { NodeInventory, TaskObservation } from '../../shared/wire/up.ts'
import { draw, type Life, skewed, usageAt, waitMs } from './life.ts'

const UP = { state: 'up', version: '28.0.0', apiVersion: '1.48' } as const

/** Of an assigned task only what the simulation needs: a million of them are kept in a few processes. */
type Wanted = Pick<AssignedTask, 'id' | 'spec' | 'desired'>

export function simulatedSupervisor(life: Life, clock: Pick<Clock, 'now' | 'after'> = systemClock): Supervisor {
  const { seed } = life
  const assigned = new Map<string, Wanted>()
  const observed = new Map<string, TaskObservation>()
  const listeners = new Set<(change: ObservedChange) => void>()
  let revision = 0

  function tell(tasks: TaskObservation[], gone: string[] = []): void {
    for (const listener of listeners) listener({ engine: UP, tasks, gone })
  }

  function see(
    task: Wanted,
    attempt: number,
    state: TaskObservation['state'],
    more: Partial<TaskObservation> = {},
  ): void {
    const seen = { task: task.id, spec: task.spec, attempt, state, since: clock.now(), ...more }
    observed.set(task.id, seen)
    tell([seen])
  }

  /** Unless the task is to stop by then, or has begun another attempt. */
  function later(task: Wanted, attempt: number, ms: number, then: () => void): void {
    clock.after(ms, () => {
      const isCurrent = assigned.get(task.id)?.desired === 'running' && observed.get(task.id)?.attempt === attempt
      if (isCurrent) then()
    })
  }

  function start(task: Wanted, attempt: number): void {
    see(task, attempt, 'starting')
    later(task, attempt, skewed(life.startMs, draw(seed, task.id, attempt, 'start')), () => {
      if (draw(seed, task.id, attempt, 'fails') < life.startsFailing) crash(task, attempt)
      else run(task, attempt)
    })
  }

  function run(task: Wanted, attempt: number): void {
    see(task, attempt, 'running', { containerId: `sim-${task.id}` })
    const untilCrashMs = waitMs(life.crashesPerHour, draw(seed, task.id, attempt, 'crash'))
    if (untilCrashMs !== null) later(task, attempt, untilCrashMs, () => crash(task, attempt))
  }

  function crash(task: Wanted, attempt: number): void {
    const restartMs = skewed(life.restartMs, draw(seed, task.id, attempt, 'restart'))
    see(task, attempt, 'restarting', { exitCode: 1, restartAt: clock.now() + restartMs })
    later(task, attempt, restartMs, () => start(task, attempt + 1))
  }

  function stop(task: Wanted): void {
    clock.after(skewed(life.stopMs, draw(seed, task.id, 'stop')), () => {
      if (assigned.has(task.id)) see(task, observed.get(task.id)?.attempt ?? 1, 'stopped')
    })
  }

  function put({ id, spec, desired }: AssignedTask): void {
    const task: Wanted = { id, spec, desired }
    const before = assigned.get(id)?.desired
    assigned.set(id, task)
    if (desired === 'running' && !observed.has(id)) start(task, 1)
    if (desired === 'stopped' && before !== 'stopped') stop(task)
  }

  function remove(id: string): void {
    assigned.delete(id)
    if (observed.delete(id)) tell([], [id])
  }

  async function assign(message: Assignment | AssignmentChange): Promise<AssignOutcome> {
    if (message.revision < revision) return { outcome: 'stale', reason: `${message.revision} is before ${revision}` }
    if (message.kind === 'assignment-change') {
      if (message.base !== revision)
        return { outcome: 'resync', reason: `it builds on ${message.base}, not ${revision}` }
      revision = message.revision
      for (const task of message.put) put(task)
      for (const id of message.remove) remove(id)
      return { outcome: 'applied' }
    }
    revision = message.revision
    const wanted = new Set(message.tasks.map((task) => task.id))
    for (const task of message.tasks) put(task)
    for (const id of [...assigned.keys()]) if (!wanted.has(id)) remove(id)
    return { outcome: 'applied' }
  }

  return {
    run: (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    assign,
    get revision() {
      return revision
    },
    observeAll: async () => ({ engine: UP, tasks: [...observed.values()], gone: [] }),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onNotice: () => () => {},
    containers: () => [...observed.values()].filter((seen) => seen.state === 'running').map(handleOf),
  }
}

function handleOf({ task, attempt, containerId }: TaskObservation): ContainerHandle {
  return { task, containerId: containerId ?? '', attempt, pid: 0, logPath: null, memoryBytesLimit: null }
}

/** What one container in ten uses has changed noticeably; the host uses what its containers do, and a little more. */
export function simulatedLoadMeter(life: Life, node: string, clock: Pick<Clock, 'now'> = systemClock): LoadMeter {
  let sample = 0
  return {
    sample(containers, { all = false } = {}) {
      const at = clock.now()
      sample += 1
      const first = all ? 0 : sample % NAMED_EVERY
      const named: ContainerLoad[] = []
      const used = { cpuCores: 0, memoryBytes: 0 }
      for (let index = first; index < containers.length; index += all ? 1 : NAMED_EVERY) {
        const { task } = containers[index]!
        const { cpuCores, memoryBytes } = usageAt(life, serviceOf(task), task, at)
        used.cpuCores += cpuCores
        used.memoryBytes += memoryBytes
        named.push({ task, cpuCoresUsed: cpuCores, memoryBytesUsed: memoryBytes })
      }
      const times = named.length === 0 ? 0 : containers.length / named.length
      return { load: hostLoad(life, node, at, used.cpuCores * times, used.memoryBytes * times), containers: named }
    },
    lastMinute: () => null,
    devices: () => null,
    close() {},
  }
}

const NAMED_EVERY = 10

function hostLoad(life: Life, node: string, at: number, cpuCores: number, memoryBytes: number): HostLoad {
  const noise = draw(life.seed, node, Math.floor(at / 1000))
  const cpuCoresUsed = Math.min(CPU_CORES, 0.05 + 0.1 * noise + cpuCores)
  const busy = cpuCoresUsed / CPU_CORES
  return {
    cpuCoresUsed,
    memoryBytesUsed: Math.min(MEMORY_BYTES, 1e9 + memoryBytes),
    memoryBytesTotal: MEMORY_BYTES,
    loadAverage1m: cpuCoresUsed * (1 + noise),
    pressure: { cpuSome: 100 * busy ** 4, memorySome: 0, memoryFull: 0, ioSome: noise, ioFull: 0 },
    diskBytesUsed: 1e11,
    diskBytesTotal: 4e11,
    diskReadBytesPerSecond: noise * 1e6,
    diskWriteBytesPerSecond: noise * 1e6,
    networkReceiveBytesPerSecond: busy * 1e7,
    networkSendBytesPerSecond: busy * 1e7,
  }
}

/** A task's id is its service's name, slot and number. */
function serviceOf(task: string): string {
  return task.split('.', 1)[0] ?? task
}

const CPU_CORES = 4
const MEMORY_BYTES = 16e9

export const noLogTail: LogTail = {
  open: (request, sink) => sink.end(request.stream),
  add() {},
  close() {},
  closeAll() {},
}

export function simulatedInventory(name: string): NodeInventory {
  return {
    hostname: name,
    os: 'linux',
    arch: 'amd64',
    cpuCores: CPU_CORES,
    memoryBytes: MEMORY_BYTES,
    addresses: ['10.0.0.1'],
    engineLabels: {},
  }
}
