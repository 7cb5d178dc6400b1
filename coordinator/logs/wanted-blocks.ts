/** Which blocks of a segment a reader has to unpack: those that its index does not rule out, and all that it does not go over. */
import type { BlockFacts } from './block-facts.ts'
import { mayHold, type RequiredGrams } from './gram-filter.ts'
import type { BlockRef } from './kept-lines.ts'
import { type KeptHead, readRecords } from './segment.ts'
import { type IndexPart, readIndex } from './segment-index.ts'

export type Wanted = {
  /** Epoch ms. */
  from: number
  to: number
  tasks: ReadonlySet<string>
  /** Of the texts that every wanted line holds; null: lines are wanted whatever they hold, or for what is around them. */
  grams: RequiredGrams | null
  /** Of which one is wanted, as bits; null: all lines are, those without a level too. */
  levels: number | null
}

/**
 * By container: sources of which a line may have been begun and not ended in the blocks so far. A block that may go on with it
 * is wanted whatever it holds, since the line is whole only with it.
 */
export type BegunSources = Map<string, number>

export type SegmentBlocks = {
  refs: BlockRef[]
  /** How far the segment's index goes. */
  covered: number
}

/** What a block without facts leaves. */
const ANY_SOURCE = 3

/** Of the segment's first `end` bytes; `begun` goes from segment to segment. None: retention has taken it meanwhile. */
export async function wantedBlocks(
  path: string,
  end: number,
  wanted: Wanted,
  begun: BegunSources,
): Promise<SegmentBlocks> {
  const refs: BlockRef[] = []
  const { parts, covered } = await readIndex(path, end)
  for (const part of parts) {
    if (part.to < wanted.from || part.from > wanted.to) continue
    const mayMatch = isPossible(part, wanted)
    if (!mayMatch && part.isWhole && begun.size === 0) continue
    for (const { head, bytesAt, facts } of part.blocks()) {
      if (!isAsked(head, wanted)) continue
      if (mayMatch || !facts.isWhole || begun.has(head.container)) refs.push({ path, head, bytesAt, facts })
      noteBegun(begun, head.container, facts)
    }
  }
  for (const { head, bytesAt } of recordsFrom(path, parts.at(-1)?.endsAt ?? 0, end)) {
    if (!isAsked(head, wanted)) continue
    refs.push({ path, head, bytesAt, facts: null })
    begun.set(head.container, ANY_SOURCE)
  }
  return { refs, covered }
}

/** Records of a segment; none when it has gone. */
export function recordsFrom(path: string, from: number, to: number): { head: KeptHead; bytesAt: number }[] {
  try {
    return from < to ? [...readRecords(path, from, to)] : []
  } catch {
    return []
  }
}

function isAsked({ task, from, to }: KeptHead, wanted: Wanted): boolean {
  return to >= wanted.from && from <= wanted.to && wanted.tasks.has(task)
}

function isPossible({ filter, levels }: IndexPart, wanted: Wanted): boolean {
  if (wanted.levels !== null && (levels & wanted.levels) === 0) return false
  return wanted.grams === null || mayHold(filter, wanted.grams)
}

function noteBegun(begun: BegunSources, container: string, facts: BlockFacts): void {
  const sources = ((begun.get(container) ?? 0) & ~facts.ended) | facts.begun
  if (sources === 0) begun.delete(container)
  else begun.set(container, sources)
}
