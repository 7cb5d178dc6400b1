/** Waiting for something to become true, with generous limits and messages that tell what was seen last. */
import { pause } from './processes.ts'

export const WAIT_LIMIT_MS = 120_000

/** Thrown by a condition that can no longer become true: the waiting ends at once. */
export class GiveUp extends Error {}

/**
 * Asks `condition` again and again until it gives something truthy, and gives that. An error thrown by it counts as "not yet".
 * @throws Error naming `what`, how long was waited and the last error or answer
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  options: { limitMs?: number; everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const limitMs = options.limitMs ?? WAIT_LIMIT_MS
  const began = Date.now()
  let last: unknown
  for (;;) {
    try {
      const answer = await condition()
      if (answer) return answer as NonNullable<T>
      last = answer
    } catch (error) {
      if (error instanceof GiveUp) throw error
      last = error
    }
    if (Date.now() - began > limitMs) break
    await pause(options.everyMs ?? 50)
  }
  const seen = last instanceof Error ? last.message : JSON.stringify(last)
  throw new Error(`waited ${limitMs / 1000} s for ${what}; seen last: ${seen}`, { cause: last })
}

/** Watches for `forMs` that `condition` stays true. @throws Error as soon as it is not */
export async function stays(condition: () => unknown, what: string, forMs: number): Promise<void> {
  const began = Date.now()
  while (Date.now() - began < forMs) {
    if (!(await condition())) throw new Error(`${what} did not stay so: false after ${Date.now() - began} ms`)
    await pause(50)
  }
}
