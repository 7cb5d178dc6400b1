/** The metrics store and what feeds it, started beside a coordinator that serves already and in no hurry. */
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { Totals } from '../metrics/totals.ts'
import type { World } from '../world.ts'
import { type MetricsStore, type MetricsStoreStats, openMetricsStore } from './metrics-store.ts'
import { startSampler } from './sampler.ts'

/** Agents that come back after a start have their turn first. */
const OPEN_AFTER_MS = 500

export type MetricsHistory = {
  readonly totals: Totals
  /** Null: not read yet, not to be read, or not wanted; `why` says which. */
  readonly store: MetricsStore | null
  readonly why: string
  stats(): MetricsStoreStats | null
  close(): Promise<void>
}

export type MetricsHistoryOptions = {
  dir: string
  /** 0: none is kept. */
  bytesMax: number
  /** With new points. Each takes about a kilobyte of memory. */
  seriesMax: number
  world: () => World
  clock: Clock
  heartbeatIntervalMs: number
  log: Log
}

/** A store that cannot be opened is said once, and the coordinator goes on without. */
export function openMetricsHistory(options: MetricsHistoryOptions): MetricsHistory {
  const { dir, bytesMax, seriesMax, world, clock, heartbeatIntervalMs, log } = options
  let store: MetricsStore | null = null
  const totals = new Totals()
  // Counters are told whether or not anything is kept.
  const sampler = startSampler({ store: () => store, totals, world, clock, heartbeatIntervalMs })
  let isClosed = false
  let why = 'the metrics are still being read after a start; try again in a moment'
  if (bytesMax === 0) why = 'no metrics are kept: the coordinator was started with --metrics-size 0'
  const opening = bytesMax === 0 ? Promise.resolve() : open()

  async function open(): Promise<void> {
    try {
      await clock.sleep(OPEN_AFTER_MS)
      if (isClosed) return
      store = await openMetricsStore({ dir, bytesMax, seriesMax, log })
    } catch (error) {
      why = `the metrics in ${dir} cannot be read (${String(error)}); the coordinator's log has more`
      log.error({ error: String(error) }, `${why}. None are kept until the next start`)
    }
  }

  return {
    totals,
    get store() {
      return store
    },
    get why() {
      return why
    },
    stats: () => store?.stats ?? null,
    async close() {
      isClosed = true
      await opening
      sampler.stop()
      await store?.close()
    },
  }
}
