/** The link's life as one step of a state machine: what has happened, and what comes next. Pure. */
import type { Instant } from '../../shared/clock.ts'
import { backOffMs, refusedBackOffMs } from './back-off.ts'

export type LinkState =
  | { name: 'waiting'; attempt: number; until: Instant }
  /** From the first packet to the coordinator's welcome. */
  | { name: 'greeting'; attempt: number; since: Instant }
  | { name: 'open'; since: Instant }
  | { name: 'closed'; why: string }

export type LinkEvent =
  | { kind: 'connect' }
  | { kind: 'welcomed' }
  | { kind: 'lost'; why: string }
  /** The coordinator said no, or this host may not even ask. `retry`: it may be otherwise soon. */
  | { kind: 'refused'; why: string; retry: boolean }
  | { kind: 'stop'; why: string }

export const FIRST_LINK_STATE: LinkState = { name: 'waiting', attempt: 0, until: 0 }

/** A session shorter than this does not count as a good one: or two agents of one name would chase each other without pause. */
export const SETTLED_MS = 5_000

/** Closed is for good. `chance` in [0, 1). */
export function nextLinkState(state: LinkState, event: LinkEvent, now: Instant, chance: number): LinkState {
  if (state.name === 'closed') return state
  switch (event.kind) {
    case 'stop':
      return { name: 'closed', why: event.why }
    case 'connect':
      return { name: 'greeting', attempt: attemptOf(state), since: now }
    case 'welcomed':
      return { name: 'open', since: now }
    case 'lost': {
      const attempt = attemptAfter(state, now)
      return { name: 'waiting', attempt: attempt + 1, until: now + backOffMs(attempt, chance) }
    }
    case 'refused': {
      const attempt = attemptOf(state) + 1
      return {
        name: 'waiting',
        attempt,
        until: now + (event.retry ? backOffMs(attempt, chance) : refusedBackOffMs(chance)),
      }
    }
  }
}

function attemptAfter(state: LinkState, now: Instant): number {
  if (state.name === 'open') return now - state.since >= SETTLED_MS ? 0 : 1
  return Math.max(1, attemptOf(state))
}

function attemptOf(state: LinkState): number {
  return state.name === 'waiting' || state.name === 'greeting' ? state.attempt : 0
}
