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
  /** `created`: never ran. `exited` includes what the Engine calls dead unless it is `broken`. */
  state: 'created' | 'running' | 'exited' | 'removing' | 'broken'
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
  imageId: string | null
  /** By the host's numbering; 0 when it does not run. */
  pid: number
  ports: { containerPort: number; hostPort: number; protocol: string }[]
  logPath: string | null
  memoryBytesLimit: number | null
}

/** Whose containers this agent may touch. */
export type Owner = { cluster: string; node: string }

export function belongsTo(owner: Owner, container: { cluster: string; node: string }): boolean {
  return container.cluster === owner.cluster && container.node === owner.node
}
