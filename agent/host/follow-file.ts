/**
 * Reads a log from a given byte on, through its rotations, to its end and beyond: the one file that knows the package tail-file.
 *
 * Its reading, watching and decoding serve as they are. What it does at the end of a file does not keep every line: it looks for a
 * new file after it has read the old one's end, so that what is written in between is lost, skips files when two rotations come
 * close together, counts its start in characters from the top, and cannot be paused. Those steps are overridden here;
 * docs/decisions/following-logs.md tells the whole of it.
 */
import { EventEmitter } from 'node:events'
import { closeSync, fstatSync, readSync, stat } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import Tail from 'tail-file'
import { fileAfter, rotatedFiles } from './rotated-files.ts'

/** A byte in a file that keeps its inode when it is renamed. */
export type FilePosition = { inode: number; offset: number }

export type FollowTarget = {
  /** Complete lines, without their ends. */
  lines(lines: string[]): void
  /** All there is has been given; called again each time the end is reached. */
  caughtUp(): void
  /** The file was truncated or replaced under our eyes: lines may be missing here. */
  gap(): void
  failed(error: Error): void
}

export type FollowedFile = {
  /** No more lines until `resume`; at most one buffer of them is still on its way. */
  pause(): void
  resume(): void
  /** Looks at the file now rather than when the file system says so; ends in `caughtUp`. */
  look(): void
  close(): void
}

/** The start must be that of a line. When its file is no longer there, reading begins at the oldest that is. */
export function followFile(path: string, start: FilePosition, target: FollowTarget): FollowedFile {
  return new FollowingTail(path, start, target)
}

const BUFFER_BYTES = 32 * 1024
/** The Engine cuts lines at 16 KiB, which JSON may make six times as long. What is longer is no line of a log. */
const LINE_CHARS_MAX = 1024 * 1024
/** Notices of the file system can be lost or refused (too many watches): then the file is looked at this often. */
const POLL_MS = 1000
const MEMORY_BYTES = 64

class FollowingTail extends Tail implements FollowedFile {
  readonly #target: FollowTarget
  readonly #poll: NodeJS.Timeout
  #wanted: FilePosition
  #closed = false
  #paused = false
  #opening = true
  /** Our file has been renamed; one more reading to its end gives all that its writer left there. */
  #leaving = false
  /** The last bytes before `pos`: if they are others now, the file was truncated and written anew. */
  #memory = Buffer.alloc(0)

  constructor(path: string, start: FilePosition, target: FollowTarget) {
    super(path, { secondary: `${path}.1`, _bufsize: BUFFER_BYTES })
    this.#target = target
    this.#wanted = start
    this.on('error', (error: Error) => this.#closed || target.failed(error))
    this.on('tailError', () => this.#openLater())
    this.#poll = setInterval(() => this.checkDir(), POLL_MS)
    setImmediate(() => this.#open())
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.readStuff()
  }

  look(): void {
    this.checkDir()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#poll)
    this.stop().catch(() => {})
  }

  // ---------------------------------------------------------------- opening

  #open() {
    if (this.#closed) return
    this.#opening = true
    const files = rotatedFiles(this.filename)
    const file = files.find(({ inode }) => inode === this.#wanted.inode) ?? files.at(-1)
    if (file === undefined) return this.#openLater()
    if (file.inode !== this.#wanted.inode) {
      this.#wanted = { inode: file.inode, offset: 0 }
      this.#target.gap()
    }
    this.startPos = this.#wanted.offset
    this.tryTail(file.path)
  }

  /** There is no file just now: between two steps of a rotation, or because its container is being removed. */
  #openLater(): void {
    this.#opening = false
    if (!this.#closed) this.#target.caughtUp()
  }

  override startTail(filename: string): void {
    if (this.#closed) return
    try {
      super.startTail(filename)
    } catch {
      // No watch to be had (the kernel's limit is reached): polling alone is slower, not wrong.
      this.watcher = new NoWatcher()
      super.startTail(filename)
    }
  }

  override onCreateReader(descriptor: number) {
    const inode = fstatSync(descriptor).ino
    if (this.#closed || inode !== this.#wanted.inode) {
      // Renamed between the look at its name and the opening.
      closeSync(descriptor)
      this.fd = null
      this._stop()
      return this.#open()
    }
    this.ino = inode
    this.#opening = false
    this.#leaving = false
    super.onCreateReader(descriptor)
  }

  // ---------------------------------------------------------------- reading

  override checkDir() {
    if (this.#closed || this.#opening) return
    if (typeof this.fd !== 'number') return this.#open()
    this.readable = true
    this.readStuff()
  }

  override checkDirError(): void {}

  override readStuff() {
    if (this.#closed || this.#paused) return
    if (typeof this.fd === 'number' && !this.reading && this.#wasRewritten(this.fd)) return this.#startOver()
    super.readStuff()
  }

  override append(error: Error | null, bytesRead: number, buffer: Buffer): void {
    if (this.#closed) return
    if (bytesRead > 0) this.#remember(buffer.subarray(0, bytesRead))
    super.append(error, bytesRead, buffer)
  }

  /** The end of what there is may lie within a character; its rest comes with the next reading. */
  override decode(chunk: Buffer | null): void {
    if (chunk === null) this.onEndOfFileForTail()
    else super.decode(chunk)
  }

  override getLine(): void {
    if (this.#closed) return
    const end = this.txt.lastIndexOf('\n')
    if (end >= 0) {
      const lines = this.txt.slice(0, end).split('\n')
      this.txt = this.txt.slice(end + 1)
      this.#target.lines(lines)
    } else if (this.txt.length > LINE_CHARS_MAX) {
      this.txt = ''
    }
    setImmediate(() => this.readStuff())
  }

  override setCharPos(position: number): void {
    this.setBytePos(position)
  }

  override setBytePos(position: number): void {
    super.setBytePos(position)
    this.decoder = new StringDecoder('utf8')
    this.#memory = Buffer.alloc(0)
  }

  // ---------------------------------------------------------------- the end of a file

  override onEndOfFileForTail(): void {
    this.reading = true
    stat(this.filename, (error, newest) => {
      this.reading = false
      if (this.#closed || typeof this.fd !== 'number') return
      if (error !== null) this.#atEnd()
      else if (newest.ino !== this.ino) this.#leave()
      else if (newest.size < Number(this.pos)) this.#startOver()
      else if (newest.size > Number(this.pos)) this.readStuff()
      else this.#atEnd()
    })
  }

  #atEnd(): void {
    if (this.readable) this.readStuff()
    else this.#target.caughtUp()
  }

  /** The Engine closes a log before it renames it: what can be read once it has been renamed is all there will be. */
  #leave() {
    if (!this.#leaving) {
      this.#leaving = true
      return this.readStuff()
    }
    const next = fileAfter(rotatedFiles(this.filename), this.#wanted.inode)
    if (next === null) return this.#atEnd()
    this._stop()
    this.#wanted = { inode: next.inode, offset: 0 }
    this.#open()
  }

  #remember(read: Buffer): void {
    this.#memory = Buffer.from(read.subarray(-MEMORY_BYTES))
  }

  #wasRewritten(descriptor: number): boolean {
    const length = this.#memory.length
    if (length === 0 || typeof this.pos !== 'number') return false
    const now = Buffer.alloc(length)
    try {
      return readSync(descriptor, now, 0, length, this.pos - length) < length || !now.equals(this.#memory)
    } catch {
      return false
    }
  }

  #startOver(): void {
    this.setBytePos(0)
    this.#target.gap()
    this.readStuff()
  }
}

class NoWatcher extends EventEmitter {
  close(): void {
    this.emit('close')
  }
}
