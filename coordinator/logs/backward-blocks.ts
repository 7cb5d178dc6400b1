/** The last blocks of tasks, segment by segment from the last backwards, each looked into when it is wanted, and once. */
import type { BlockRef } from './kept-lines.ts'

export type BackwardSegment = { holds(task: string): boolean; blocks(): Promise<BlockRef[]> }

export class BackwardBlocks {
  /** Oldest first. */
  readonly #segments: BackwardSegment[]
  readonly #byTask = new Map<BackwardSegment, Map<string, BlockRef[]>>()

  constructor(segments: BackwardSegment[]) {
    this.#segments = segments
  }

  /** So many of this task, or all that there are; oldest first. */
  async last(task: string, count: number): Promise<BlockRef[]> {
    let found: BlockRef[] = []
    for (const segment of this.#segments.toReversed()) {
      if (found.length >= count) break
      if (segment.holds(task)) found = ((await this.#blocksIn(segment)).get(task) ?? []).concat(found)
    }
    return found.slice(-count)
  }

  async #blocksIn(segment: BackwardSegment): Promise<Map<string, BlockRef[]>> {
    const known = this.#byTask.get(segment) ?? Map.groupBy(await segment.blocks(), ({ head }) => head.task)
    this.#byTask.set(segment, known)
    return known
  }
}
