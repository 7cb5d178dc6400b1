/** What follow-file.ts builds on of the package tail-file, which brings no types. */
declare module 'tail-file' {
  import { EventEmitter } from 'node:events'
  import type { StringDecoder } from 'node:string_decoder'

  export default class Tail extends EventEmitter {
    constructor(filename: string, options?: { secondary?: string; startPos?: number; _bufsize?: number })
    readonly filename: string
    started: string | null
    startPos: number | string
    /** Where the next read begins, in bytes. */
    pos: number | 'init'
    ino: number | null
    fd?: number | 'init' | null
    txt: string
    decoder: StringDecoder
    reading: boolean
    readable: boolean
    watcher?: EventEmitter | null
    tryTail(filename: string): void
    startTail(filename: string): void
    checkDir(): void
    checkDirError(error: Error): void
    onCreateReader(descriptor: number): void
    readStuff(): void
    append(error: Error | null, bytesRead: number, buffer: Buffer): void
    decode(chunk: Buffer | null): void
    getLine(): void
    setCharPos(position: number): void
    setBytePos(position: number): void
    onEndOfFileForTail(): void
    stop(): Promise<boolean>
    _stop(): void
  }
}
