/** An agent's shipping and a coordinator's store in one process, over a line that encodes; either can be killed at any moment. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { LogShipping } from '../../agent/host/log-shipping.ts'
import type { ContainerHandle } from '../../agent/parts.ts'
import { createKeptReader } from '../../coordinator/logs/kept-reader.ts'
import { LogStore, type LogStoreOptions } from '../../coordinator/logs/log-store.ts'
import { createLogKeeping, type LogKeeping } from '../../coordinator/sessions/log-keeping.ts'
import type { World } from '../../coordinator/world.ts'
import { decodeDown, decodeUp, encode } from '../../shared/wire/codec.ts'
import type { DownMessage } from '../../shared/wire/down.ts'
import { decodeLogFrame, encodeLogFrame } from '../../shared/wire/log-block.ts'
import type { LogLine, UpMessage } from '../../shared/wire/up.ts'

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export function aFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'berth-logs-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A log as the Engine writes and rotates it. */
export class EngineLogFile {
  readonly path: string
  readonly #maxBytes: number
  readonly #maxFiles: number
  readonly #ending: '' | '.gz'
  #size = 0
  #ms = Date.parse('2026-11-26T10:00:00Z')

  constructor(dir: string, maxBytes = Number.POSITIVE_INFINITY, maxFiles = 3, compress = false) {
    mkdirSync(dir, { recursive: true })
    this.path = join(dir, 'json.log')
    this.#maxBytes = maxBytes
    this.#maxFiles = maxFiles
    this.#ending = compress ? '.gz' : ''
    writeFileSync(this.path, '')
  }

  write(texts: string[], source: 'stdout' | 'stderr' = 'stdout', end = '\n'): void {
    for (const text of texts) {
      const time = new Date(this.#ms++).toISOString().replace('Z', '000001Z')
      const line = `${JSON.stringify({ log: `${text}${end}`, stream: source, time })}\n`
      if (this.#size + line.length > this.#maxBytes) this.rotate()
      appendFileSync(this.path, line)
      this.#size += line.length
    }
  }

  skipMs(ms: number): void {
    this.#ms += ms
  }

  rotate(): void {
    for (let number = this.#maxFiles - 1; number > 1; number--) {
      const [from, to] = [number - 1, number].map((each) => `${this.path}.${each}${this.#ending}`) as [string, string]
      if (existsSync(from)) renameSync(from, to)
    }
    if (this.#maxFiles > 1) renameSync(this.path, `${this.path}.1`)
    writeFileSync(this.path, '')
    this.#size = 0
    if (this.#ending === '.gz') this.#pack(`${this.path}.1`)
  }

  /** The Engine takes the file away once all of it is packed. */
  #pack(path: string): void {
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)))
    rmSync(path)
  }

  get bytes(): number {
    return statSync(this.path).size
  }
}

export function aLogBed(options: Partial<LogStoreOptions> = {}) {
  let dir = options.dir ?? join(aFolder(), 'logs')
  const handles = new Map<string, ContainerHandle>()
  const notices: { code: string; message: string }[] = []
  const tasks = new Map<string, { service: string; slot: number; node: string }>()
  const world = () => ({ tasks }) as unknown as World
  let store: LogStore
  let keeping: LogKeeping
  let shipping: LogShipping
  let isUp = false
  let isStalled = false

  const toAgent = (message: DownMessage) => {
    const decoded = decodeDown(encode(message))
    if (!decoded.ok) throw new Error(decoded.reason)
    const { message: read } = decoded
    const agent = shipping
    setImmediate(() => {
      if (!isUp || agent !== shipping) return
      if (read.kind === 'log-places') agent.places(read)
      if (read.kind === 'log-look') agent.look(read.look)
    })
  }
  const toCoordinator = (message: UpMessage) => {
    const decoded = decodeUp(encode(message))
    if (!decoded.ok) throw new Error(decoded.reason)
    const { message: read } = decoded
    if (read.kind === 'log-sources') keeping.sources('n1', read)
    if (read.kind === 'log-looked') keeping.looked('n1', read)
  }

  let floods = 0

  function openStore(): void {
    store = new LogStore({ bytesMax: 1e9, ageMaxMs: 1e15, now: Date.now, log: SILENT, ...options, dir })
    const own = store
    keeping = createLogKeeping({
      store,
      world,
      isOpen: () => isUp && own === store,
      send: (_, message) => own === store && toAgent(message),
      now: Date.now,
      notice: (_, { code, message }) => notices.push({ code, message }),
    })
  }
  function openAgent(): void {
    shipping = new LogShipping({
      containers: () => [...handles.values()],
      notice: (code, message) => notices.push({ code, message }),
      flooded: () => {
        floods += 1
      },
      now: Date.now,
    })
  }
  function connect(): void {
    isUp = true
    const own = { shipping, store }
    const isThis = () => isUp && own.shipping === shipping && own.store === store
    shipping.begin({
      sources: (sources) => isThis() && toCoordinator({ kind: 'log-sources', sources }),
      blocks: (blocks) => {
        if (!isThis()) return
        const read = decodeLogFrame(encodeLogFrame(blocks))
        if (typeof read === 'string') throw new Error(read)
        keeping.blocks('n1', read)
      },
      looked: (look) => isThis() && toCoordinator({ kind: 'log-looked', look }),
      hasRoom: () => isThis() && !isStalled,
    })
  }
  function disconnect(): void {
    isUp = false
    shipping.end()
    keeping.nodeClosed('n1')
  }

  openStore()
  openAgent()
  connect()
  onTestFinished(async () => {
    shipping.close()
    await store.close()
  })

  const reader = () =>
    createKeptReader({
      store,
      serviceOf: (task) => tasks.get(task)?.service ?? store.ownerOf(task)?.service ?? null,
      look: (nodes) => keeping.look(nodes),
      isOpen: () => isUp,
      onNodeClosed: (listener) => keeping.onNodeClosed(listener),
    })

  return {
    notices,
    get floods() {
      return floods
    },
    get dir() {
      return dir
    },
    get store() {
      return store
    },
    get shipping() {
      return shipping
    },
    reader,
    connect,
    disconnect,
    run(container: string, logPath: string, task = `shop_api.${handles.size + 1}`, service = 'shop_api'): void {
      tasks.set(task, { service, slot: handles.size + 1, node: 'n1' })
      handles.set(container, { task, containerId: container, attempt: 1, pid: 1, logPath, memoryBytesLimit: null })
    },
    /** Made, but not started: it has no log file yet. */
    make(container: string, logPath: string, task: string): void {
      this.run(container, logPath, task)
      handles.get(container)!.pid = 0
    },
    remove: (container: string) => void handles.delete(container),
    forgetTask: (task: string) => void tasks.delete(task),
    /** As kill -9 does: nothing is written or said any more. */
    killAgent(): void {
      const old = shipping
      isUp = false
      openAgent()
      old.close()
      keeping.nodeClosed('n1')
      connect()
    },
    /** What it was writing goes on into the folder that it had: the next one finds the files as they are at this moment. */
    killCoordinator(): void {
      isUp = false
      shipping.end()
      const before = dir
      dir = join(aFolder(), 'logs')
      cpSync(before, dir, { recursive: true })
      openStore()
      connect()
    },
    stall: (is: boolean) => {
      isStalled = is
      if (!is) shipping.flushed()
    },
    async read(query: object = {}, names = [...tasks.keys()]): Promise<LogLine[]> {
      const lines: LogLine[] = []
      const targets = names.map((task) => ({ task, node: 'n1' }))
      const given = { tasks: targets, follow: false, signal: new AbortController().signal, ...query }
      for await (const batch of reader().read(given)) lines.push(...batch.lines)
      return lines
    },
  }
}
