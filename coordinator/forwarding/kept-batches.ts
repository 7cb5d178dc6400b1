/**
 * What is kept behind a target's position, in batches. The log store is the spool: nothing is held here but the batch that is
 * under way, so a target that is slow or away costs no memory and holds up nobody; what retention takes meanwhile is counted.
 */
import type { LinesWanted } from '../../shared/forwarding/config.ts'
import { LineJoiner } from '../../shared/json-log.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import { isServiceWanted, stackOf } from '../decide/forwarding/wanted.ts'
import { BlockFiles, linesOf } from '../logs/kept-lines.ts'
import { isAtLeast, levelOf } from '../logs/log-level.ts'
import { type KeptBlock, type KeptHead, readRecords } from '../logs/segment.ts'
import type { Segment } from '../logs/service-log.ts'
import type { ForwardLine, Origin } from './line.ts'
import { type Begun, type Cursor, endOf, FIRST, type KeptLogs, type Position } from './position.ts'

export type Batch = {
  lines: ForwardLine[]
  /** More is waiting. */
  isFull: boolean
}

export type Counted = { lines: number; rawBytes: number }
export type Behind = Counted & {
  /** No line that is waiting is older, epoch ms; null: none is waiting. */
  since: number | null
}

/** What a line has begun and not ended within this time goes as it is, such as the last word of a container. */
const BEGUN_MS = 5_000
/** So many are waited for; of more the oldest goes as it is. */
const BEGUN_MAX = 32

/** Where what is read goes. */
type Into = { files: BlockFiles; lines: ForwardLine[]; lost: (counted: Counted) => void }
type Joining = { joiner: LineJoiner; origin: Origin; touchedAt: number }

export class KeptBatches {
  readonly #store: KeptLogs
  readonly #wanted: LinesWanted
  readonly #monotonicMs: () => number
  #position: Position
  /** Cursors of the batch that is under way, and those that were not moved. */
  #cursors = new Map<string, Cursor>()
  /** By container; those with a begun line. */
  readonly #joining = new Map<string, Joining>()
  /** Segments that are to be read, as they were when last looked at: what they hold can be told when retention has taken them. */
  readonly #pending = new Map<string, Map<number, Counted>>()
  #first = ''

  constructor(store: KeptLogs, position: Position, wanted: LinesWanted, monotonicMs: () => number) {
    this.#store = store
    this.#wanted = wanted
    this.#monotonicMs = monotonicMs
    this.#position = position
    this.rewind()
  }

  /** A batch that came to nothing is read again. */
  rewind(): void {
    const { services, begun } = this.#position
    this.#cursors = new Map(Object.entries(services))
    this.#joining.clear()
    for (const { origin, lines } of begun) {
      const joiner = new LineJoiner(origin.task, lines)
      this.#joining.set(origin.container, { joiner, origin, touchedAt: this.#monotonicMs() })
    }
  }

  /** Of what the target has. */
  get position(): Position {
    return this.#position
  }

  /** Follows what the store did since the last look. Gives what is gone before the target had it. */
  look(): Counted {
    const gone: Counted = { lines: 0, rawBytes: 0 }
    const passedOver: Position['services'] = {}
    for (const service of this.#store.services()) {
      const segments = this.#store.segments(service)
      const cursor = this.#cursors.get(service) ?? FIRST
      if (!isServiceWanted(this.#wanted, service)) {
        const end = endOf(segments)
        if (end.segment !== cursor.segment || end.at !== cursor.at) passedOver[service] = end
        continue
      }
      const pending = this.#pending.get(service) ?? new Map<number, Counted>()
      this.#pending.set(service, pending)
      const oldest = segments[0]?.number ?? Number.POSITIVE_INFINITY
      for (const [number, held] of pending) {
        if (number >= oldest) continue
        pending.delete(number)
        if (number < cursor.segment) continue
        gone.lines += held.lines - (number === cursor.segment ? cursor.lines : 0)
        gone.rawBytes += held.rawBytes - (number === cursor.segment ? cursor.rawBytes : 0)
      }
      for (const { number, summary } of segments) {
        if (number >= cursor.segment) pending.set(number, { lines: summary.lines, rawBytes: summary.rawBytes })
        else pending.delete(number)
      }
    }
    this.#passOver(passedOver)
    return gone
  }

  /** What is not wanted is passed without the target. */
  #passOver(services: Position['services']): void {
    const all = Object.entries(services)
    if (all.length === 0) return
    for (const [service, cursor] of all) this.#cursors.set(service, cursor)
    this.#position = { ...this.#position, services: { ...this.#position.services, ...services } }
  }

  behind(): Behind {
    const behind: Behind = { lines: 0, rawBytes: 0, since: null }
    for (const service of this.#store.services()) {
      if (!isServiceWanted(this.#wanted, service)) continue
      const cursor = this.#position.services[service] ?? FIRST
      for (const { number, summary } of this.#store.segments(service)) {
        if (number < cursor.segment || (number === cursor.segment && cursor.at >= summary.bytes)) continue
        const had = number === cursor.segment ? cursor : FIRST
        behind.lines += summary.lines - had.lines
        behind.rawBytes += summary.rawBytes - had.rawBytes
        behind.since = Math.min(behind.since ?? Number.POSITIVE_INFINITY, Math.max(summary.from, had.to))
      }
    }
    return behind
  }

  /**
   * The next lines, about `rawBytesMax` of them as the Engine wrote them (a block more at most); null: nothing is to be done. The
   * services take turns at being first. `lost` is told of lines that could not be read.
   */
  async next(rawBytesMax: number, lost: (counted: Counted) => void): Promise<Batch | null> {
    const lines: ForwardLine[] = []
    let rawBytes = 0
    let isFull = false
    // Files are not held between batches: one that retention took would go on taking room.
    const files = new BlockFiles()
    try {
      for (const service of this.#inTurn()) {
        rawBytes += await this.#readService(service, rawBytesMax - rawBytes, { files, lines, lost })
        isFull = rawBytes >= rawBytesMax
        if (isFull) {
          this.#first = service
          break
        }
      }
    } finally {
      files.close()
    }
    this.#endBegun(lines)
    return rawBytes === 0 && lines.length === 0 ? null : { lines, isFull }
  }

  /** The target has the batch that was made last, or never will. */
  commit(): void {
    const begun: Begun[] = [...this.#joining.values()].map(({ joiner, origin }) => ({ origin, lines: joiner.begun }))
    this.#position = { services: Object.fromEntries(this.#cursors), begun }
  }

  #inTurn(): string[] {
    const services = this.#store.services().filter((service) => isServiceWanted(this.#wanted, service))
    // Behind the one that filled the last batch.
    const start = services.indexOf(this.#first) + 1
    return [...services.slice(start), ...services.slice(0, start)]
  }

  /** How many bytes it read. */
  async #readService(service: string, rawBytesMax: number, into: Into): Promise<number> {
    const { lost } = into
    let rawBytes = 0
    for (const segment of [...this.#store.segments(service)]) {
      let cursor = this.#cursors.get(service) ?? FIRST
      if (segment.number < cursor.segment) continue
      if (segment.number > cursor.segment) cursor = { ...FIRST, segment: segment.number }
      // As it is now: what is written meanwhile is read the next time.
      const { bytes: end, lines, rawBytes: rawEnd } = { ...segment.summary }
      for (const block of recordsOf(segment, cursor.at, end)) {
        const { head } = block
        const length = head.end - head.offset
        if (!(await this.#readBlock(segment.path, block, service, into))) lost({ lines: head.lines, rawBytes: length })
        cursor = {
          segment: segment.number,
          at: block.endsAt,
          lines: cursor.lines + head.lines,
          rawBytes: cursor.rawBytes + length,
          to: Math.max(cursor.to, head.to),
        }
        this.#cursors.set(service, cursor)
        rawBytes += length
        if (rawBytes >= rawBytesMax) return rawBytes
      }
      if (cursor.at >= end || !this.#store.segments(service).includes(segment)) continue
      // A record that is damaged: where the next one begins is not known.
      lost({ lines: lines - cursor.lines, rawBytes: rawEnd - cursor.rawBytes })
      this.#cursors.set(service, { ...cursor, at: end, lines, rawBytes: rawEnd })
      rawBytes += rawEnd - cursor.rawBytes
    }
    return rawBytes
  }

  /** False: it cannot be read. */
  async #readBlock(path: string, block: KeptBlock, service: string, { files, lines }: Into): Promise<boolean> {
    const { head, bytesAt } = block
    const bytes = await files.read({ path, head, bytesAt })
    if (bytes === null) return false
    const begun = this.#joining.get(head.container)
    const joiner = begun?.joiner ?? new LineJoiner(head.task)
    const origin = begun?.origin ?? originOf(head, service)
    for (const line of linesOf(bytes, joiner)) this.#add(line, origin, lines)
    this.#joining.delete(head.container)
    if (!joiner.isEmpty) this.#joining.set(head.container, { joiner, origin, touchedAt: this.#monotonicMs() })
    return true
  }

  /** Whoever was touched least lately is first. */
  #endBegun(into: ForwardLine[]): void {
    const long = this.#monotonicMs() - BEGUN_MS
    for (const [container, { joiner, origin, touchedAt }] of this.#joining) {
      if (touchedAt > long && this.#joining.size <= BEGUN_MAX) break
      this.#joining.delete(container)
      for (const line of joiner.takeBegun()) this.#add(line, origin, into)
    }
  }

  #add({ at, source, text }: LogLine, origin: Origin, into: ForwardLine[]): void {
    const { streams, level: least } = this.#wanted
    if (streams.length > 0 && !streams.includes(source)) return
    const level = levelOf(text)
    if (least !== undefined && !isAtLeast(level, least)) return
    into.push({ origin, at, source, level, text })
  }
}

function originOf({ container, task, node }: KeptHead, service: string): Origin {
  return { service, stack: stackOf(service), node, task, container }
}

/** Nothing, when retention has taken the file: the next look says so. */
function* recordsOf({ path }: Segment, from: number, to: number): Generator<KeptBlock> {
  if (from >= to) return
  try {
    yield* readRecords(path, from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
