/** One stretch of time in which the Engine answers: from its first answer until it or its event stream goes away. */
import type { Clock } from '../shared/clock.ts'
import { BerthError } from '../shared/errors.ts'
import type { ContainerEvent, Engine, EngineFacts } from './docker/engine.ts'

/** An Engine that hangs breaks no connection: it is asked now and then. */
export const ENGINE_CHECK_INTERVAL_MS = 5_000
/** Some Engines answer a subscription only with its first event; after this the session goes on regardless. */
const EVENTS_OPEN_LIMIT_MS = 1_000
/** Events from a little before the subscription: better twice than never. */
const EVENTS_OVERLAP_MS = 2_000

export type EngineSession = {
  facts: EngineFacts
  /** Null as long as the Engine is there. */
  lostBy(): unknown | null
  /** Something failed as it does when the Engine is away. */
  lose(error: unknown): void
  close(): void
}

/**
 * @param onEvent  what happens to containers, from before this resolves
 * @param onLost   once, when the Engine went away
 * @throws BerthError when it is not there, too old or forbidden
 */
export async function openSession(
  engine: Engine,
  clock: Clock,
  onEvent: (event: ContainerEvent) => void,
  onLost: () => void,
): Promise<EngineSession> {
  const facts = await engine.check()
  const control = new AbortController()
  let loss: { error: unknown } | null = null
  const lose = (error: unknown) => {
    if (loss || control.signal.aborted) return
    loss = { error }
    onLost()
  }
  const stream = engine.events(clock.now() - EVENTS_OVERLAP_MS, onEvent, control.signal)
  stream.ended.then(
    () => lose(new BerthError('engine-unavailable', `the event stream of the Engine at ${engine.place} ended`)),
    lose,
  )
  try {
    await Promise.race([stream.opened, clock.sleep(EVENTS_OPEN_LIMIT_MS, control.signal)])
  } catch (error) {
    control.abort()
    throw error
  }
  keepAsking(engine, clock, control.signal).catch(lose)
  return { facts, lostBy: () => loss?.error ?? null, lose, close: () => control.abort() }
}

async function keepAsking(engine: Engine, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(ENGINE_CHECK_INTERVAL_MS, signal)
    await engine.ping()
  }
}

export function answers(engine: Engine): Promise<boolean> {
  return engine.check().then(
    () => true,
    () => false,
  )
}
