/** When an agent's word about a task is bad news: told by both sides with one rule. */
import { compareProgress, ENGINE_STOPPED, type Health, type TaskState } from './task-state.ts'

export type TaskTrouble = 'exit' | 'out-of-memory' | 'error' | 'unhealthy'

type Told = { attempt: number; state: TaskState; health?: Health; exitCode?: number | null; oomKilled?: boolean } & {
  error?: { code: string } | null
}

/** What went bad between two words of an agent about one task that should run; null: nothing, or nothing new. */
export function badTransition(before: Told, after: Told): TaskTrouble | null {
  const progress = compareProgress(after, before)
  if (progress < 0) return null
  if (progress > 0 && hasEnded(after)) return badEnd(after)
  // A new attempt begins with a health of its own.
  const wasUnhealthy = after.attempt === before.attempt && before.health === 'unhealthy'
  return after.health === 'unhealthy' && !wasUnhealthy ? 'unhealthy' : null
}

/** What is bad in one word of an agent, be it news or not. */
export function troubleIn(told: Told): TaskTrouble | null {
  if (hasEnded(told)) return badEnd(told)
  return told.health === 'unhealthy' ? 'unhealthy' : null
}

function hasEnded({ state }: Told): boolean {
  return state === 'restarting' || state === 'failed'
}

/** Ending with 0 is not bad, however often; an Engine that stopped under the task is the node's trouble. */
function badEnd({ exitCode, oomKilled, error }: Told): TaskTrouble | null {
  if (error?.code === ENGINE_STOPPED) return null
  if (oomKilled) return 'out-of-memory'
  if (exitCode) return 'exit'
  return error ? 'error' : null
}
