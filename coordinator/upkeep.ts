/** What a coordinator does by the clock, and not because something has happened. The only file that knows node-cron. */
import { schedule as scheduleCron } from 'node-cron'
import type { Log } from '../shared/log.ts'

export type Chore = {
  /** For the log. */
  name: string
  /** As in a crontab, in UTC; six fields begin with the seconds. */
  schedule: string
  run(): Promise<void>
}

export type Upkeep = { stop(): void }

/** By the wall clock: a host that slept through one time does the chore at the next. One that fails is done again then. */
export function startUpkeep(chores: Chore[], log: Log): Upkeep {
  const tasks = chores.map(({ name, schedule, run }) => {
    const options = { name, timezone: 'Etc/UTC', noOverlap: true, unref: true, suppressMissedWarning: true }
    return scheduleCron(schedule, () => run().catch((err: unknown) => tellFailure(log, name, err)), options)
  })
  return {
    stop() {
      for (const task of tasks) void task.destroy()
    },
  }
}

function tellFailure(log: Log, name: string, err: unknown): void {
  log.error({ err, chore: name }, `${name}: ${err instanceof Error ? err.message : String(err)}; it is tried again`)
}
