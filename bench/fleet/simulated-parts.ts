/**
 * An agent without an Engine: the real link with a supervisor whose containers only exist in memory. They take their
 * time to start and stop, run for ever, and have a load.
 */
import type {
  AssignOutcome,
  ContainerHandle,
  LoadMeter,
  LogTail,
  ObservedChange,
  Supervisor,
} from '../../agent/parts.ts'
import type { AssignedTask, Assignment, AssignmentChange } from '../../shared/wire/down.ts'
import type { NodeInventory, TaskObservation } from '../../shared/wire/up.ts'

export type SimulatedEngine = { startMs: number; stopMs: number }

const UP = { state: 'up', version: '28.0.0', apiVersion: '1.48' } as const

export function simulatedSupervisor({ startMs, stopMs }: SimulatedEngine): Supervisor {
  const assigned = new Map<string, AssignedTask>()
  const observed = new Map<string, TaskObservation>()
  const listeners = new Set<(change: ObservedChange) => void>()
  let revision = 0

  function tell(tasks: TaskObservation[], gone: string[] = []): void {
    for (const listener of listeners) listener({ engine: UP, tasks, gone })
  }

  function see(task: AssignedTask, state: TaskObservation['state']): void {
    const seen = {
      task: task.id,
      spec: task.spec,
      attempt: 1,
      state,
      since: Date.now(),
      ...(state === 'running' && { containerId: `sim-${task.id}` }),
    }
    observed.set(task.id, seen)
    tell([seen])
  }

  function put(task: AssignedTask): void {
    assigned.set(task.id, task)
    const state = observed.get(task.id)?.state
    if (task.desired === 'running' && state === undefined) {
      see(task, 'starting')
      setTimeout(() => {
        if (assigned.get(task.id)?.desired === 'running') see(task, 'running')
      }, startMs)
    }
    if (task.desired === 'stopped' && state !== 'stopped') {
      setTimeout(() => {
        if (assigned.has(task.id)) see(task, 'stopped')
      }, stopMs)
    }
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

/** The host's load wanders with every sample; that of one container in ten has changed noticeably. */
export function simulatedLoadMeter(random: () => number): LoadMeter {
  return {
    sample(containers) {
      const changed = containers.filter(() => random() < 0.1)
      return {
        load: {
          cpuCoresUsed: random() * 4,
          memoryBytesUsed: 4e9 + random() * 1e9,
          memoryBytesTotal: 16e9,
          loadAverage1m: random() * 4,
          pressure: { cpuSome: random(), memorySome: 0, memoryFull: 0, ioSome: random(), ioFull: 0 },
          diskBytesUsed: 1e11,
          diskBytesTotal: 4e11,
          diskReadBytesPerSecond: random() * 1e6,
          diskWriteBytesPerSecond: random() * 1e6,
          networkReceiveBytesPerSecond: random() * 1e6,
          networkSendBytesPerSecond: random() * 1e6,
        },
        containers: changed.map(({ task }) => ({
          task,
          cpuCoresUsed: random() * 0.1,
          memoryBytesUsed: Math.round(1e8 + random() * 1e7),
        })),
      }
    },
    close() {},
  }
}

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
    cpuCores: 4,
    memoryBytes: 16e9,
    addresses: ['10.0.0.1'],
    engineLabels: {},
  }
}
