/** What containers do once they run: their image's name says it. */
import type { Chance } from './chance.ts'

export type Behaviour = {
  /** Null: it runs until it is stopped. */
  livesMs: number | null
  exitCode: number
  /** From the start until its health test says so; null: the image has no test. */
  healthyAfterMs: number | null
  /** From then until it turns unhealthy; null: never. */
  sickAfterMs: number | null
  /** From SIGTERM to its end; it is killed when its grace is over. */
  stopMs: number
}

export const IMAGES = [
  'web:1',
  'web:2',
  'web:3',
  'slow:1',
  'checked:1',
  'job:1',
  'crash:1',
  'frail:1',
  'sick:1',
  'absent:1',
]

/** Images whose services cannot be up for good, however well everything goes. */
export const NEVER_WELL = new Set(['crash:1', 'sick:1', 'absent:1', 'frail:1'])

export function behaviourOf(image: string, chance: Chance): Behaviour {
  const steady: Behaviour = {
    livesMs: null,
    exitCode: 0,
    healthyAfterMs: null,
    sickAfterMs: null,
    stopMs: chance.skewed(5, 2_000),
  }
  switch (image.split(':')[0]) {
    case 'slow':
      return { ...steady, stopMs: chance.between(2_000, 15_000) }
    case 'checked':
      return { ...steady, healthyAfterMs: chance.between(100, 5_000) }
    case 'job':
      return { ...steady, livesMs: chance.skewed(100, 30_000) }
    case 'crash':
      return { ...steady, livesMs: chance.skewed(10, 4_000), exitCode: 1 }
    case 'frail':
      return { ...steady, livesMs: chance.skewed(3_000, 300_000), exitCode: 137 }
    case 'sick':
      return { ...steady, healthyAfterMs: chance.between(100, 2_000), sickAfterMs: chance.between(500, 20_000) }
    default:
      return steady
  }
}

/** What its registry says of it. */
export function canBePulled(image: string): boolean {
  return !image.startsWith('absent')
}
