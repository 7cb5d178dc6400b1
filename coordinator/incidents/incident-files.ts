/**
 * Incidents on disk: a JSON file each, replaced in one step and durable once it resolves, so that a kill leaves the old
 * file or the new. Bounded by their number and by their bytes: the oldest go first. Read when first asked for.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../../shared/log.ts'
import { readPrivateFile, writePrivateFile } from '../../shared/private-file.ts'
import type { Incident } from './incident.ts'

export const INCIDENTS_MAX = 1_000
export const INCIDENT_BYTES_MAX = 64 * 1024 * 1024

/** What a list shows, and what decides whether a failure is new; kept in memory of each. */
export type IncidentSummary = Pick<
  Incident,
  'number' | 'subject' | 'kind' | 'at' | 'lastAt' | 'count' | 'service' | 'node' | 'task' | 'taskName' | 'reason'
> & {
  drafts: { first: number; last: number }
  exitCode: number | null
  nodes: string[]
  isWaiting: boolean
  bytes: number
}

export class IncidentFiles {
  readonly #dir: string
  readonly #log: Log
  readonly #max: { count: number; bytes: number }
  /** Oldest first. */
  readonly #summaries = new Map<number, IncidentSummary>()
  #loading: Promise<void> | null = null
  #bytes = 0
  #newest = 0

  constructor(dir: string, log: Log, max = { count: INCIDENTS_MAX, bytes: INCIDENT_BYTES_MAX }) {
    this.#dir = dir
    this.#log = log
    this.#max = max
  }

  /** Of all, oldest first. */
  async summaries(): Promise<IncidentSummary[]> {
    await this.#load()
    return [...this.#summaries.values()]
  }

  /** Null: it is not kept, or not any more. */
  async read(number: number): Promise<Incident | null> {
    await this.#load()
    return this.#summaries.has(number) ? this.#readFile(number) : null
  }

  /** Gives it its number. */
  async add(incident: Incident): Promise<Incident> {
    await this.#load()
    const numbered = { ...incident, number: this.#newest + 1 }
    await this.write(numbered)
    return numbered
  }

  async write(incident: Incident): Promise<void> {
    await this.#load()
    const text = JSON.stringify(incident)
    await writePrivateFile(this.#path(incident.number), text)
    this.#remember(incident, Buffer.byteLength(text))
    await this.#dropOldest()
  }

  stats(): { incidents: number; bytes: number } {
    return { incidents: this.#summaries.size, bytes: this.#bytes }
  }

  #load(): Promise<void> {
    this.#loading ??= this.#readAll().catch((error: unknown) => {
      this.#loading = null
      throw error
    })
    return this.#loading
  }

  async #readAll(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
    const numbers: number[] = []
    for (const name of await readdir(this.#dir)) {
      // What was being written when the coordinator was killed.
      if (name.endsWith('.new')) await rm(join(this.#dir, name), { force: true })
      const number = /^(\d{1,12})\.json$/.exec(name)?.[1]
      if (number !== undefined) numbers.push(Number(number))
    }
    for (const number of numbers.sort((a, b) => a - b)) {
      this.#newest = number
      const incident = await this.#readFile(number)
      if (incident !== null) this.#remember(incident, (await stat(this.#path(number))).size)
    }
    await this.#dropOldest()
  }

  async #readFile(number: number): Promise<Incident | null> {
    const text = await readPrivateFile(this.#path(number))
    if (text === null) return null
    try {
      return JSON.parse(text) as Incident
    } catch {
      this.#log.error({ incident: number }, `${this.#path(number)} is damaged: this incident cannot be shown`)
      return null
    }
  }

  #remember(incident: Incident, bytes: number): void {
    this.#newest = Math.max(this.#newest, incident.number)
    this.#bytes += bytes - (this.#summaries.get(incident.number)?.bytes ?? 0)
    const { number, subject, kind, at, lastAt, count, service, node, task, taskName, reason, ending, lines } = incident
    const nodes = [...new Set(incident.occurrences.flatMap((each) => each.node ?? []))]
    const brief = { number, subject, kind, at, lastAt, count, service, node, task, taskName, reason }
    const evidence = { exitCode: ending?.exitCode ?? null, nodes, isWaiting: lines.state === 'waiting' }
    const { drafts = { first: 0, last: 0 } } = incident
    this.#summaries.set(number, { ...brief, ...evidence, drafts, bytes })
  }

  async #dropOldest(): Promise<void> {
    for (const [number, { bytes }] of this.#summaries) {
      if (this.#summaries.size <= this.#max.count && this.#bytes <= this.#max.bytes) return
      // The newest stays whatever its size.
      if (number === this.#newest) return
      await rm(this.#path(number), { force: true })
      this.#summaries.delete(number)
      this.#bytes -= bytes
    }
  }

  #path(number: number): string {
    return join(this.#dir, `${number}.json`)
  }
}
