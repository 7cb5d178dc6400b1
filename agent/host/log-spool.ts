/**
 * The log files of one container as a spool: read from the place up to which the coordinator keeps them, block by block, through
 * rotations and truncations. The Engine takes files away as it pleases; each is opened as soon as it is seen, and what is open
 * can be read to its end although it has no name any more. So lines are lost only when more files are filled and thrown away
 * than there are looks, and that is told as a gap.
 *
 * A file that the Engine has compressed is another one by its inode. It is known by its first line, and by its length where two
 * begin alike; places in it count as in the file that it was.
 */
import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { LOG_BLOCK_BYTES_MAX, type LogPlace } from '../../shared/wire/log-block.ts'
import { headOfPacked, lengthOfPacked, PackedLog } from './packed-log.ts'
import { type RotatedFile, rotatedAndPackedFiles } from './rotated-files.ts'

export type SpoolBlock = {
  file: string
  offset: number
  end: number
  after: LogPlace | null
  bytes: Buffer
  gap: boolean
}

/** Of files that are held although the Engine threw them away. */
export const HELD_FILES_MAX = 4096
/** The first line of a file names it. */
const FIRST_LINE_BYTES_MAX = 256 * 1024
/** The last bytes before the place: if they are others now, the file was emptied and written anew. They hold a line's time. */
const MEMORY_BYTES = 64
/** A list that is read in the middle of a rotation may miss a file for a moment. */
const LISTINGS_MAX = 3

/** `isAfterGap`: others stood before it that were thrown away unseen. */
type HeldFile = {
  inode: number
  descriptor: number
  name: string | null
  sizeBytes: number
  isPacked: boolean
  isAfterGap: boolean
}

export type SpoolOptions = {
  /** Room that files may take which the Engine threw away, held for what is in them. */
  heldBytesMax: () => number
  /** There is more to take, some of which had to be unpacked. */
  ready: () => void
  /** How many files the Engine keeps: with so many there may have been others before. Absent: it throws none away. */
  filesMax?: number
}

export class LogSpool {
  readonly #path: string
  readonly #heldBytesMax: () => number
  readonly #ready: () => void
  /** Oldest first: those that are not kept yet, as they may have to be read again. */
  readonly #files: HeldFile[] = []
  /** Which of them is being read. */
  #reading = 0
  #offset = 0
  #after: LogPlace | null = null
  #memory = Buffer.alloc(0)
  #gap = false
  #place: LogPlace | null | undefined
  /** Of the file that is being read. */
  #unpacking: PackedLog | null = null

  constructor(path: string, { heldBytesMax, ready, filesMax = Number.POSITIVE_INFINITY }: SpoolOptions) {
    this.#path = path
    this.#heldBytesMax = heldBytesMax
    this.#ready = ready
    this.look()
    const oldest = this.#files[0]
    if (oldest !== undefined && this.#files.length >= filesMax) oldest.isAfterGap = true
  }

  /** There is none to take just now, but there will be. */
  get isUnpacking(): boolean {
    return this.#unpacking !== null
  }

  /** Goes on behind `place`; null: with the oldest line there is. */
  rewind(place: LogPlace | null): void {
    this.#place = place
  }

  /** All up to there is kept: older files are let go. */
  kept({ file }: LogPlace): void {
    const at = this.#files.findIndex(({ name }) => name === file)
    for (let older = 0; older < Math.min(at, this.#reading); older++) this.#release()
  }

  /** Opens files that are new; to be called before the Engine takes any away. */
  look(): void {
    // Renamed between the listing and the opening: looked at anew at once, as the next renaming may take one away.
    for (let listing = 1; listing <= LISTINGS_MAX; listing++) if (this.#openNew()) break
    this.#bound()
  }

  /** False: not all that were listed could be opened by the names that they had. */
  #openNew(): boolean {
    const newest = this.#files.at(-1)
    let files = rotatedAndPackedFiles(this.#path)
    let found = { at: files.length, isSure: true }
    for (let listing = 1; newest !== undefined && files.length > 0; listing++) {
      found = this.#whereIs(newest, files)
      if (found.at >= 0) break
      if (listing === LISTINGS_MAX) {
        // More rotations than files since the last look: nobody can tell what was between.
        found = { at: files.length, isSure: false }
        break
      }
      files = rotatedAndPackedFiles(this.#path)
    }
    let isAfterGap = !found.isSure
    for (const { path, inode, sizeBytes, isPacked } of files.slice(0, found.at).reverse()) {
      const descriptor = openFile(path)
      if (descriptor === null) return false
      if (fstatSync(descriptor).ino !== inode) {
        closeSync(descriptor)
        return false
      }
      const before = this.#files.at(-1)
      // It has grown since it was the newest, and does no more.
      if (before !== undefined) before.sizeBytes = fstatSync(before.descriptor).size
      this.#files.push({ inode, descriptor, name: null, sizeBytes, isPacked, isAfterGap })
      isAfterGap = false
    }
    return true
  }

  /** The next block, of at most LOG_BLOCK_BYTES_MAX bytes; null: there is none now. */
  next(): SpoolBlock | null {
    this.look()
    if (this.#place !== undefined && !this.#begin(this.#place)) return null
    for (;;) {
      const file = this.#files[this.#reading]
      if (file === undefined) return null
      if (this.#wasEmptied(file)) {
        this.#startOver(file)
        this.#gap = true
      }
      file.name ??= nameOf(file)
      // The Engine was killed while it packed its first bytes.
      if (file.name === null && file.isPacked) this.#gap = true
      if (file.isAfterGap && this.#offset === 0) this.#gap = true
      const isLast = this.#reading === this.#files.length - 1
      const bytes = file.name === null ? null : this.#readFrom(file, !isLast)
      if (bytes !== null) return this.#blockOf(file.name!, bytes)
      if (isLast || this.#unpacking !== null) return null
      this.#reading += 1
      this.#readAt(0)
    }
  }

  close(): void {
    this.#readAt(0)
    for (const { descriptor } of this.#files.splice(0)) closeSync(descriptor)
  }

  /** Finds the file of the place. What is older is kept; when the file has gone, so have older ones, and perhaps lines. */
  #begin(place: LogPlace | null): boolean {
    if (this.#files.length === 0) return false
    this.#place = undefined
    this.#after = place
    this.#reading = 0
    this.#readAt(0)
    if (place === null) return true
    const at = this.#fileOf(place)
    if (at < 0) {
      this.#gap = true
      return true
    }
    this.#reading = at
    this.#readAt(place.offset)
    return true
  }

  #fileOf(place: LogPlace): number {
    for (const file of this.#files) file.name ??= nameOf(file)
    const at = this.#files.findIndex(({ name }) => name === place.file)
    if (at >= 0) return at
    let alike = this.#files.filter(
      ({ name, isPacked }) => isPacked && name !== null && firstLineIn(name) === firstLineIn(place.file),
    )
    if (alike.length > 1) alike = alike.filter(({ descriptor }) => lengthOfPacked(descriptor) >= place.offset)
    // Parts of one long line begin files alike: which of them it was cannot be told.
    if (alike.length > 1) this.#gap = true
    const file = alike.at(-1)
    // The same file as before, for the coordinator too.
    if (file !== undefined) file.name = place.file
    return file === undefined ? -1 : this.#files.indexOf(file)
  }

  /**
   * Where a file that we hold stands among those that are listed, or what the Engine has made of it when it compressed it. `at` -1:
   * nowhere. Not sure: others that begin alike may stand between.
   */
  #whereIs(held: HeldFile, files: RotatedFile[]): { at: number; isSure: boolean } {
    const at = files.findIndex(({ inode }) => inode === held.inode)
    if (at >= 0 || held.isPacked) return { at, isSure: true }
    held.name ??= nameOf(held)
    if (held.name === null) return { at, isSure: false }
    const length = fstatSync(held.descriptor).size % 2 ** 32
    const alike: number[] = []
    for (const [at, file] of files.entries()) {
      const descriptor = file.isPacked ? openFile(file.path) : null
      if (descriptor === null) continue
      const name = nameOf({ ...file, descriptor })
      const isSameLength = lengthOfPacked(descriptor) === length
      closeSync(descriptor)
      if (name === null || firstLineIn(name) !== firstLineIn(held.name)) continue
      if (isSameLength) return { at, isSure: true }
      alike.push(at)
    }
    // None was packed to its end.
    return { at: alike[0] ?? -1, isSure: false }
  }

  #readAt(offset: number): void {
    this.#offset = offset
    this.#memory = Buffer.alloc(0)
    this.#unpacking?.close()
    this.#unpacking = null
  }

  #blockOf(file: string, bytes: Buffer): SpoolBlock {
    const { offset, after, gap } = { offset: this.#offset, after: this.#after, gap: this.#gap }
    const end = offset + bytes.length
    this.#offset = end
    this.#after = { file, offset: end }
    this.#gap = false
    this.#memory = Buffer.from(bytes.subarray(-MEMORY_BYTES))
    return { file, offset, end, after, bytes, gap }
  }

  #readFrom(file: HeldFile, isEnded: boolean): Buffer | null {
    return file.isPacked ? this.#unpackLines(file) : this.#readLines(file, isEnded)
  }

  /** While it is being unpacked there may be none to take, and more to come. */
  #unpackLines({ descriptor }: HeldFile): Buffer | null {
    const unpacking = this.#unpacking ?? new PackedLog(descriptor, this.#offset, this.#ready)
    this.#unpacking = unpacking
    const bytes = unpacking.take()
    if (bytes === null && unpacking.isDone) {
      if (unpacking.isTorn) this.#gap = true
      this.#unpacking = null
    }
    return bytes
  }

  /** `isEnded`: nothing will be added any more, so that what is begun counts as a line. */
  #readLines({ descriptor }: HeldFile, isEnded: boolean): Buffer | null {
    const left = fstatSync(descriptor).size - this.#offset
    if (left <= 0) return null
    const bytes = Buffer.allocUnsafeSlow(Math.min(left, LOG_BLOCK_BYTES_MAX))
    const length = readSync(descriptor, bytes, 0, bytes.length, this.#offset)
    if (length === 0) return null
    const end = bytes.lastIndexOf(10, length - 1) + 1
    if (end > 0) return bytes.subarray(0, end)
    return isEnded || length === LOG_BLOCK_BYTES_MAX ? bytes.subarray(0, length) : null
  }

  #wasEmptied({ descriptor, isPacked }: HeldFile): boolean {
    if (isPacked) return false
    if (fstatSync(descriptor).size < this.#offset) return true
    const { length } = this.#memory
    if (length === 0 || length > this.#offset) return false
    const now = Buffer.alloc(length)
    return readSync(descriptor, now, 0, length, this.#offset - length) < length || !now.equals(this.#memory)
  }

  #startOver(file: HeldFile): void {
    file.name = null
    this.#readAt(0)
  }

  /** The coordinator being away for too long, the oldest files go, as they would have without us. */
  #bound(): void {
    let bytes = 0
    for (const { sizeBytes } of this.#files) bytes += sizeBytes
    while (this.#files.length > 1 && (this.#files.length > HELD_FILES_MAX || bytes > this.#heldBytesMax())) {
      bytes -= this.#files[0]!.sizeBytes
      if (this.#reading === 0) {
        this.#gap = true
        this.#readAt(0)
      }
      this.#release()
    }
  }

  #release(): void {
    const file = this.#files.shift()
    if (file !== undefined) closeSync(file.descriptor)
    this.#reading = Math.max(0, this.#reading - 1)
  }
}

function openFile(path: string): number | null {
  try {
    return openSync(path, 'r')
  } catch {
    return null
  }
}

/** An inode is used again as soon as a file is thrown away; the first line has a time that no other one has. */
function nameOf({ inode, descriptor, isPacked }: Pick<HeldFile, 'inode' | 'descriptor' | 'isPacked'>): string | null {
  const bytes = isPacked ? headOfPacked(descriptor).subarray(0, FIRST_LINE_BYTES_MAX) : headOf(descriptor)
  const end = bytes.indexOf(10)
  if (end < 0 && bytes.length < FIRST_LINE_BYTES_MAX) return null
  const first = bytes.subarray(0, end < 0 ? bytes.length : end)
  return `${inode.toString(36)}${isPacked ? '.gz' : ''}-${createHash('sha256').update(first).digest('base64url').slice(0, 16)}`
}

function headOf(descriptor: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.min(FIRST_LINE_BYTES_MAX, fstatSync(descriptor).size))
  return bytes.subarray(0, bytes.length === 0 ? 0 : readSync(descriptor, bytes, 0, bytes.length, 0))
}

/** The part of a name that stays when a file is compressed. */
function firstLineIn(name: string): string {
  return name.slice(name.indexOf('-') + 1)
}
