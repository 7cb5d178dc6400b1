/** Finds where in a log the wanted lines begin, by reading backwards from its end. */
import { type FileHandle, open } from 'node:fs/promises'
import { parseJsonLog } from '../../shared/json-log.ts'
import type { FilePosition } from './follow-file.ts'
import type { RotatedFile } from './rotated-files.ts'

export type WantedLines = { tailLines?: number; sinceMs?: number }

const BLOCK_BYTES = 64 * 1024
/** A line that is longer than this is none; its bytes are passed over. */
const LINE_BYTES_MAX = 1024 * 1024

/**
 * The earliest line wanted. `sinceMs` is found to within a block: the reader leaves out the few lines before it. Pieces of a long
 * line count as one line. Null when there is no file.
 */
export async function findStart(files: RotatedFile[], wanted: WantedLines): Promise<FilePosition | null> {
  const search = new BackwardSearch(wanted)
  let start: FilePosition | null = null
  for (const file of files) {
    // All its lines are older than its last change.
    if (start !== null && wanted.sinceMs !== undefined && file.modifiedAtMs < wanted.sinceMs) break
    const found = await searchFile(file, search)
    start = { inode: file.inode, offset: found ?? 0 }
    if (found !== null) break
  }
  return start
}

async function searchFile(file: RotatedFile, search: BackwardSearch): Promise<number | null> {
  if (search.wantsAll) return null
  const handle = await open(file.path, 'r').catch(() => null)
  if (handle === null) return null
  try {
    // Renamed since it was listed: the reader finds it by its inode and reads it from its beginning.
    if ((await handle.stat()).ino !== file.inode) return null
    return await searchBackwards(handle, file.sizeBytes, search)
  } finally {
    await handle.close()
  }
}

async function searchBackwards(handle: FileHandle, sizeBytes: number, search: BackwardSearch): Promise<number | null> {
  let carry = Buffer.alloc(0)
  for (let begin = sizeBytes; begin > 0; ) {
    const length = Math.min(BLOCK_BYTES, begin)
    begin -= length
    const block = Buffer.alloc(length)
    await handle.read(block, 0, length, begin)
    const data = Buffer.concat([block, carry])
    // Unless this is the file's beginning, the first line began in the block before.
    const first = begin === 0 ? 0 : data.indexOf(10) + 1
    if (first === 0 && begin > 0) {
      carry = data.length > LINE_BYTES_MAX ? Buffer.alloc(0) : data
      continue
    }
    const found = search.visit(data, first)
    if (found !== null) return begin + found
    carry = data.subarray(0, first)
  }
  return null
}

class BackwardSearch {
  readonly #sinceMs: number | undefined
  #linesLeft: number
  #isFirst = true
  readonly wantsAll: boolean

  constructor({ tailLines, sinceMs }: WantedLines) {
    this.wantsAll = tailLines === undefined && sinceMs === undefined
    this.#linesLeft = tailLines ?? Number.POSITIVE_INFINITY
    this.#sinceMs = sinceMs
  }

  /** `data` from `first` on is whole lines, but perhaps for one still being written at its end. Gives the place of the start. */
  visit(data: Buffer, first: number): number | null {
    let end = data.lastIndexOf(10) + 1
    if (this.#isWholeBlockWanted(data, first)) return null
    while (end > first) {
      const begin = end - 2 < first ? first : Math.max(first, data.lastIndexOf(10, end - 2) + 1)
      const piece = parseJsonLog(data.toString('utf8', begin, end - 1))
      if (piece !== null) {
        if (piece.endsLine || this.#isFirst) {
          if (this.#linesLeft === 0) return end
          this.#linesLeft--
        }
        this.#isFirst = false
        if (this.#sinceMs !== undefined && piece.atMs < this.#sinceMs) return end
      }
      end = begin
    }
    return null
  }

  /** Where lines need not be counted, one look at the oldest of a block tells whether to go on backwards. */
  #isWholeBlockWanted(data: Buffer, first: number): boolean {
    const end = data.indexOf(10, first)
    if (end < 0 || this.#sinceMs === undefined || this.#linesLeft !== Number.POSITIVE_INFINITY) return false
    const oldest = parseJsonLog(data.toString('utf8', first, end))
    return oldest !== null && oldest.atMs >= this.#sinceMs
  }
}
