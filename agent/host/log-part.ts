/** The part of a log stream that one container gives: from its log file where that can be read, else from the Engine. */
import { accessSync, constants, lstatSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { LineJoiner, parseJsonLog } from '../../shared/json-log.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import type { ContainerHandle } from '../parts.ts'
import { EngineLogParser } from './engine-log.ts'
import { type FollowedFile, followFile } from './follow-file.ts'
import { findStart, type WantedLines } from './log-start.ts'
import { rotatedFiles } from './rotated-files.ts'

export type EngineLogs = (
  containerId: string,
  options: { sinceMs?: number; tailLines?: number; follow: boolean },
  signal: AbortSignal,
) => Promise<Readable>

export type PartTarget = {
  line(line: LogLine): void
  /** A line in the file that is none, or a gap in it. */
  skipped(): void
  ended(error?: Error): void
}

export type LogPart = {
  /** True once the past has been read: from here on lines come as they are written. */
  readonly isLive: boolean
  /** It ends each time the container stops (or the Engine does), and is to be opened anew when it runs again. */
  readonly endsWithContainer: boolean
  pause(): void
  resume(): void
  /** The container is gone: what is left is given, then the part ends. */
  finish(): void
  close(): void
}

export type PartRequest = { handle: ContainerHandle; wanted: WantedLines; follow: boolean }

export function openPart(request: PartRequest, engineLogs: EngineLogs | undefined, target: PartTarget): LogPart {
  const { logPath, containerId } = request.handle
  if (logPath !== null && isReadable(logPath)) return new FilePart(logPath, request, target)
  if (engineLogs !== undefined) return new EnginePart(engineLogs, request, target)
  return new NoPart(`the log of container ${containerId.slice(0, 12)} cannot be read (${logPath ?? 'no file'})`, target)
}

/** A link is not followed: whoever can write beside the log would read the host's files through us. */
export function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return lstatSync(path).isFile()
  } catch {
    return false
  }
}

/** The Engine writes the pieces of a long line at once: what stays begun for so long is a prompt, and is shown. */
const BEGUN_LINE_MS = 1000

class FilePart implements LogPart {
  isLive = false
  readonly endsWithContainer = false
  readonly #target: PartTarget
  readonly #joiner: LineJoiner
  readonly #sinceMs: number
  readonly #follow: boolean
  /** The last lines as they were when they were asked for: what is written while they are read is not among them. */
  #linesLeft: number
  #file: FollowedFile | null = null
  #begunTimer: NodeJS.Timeout | null = null
  #isPaused = false
  #isFinishing = false
  #isClosed = false

  constructor(path: string, { handle, wanted, follow }: PartRequest, target: PartTarget) {
    this.#target = target
    this.#joiner = new LineJoiner(handle.task)
    this.#sinceMs = wanted.sinceMs ?? 0
    this.#follow = follow
    this.#linesLeft = follow ? Number.POSITIVE_INFINITY : (wanted.tailLines ?? Number.POSITIVE_INFINITY)
    this.#open(path, wanted).catch((error) => this.#end(error))
  }

  pause(): void {
    this.#isPaused = true
    this.#file?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#file?.resume()
  }

  finish(): void {
    this.#isFinishing = true
    this.#file?.look()
  }

  close(): void {
    this.#isClosed = true
    this.#file?.close()
    if (this.#begunTimer !== null) clearTimeout(this.#begunTimer)
  }

  async #open(path: string, wanted: WantedLines): Promise<void> {
    const start = await findStart(rotatedFiles(path), wanted)
    if (this.#isClosed) return
    if (start === null) return this.#end()
    this.#file = followFile(path, start, {
      lines: (lines) => this.#take(lines),
      caughtUp: () => this.#caughtUp(),
      gap: () => this.#target.skipped(),
      failed: (error) => this.#end(error),
    })
    if (this.#isPaused) this.#file.pause()
  }

  #take(lines: string[]): void {
    for (const text of lines) {
      const piece = parseJsonLog(text)
      if (piece === null) {
        this.#target.skipped()
        continue
      }
      if (piece.atMs < this.#sinceMs) continue
      const line = this.#joiner.add(piece)
      if (line === null) continue
      if (this.#linesLeft-- > 0) this.#target.line(line)
      if (this.#linesLeft <= 0) {
        this.#end()
        return
      }
    }
    if (!this.#joiner.isEmpty) this.#begunTimer ??= setTimeout(() => this.#giveBegun(), BEGUN_LINE_MS)
  }

  #caughtUp(): void {
    this.isLive = true
    if (!this.#follow || this.#isFinishing) this.#end()
  }

  #giveBegun(): void {
    this.#begunTimer = null
    for (const line of this.#joiner.takeBegun()) this.#target.line(line)
  }

  #end(error?: Error): void {
    if (this.#isClosed) return
    this.close()
    this.#giveBegun()
    this.#target.ended(error)
  }
}

class EnginePart implements LogPart {
  /** Never: the Engine keeps what we do not take, so nothing need be dropped here. */
  readonly isLive = false
  readonly endsWithContainer = true
  readonly #abort = new AbortController()
  readonly #target: PartTarget
  #stream: Readable | null = null
  #isPaused = false
  #isEnded = false

  constructor(engineLogs: EngineLogs, { handle, wanted, follow }: PartRequest, target: PartTarget) {
    this.#target = target
    engineLogs(handle.containerId, { ...wanted, follow }, this.#abort.signal).then(
      (stream) => this.#read(stream, handle.task),
      (error) => this.#end(error),
    )
  }

  pause(): void {
    this.#isPaused = true
    this.#stream?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#stream?.resume()
  }

  /** The Engine itself ends the stream of a container that is removed. */
  finish(): void {}

  close(): void {
    this.#isEnded = true
    this.#abort.abort()
    this.#stream?.destroy()
  }

  #read(stream: Readable, task: string): void {
    stream.on('error', (error) => this.#end(error))
    if (this.#isEnded) {
      stream.destroy()
      return
    }
    this.#stream = stream
    const parser = new EngineLogParser(task, Date.now)
    stream.on('end', () => {
      this.#give(() => parser.end())
      this.#end()
    })
    stream.on('data', (bytes: Buffer) => this.#give(() => parser.add(bytes)))
    if (this.#isPaused) stream.pause()
  }

  #give(parse: () => LogLine[]): void {
    try {
      for (const line of parse()) this.#target.line(line)
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #end(error?: Error): void {
    if (this.#isEnded) return
    this.close()
    this.#target.ended(error)
  }
}

class NoPart implements LogPart {
  readonly isLive = true
  readonly endsWithContainer = false

  constructor(reason: string, target: PartTarget) {
    queueMicrotask(() => target.ended(new Error(reason)))
  }

  pause(): void {}
  resume(): void {}
  finish(): void {}
  close(): void {}
}
