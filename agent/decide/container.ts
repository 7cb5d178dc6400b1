/** A container as the Engine shows it, in our words. Only those that carry Berth's labels become one of these. */
import type { Instant } from '../../shared/clock.ts'
import type { Health } from '../../shared/task-state.ts'

export type Container = {
  id: string
  name: string
  /** From its labels: whose it is, which task it runs, and from which spec it was made. */
  cluster: string
  node: string
  task: string
  spec: string
  /** The attempt for which it was created; restarts in place count on from there. */
  createdForAttempt: number
  /**
   * `created`: never ran. `exited` includes what the Engine calls dead unless it is `broken`. `unreadable`: the Engine could not
   * describe it just now; it is there, and nothing is done about it before it has been looked at again.
   */
  state: 'created' | 'running' | 'exited' | 'removing' | 'broken' | 'unreadable'
  startedAt: Instant | null
  finishedAt: Instant | null
  exitCode: number | null
  oomKilled: boolean
  /** What the Engine says of a start that failed. */
  error: string | null
  health: Health
  /** When the first of the kept successful health tests ended; null when there was none. */
  healthyAt: Instant | null
  /** Last output of the health test, while it fails. */
  healthMessage: string | null
  /** How long the latest health test that is known of took; absent: there was none. */
  healthCheckMs?: number
  imageId: string | null
  /** By the host's numbering; 0 when it does not run. */
  pid: number
  ports: { containerPort: number; hostPort: number; protocol: string }[]
  /** At which its Engine's host reaches it; absent or empty: none. */
  addresses?: string[]
  logPath: string | null
  /** How many files of its log the Engine keeps (`max-file`); absent: it throws none away, or has but one. */
  logFilesMax?: number
  memoryBytesLimit: number | null
}

/** One that the list named and that could not be looked at. */
export function unreadableContainer(listed: Pick<Container, 'id' | 'task' | 'cluster' | 'node'>): Container {
  return {
    ...listed,
    name: listed.task,
    spec: '',
    createdForAttempt: 0,
    state: 'unreadable',
    startedAt: null,
    finishedAt: null,
    exitCode: null,
    oomKilled: false,
    error: null,
    health: 'none',
    healthyAt: null,
    healthMessage: null,
    imageId: null,
    pid: 0,
    ports: [],
    logPath: null,
    memoryBytesLimit: null,
  }
}

/** Whether it has to be looked at again before anything can be said or done about it; nothing tells when. */
export function isPassing({ state }: Container): boolean {
  return state === 'removing' || state === 'unreadable'
}

/** Whose containers this agent may touch. */
export type Owner = { cluster: string; node: string }

export function belongsTo(owner: Owner, container: { cluster: string; node: string }): boolean {
  return container.cluster === owner.cluster && container.node === owner.node
}
