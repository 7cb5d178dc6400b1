/** A log store that is written to as agents do, block by block. */
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { LogStore, type LogStoreOptions } from '../../coordinator/logs/log-store.ts'
import type { LogPlace } from '../../shared/wire/log-block.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { until } from './until.ts'

const log = { info() {}, warn() {}, error() {}, debug() {} } as never
export const LOG_START = Date.parse('2026-11-27T07:00:00Z')

export type Writing = { source?: 'stdout' | 'stderr'; container?: string; node?: string; end?: string; at?: number }

export async function aKeptLog(given: Partial<LogStoreOptions> = {}) {
  const dir = given.dir ?? join(await temporaryFolder(), 'logs')
  const options = { bytesMax: 1e9, ageMaxMs: 1e12, now: () => LOG_START, log, ...given, dir }
  let store = new LogStore(options)
  let at = LOG_START
  const places = new Map<string, LogPlace>()
  onTestFinished(() => store.close())
  return {
    dir,
    get store() {
      return store
    },
    /** A block of these lines; resolves when it is durable. */
    async write(service: string, texts: string[], writing: Writing = {}): Promise<void> {
      const { source = 'stdout', container = `${service}-1`, node = 'n1', end = '\n' } = writing
      const after = places.get(container) ?? store.beginOf(container)
      const from = writing.at ?? at
      const lines = texts.map((text, index) => {
        const time = new Date(from + index).toISOString().replace('Z', '250000Z')
        return `${JSON.stringify({ log: `${text}${end}`, stream: source, time })}\n`
      })
      at = Math.max(at, from + texts.length)
      const bytes = Buffer.from(lines.join(''))
      const offset = after?.offset ?? 0
      const head = {
        ...{ container, task: `task-${container}`, file: 'f', offset, end: offset + bytes.length, after },
        ...{ lines: lines.length, longest: Math.max(...lines.map(({ length }) => length)), from, to: at, gap: false },
        ...{ encoding: 'raw' as const, bytes: bytes.length },
      }
      const taking = store.take({ head, bytes }, { service, name: `${service}.1`, node })
      if (taking !== 'taken') throw new Error(`the store says ${taking}`)
      places.set(container, { file: 'f', offset: head.end })
      await until(() => !store.isWaiting(container))
    },
    async restart(): Promise<void> {
      await store.close()
      store = new LogStore(options)
    },
  }
}
