/** The entries of a recording as a replay takes them: values one by one, and beats with all that they decided. */
import type { Entry } from '../journal/format.ts'
import type { Decision, WorldValue } from '../world.ts'

export type Moment =
  | { kind: 'value'; value: Exclude<WorldValue, { decision: Decision }> }
  /** `isTorn`: the recording ends here, perhaps in the middle of what was decided. */
  | {
      kind: 'beat'
      now: number
      stalls: Extract<Entry, { beat: unknown }>['beat']['stalls']
      decisions: Decision[]
      isTorn: boolean
    }

/** A beat decides without a pause, so its decisions follow it at once. */
export function* momentsOf(entries: Iterable<Entry>): Generator<Moment> {
  let beat: Extract<Moment, { kind: 'beat' }> | null = null
  for (const entry of entries) {
    if ('decision' in entry) {
      beat?.decisions.push(entry.decision)
      continue
    }
    if (beat) yield beat
    beat = null
    if ('beat' in entry) beat = { kind: 'beat', ...entry.beat, decisions: [], isTorn: false }
    else yield { kind: 'value', value: entry }
  }
  if (beat) yield { ...beat, isTorn: true }
}
