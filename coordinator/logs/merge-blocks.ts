/** Lines of many containers in order of time, block by block, so that only blocks whose times overlap are in memory. */
import { LineJoiner } from '../../shared/json-log.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import { factsOf } from './block-facts.ts'
import { type BlockFiles, type BlockRef, linesOf } from './kept-lines.ts'
import { linesHolding } from './lines-holding.ts'

/** One container: what is left of the block that is open, and the blocks behind it. */
type Source = {
  lines: LogLine[]
  at: number
  refs: BlockRef[]
  next: number
  /** The next block, when it is being read already. */
  ahead: Promise<BlockRead> | null
}

/** Of lines of the file only those are wanted that hold one of `texts`. `find`: gives them of a block; null: it does not know. */
export type Holding = { texts: Buffer[]; find?: (ref: BlockRef) => Promise<Buffer | null> }

/** `isFound`: of its lines those that are wanted. */
type BlockRead = { bytes: Buffer | null; isFound: boolean }

const BATCH_LINES = 4_096
/** With more sources there is enough to do meanwhile, and blocks read ahead take memory. */
const SOURCES_READ_AHEAD = 8

/** Joiners go on from block to block, so they outlive one merge. */
export type Joiners = Map<string, LineJoiner>

export function joinerOf(joiners: Joiners, { container, task }: { container: string; task: string }): LineJoiner {
  const known = joiners.get(container) ?? new LineJoiner(task)
  joiners.set(container, known)
  return known
}

/**
 * `refs` in the order in which they were kept; those of one container follow one another. Every yield is a place where others may go on.
 */
export async function* mergeBlocks(
  refs: BlockRef[],
  files: BlockFiles,
  joiners: Joiners,
  holding: Holding | null,
  signal: AbortSignal,
): AsyncGenerator<LogLine[]> {
  const byContainer = Map.groupBy(refs, ({ head }) => head.container)
  const sources: Source[] = []
  for (const own of byContainer.values()) insert(sources, { lines: [], at: 0, refs: own, next: 0, ahead: null })
  const find = holding?.find
  const readsAhead = find !== undefined || sources.length <= SOURCES_READ_AHEAD
  const whole = async (ref: BlockRef): Promise<BlockRead> => ({ bytes: await files.read(ref), isFound: false })
  const read = async (ref: BlockRef): Promise<BlockRead> => {
    const bytes = ref.facts?.isWhole ? await find?.(ref) : null
    return bytes ? { bytes, isFound: true } : whole(ref)
  }
  let batch: LogLine[] = []
  for (let source = sources.shift(); source !== undefined && !signal.aborted; source = sources.shift()) {
    if (source.at === source.lines.length) {
      const ref = source.refs[source.next++]!
      let block = await (source.ahead ?? read(ref))
      // A line that was begun before it may hold the text in its other part.
      if (block.isFound && !joinerOf(joiners, ref.head).isEmpty) block = await whole(ref)
      const following = source.refs[source.next]
      // Unpacked by another thread while this one is looked through.
      source.ahead = readsAhead && following !== undefined ? read(following) : null
      source.lines = linesIn(block.bytes, ref, joiners, block.isFound ? null : (holding?.texts ?? null))
      source.at = 0
    } else {
      const until = sources.length === 0 ? Number.POSITIVE_INFINITY : timeOf(sources[0]!)
      // As far as nobody else has an earlier line: mostly a whole block.
      do batch.push(source.lines[source.at++]!)
      while (source.at < source.lines.length && source.lines[source.at]!.at <= until && batch.length < BATCH_LINES)
    }
    if (source.at < source.lines.length || source.next < source.refs.length) insert(sources, source)
    if (batch.length < BATCH_LINES) continue
    yield batch
    batch = []
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (batch.length > 0) yield batch
}

/** `bytes` null: the block has gone. */
export function linesIn(bytes: Buffer | null, ref: BlockRef, joiners: Joiners, holding: Buffer[] | null): LogLine[] {
  if (bytes === null) return []
  const joiner = joinerOf(joiners, ref.head)
  // A line of the container may be in two of the file, with the text in neither of them.
  const isWhole = () => joiner.isEmpty && (ref.facts ?? factsOf(bytes, null)).isWhole
  return linesOf(holding !== null && isWhole() ? linesHolding(bytes, holding) : bytes, joiner)
}

/** Of its next line; of a block that is not open, of its first. */
function timeOf({ lines, at, refs, next }: Source): number {
  return at < lines.length ? lines[at]!.at : refs[next]!.head.from
}

/** Sorted by the time of the next line; of one time, who was there first. */
function insert(sources: Source[], source: Source): void {
  const time = timeOf(source)
  let low = 0
  for (let high = sources.length; low < high; ) {
    const middle = (low + high) >> 1
    if (timeOf(sources[middle]!) <= time) low = middle + 1
    else high = middle
  }
  sources.splice(low, 0, source)
}
