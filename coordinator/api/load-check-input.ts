/** Loads what checks requests before the first is to be checked: 683 files of typebox, which at once take half a second. */
import type { Clock } from '../../shared/clock.ts'

/** In an order in which each brings in what the next needs. */
const PARTS = [
  () => import('typebox/system'),
  () => import('typebox/format'),
  () => import('typebox/type'),
  () => import('typebox/schema'),
  () => import('typebox/value'),
  () => import('./check-input.ts'),
]

/** Part by part, with a turn for everybody else between. */
export async function loadCheckInput(clock: Pick<Clock, 'soon'>): Promise<void> {
  for (const load of PARTS) {
    await load()
    await new Promise<void>(clock.soon)
  }
}
