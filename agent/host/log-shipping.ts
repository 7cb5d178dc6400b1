/**
 * Brings what containers write to the coordinator, which keeps it. The log files themselves are the spool: what the coordinator
 * has not acknowledged is read again, from the place that it names, so nothing is kept here that could be lost or go stale.
 *
 * One loop: each container that was written to is marked; a round takes a block of each, packs them, sends one frame. Rounds go on
 * while there is something to take and not too much is under way; the next is read while one is packed.
 */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import type { LogPlaces } from '../../shared/wire/down.ts'
import type { LogBlock, LogPlace } from '../../shared/wire/log-block.ts'
import type { ContainerHandle, LogShipper, ShippingLine } from '../parts.ts'
import { ENGINE_FILE, EngineSpool } from './engine-spool.ts'
import { type Inflow, inflowWith, isFlood, NO_INFLOW } from './flood.ts'
import { HOST_HELD_BYTES_MAX, heldBytesMaxOf } from './held-room.ts'
import { type EngineLogs, isReadable } from './log-part.ts'
import { LogSpool, type SpoolBlock } from './log-spool.ts'
import { LogWatch } from './log-watch.ts'
import { scanLines } from './scan-lines.ts'

export type LogShippingNeeds = {
  containers: () => ContainerHandle[]
  engineLogs?: EngineLogs
  notice(code: string, message: string, task?: string): void
  /** Lines come in a flood: called once. */
  flooded?: () => void
  now: () => number
}

/** Blocks under way, not acknowledged: of one container, and of all. */
const CONTAINER_BLOCKS_MAX = 8
const BLOCKS_MAX = 32
/** Of one frame. */
const ROUND_BLOCKS_MAX = 8
/** After the first notice of a line: others that come with it go with it. */
const GATHER_MS = 5
/** Beneath this a block is not worth packing. */
const PACKED_BYTES_MIN = 1024
const LOOK_MS = 250
const POLL_MS = 1_000
/** A watch may miss something: what it watches is looked at all the same, once in so many polls. */
const POLLS_OF_WATCHED = 10
/** While nothing may be sent, files are opened before the Engine throws them away. */
const HOLD_MS = 20
const ENGINE_LOOK_MS = 20
const ENGINE_RETRY_MS = 5_000
/** Of one container. */
const TELL_EVERY_MS = 60_000
/** How long a reader waits for what was written before it asked. */
const LOOKED_MS_MAX = 400
/** How long the removal of a container waits for its last lines; they are read to the end afterwards, too, if we live. */
export const LAST_WORDS_MS_MAX = 2_000

const pack = promisify(zstdCompress)
/** `chunkSize`: mostly all that comes of a block, in one turn of the thread that packs it. */
const PACKING = { params: { [constants.ZSTD_c_compressionLevel]: 1 }, chunkSize: 128 * 1024 }

type Shipment = {
  handle: ContainerHandle
  /** Where the log file is expected of a container that has not run yet; null: it is known. */
  foretold: string | null
  spool: LogSpool | EngineSpool | null
  watch: LogWatch | null
  holdTimer: NodeJS.Timeout | null
  /** `asking`: the coordinator is to say where to begin. */
  state: 'asking' | 'shipping' | 'refused'
  isMarked: boolean
  /** Ends of the blocks under way. */
  underWay: LogPlace[]
  kept: LogPlace | null
  /** Process of the run whose stream was opened. */
  openedPid: number
  retryAt: number
  toldAt: number
  /** The container has been removed: what is left is sent, then it is forgotten. */
  isGone: boolean
  waiters: (() => void)[]
}

/** Blocks that were taken together and go in one frame. */
type Round = { line: ShippingLine; taken: { shipment: Shipment; block: SpoolBlock }[]; packed: Promise<LogBlock[]> }

export class LogShipping implements LogShipper {
  readonly #needs: LogShippingNeeds
  readonly #shipments = new Map<string, Shipment>()
  readonly #timers: NodeJS.Timeout[]
  #line: ShippingLine | null = null
  #isWorking = false
  #workTimer: NodeJS.Timeout | null = null
  #blocksUnderWay = 0
  #polls = 0
  /** Null: it was told that they flood. */
  #inflow: Inflow | null = NO_INFLOW
  /** For each container. */
  #heldBytesMax = HOST_HELD_BYTES_MAX

  constructor(needs: LogShippingNeeds) {
    this.#needs = needs
    this.#timers = [setInterval(() => this.#find(), LOOK_MS), setInterval(() => this.#poll(), POLL_MS)]
    for (const timer of this.#timers) timer.unref()
  }

  // ---------------------------------------------------------------- what the connection tells

  begin(line: ShippingLine): void {
    this.#line = line
    this.#find()
    for (const shipment of this.#shipments.values()) shipment.state = 'asking'
    this.#ask([...this.#shipments.values()])
  }

  /** The connection is gone, and what was under way with it. */
  end(): void {
    this.#line = null
    for (const shipment of this.#shipments.values()) {
      this.#nothingUnderWay(shipment)
      if (shipment.state === 'shipping') shipment.state = 'asking'
      this.#wakeWaiters(shipment)
    }
  }

  places({ places }: LogPlaces): void {
    for (const { container, what, place = null } of places) {
      const shipment = this.#shipments.get(container)
      if (shipment === undefined) continue
      if (what === 'kept') this.#kept(shipment, place!)
      else if (what === 'begin') this.#beginAt(shipment, place)
      else this.#refused(shipment)
    }
    this.#workSoon(0)
  }

  flushed(): void {
    this.#workSoon(0)
  }

  /** Answers once all that has been written by now is kept, or after a moment. */
  look(look: number): void {
    const line = this.#line
    this.#find()
    void Promise.all([...this.#shipments.keys()].map((id) => this.settled(id, LOOKED_MS_MAX))).then(() => {
      if (this.#line === line) line?.looked(look)
    })
  }

  /** Before a container is removed: its files are opened, and its last lines kept, if that does not take long. */
  async lastWords(containerId: string): Promise<void> {
    this.#find()
    const known = this.#shipments.get(containerId)
    if (known !== undefined) this.#ask(this.#asItTurnedOut(known, true))
    const shipment = this.#shipments.get(containerId) ?? this.#lateShipment(containerId)
    if (shipment === null) return
    this.#look(shipment)
    if (shipment.spool instanceof EngineSpool && shipment.state === 'shipping') await this.#readToEnd(shipment)
    await this.settled(containerId, LAST_WORDS_MS_MAX)
  }

  /** Of a container that has run and ended between two looks. */
  #lateShipment(containerId: string): Shipment | null {
    const handle = this.#needs.containers().find((each) => each.containerId === containerId)
    const shipment = handle === undefined ? null : this.#newShipment(handle, true)
    if (shipment !== null) this.#ask([shipment])
    return shipment
  }

  /** What came in a run that nobody saw is in the Engine's stream still. */
  async #readToEnd(shipment: Shipment): Promise<void> {
    if ((shipment.spool as EngineSpool).isEnded && shipment.underWay.length === 0) this.#openEngine(shipment)
    const until = performance.now() + LAST_WORDS_MS_MAX
    while (!(shipment.spool as EngineSpool).isEnded && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, ENGINE_LOOK_MS))
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    if (this.#workTimer !== null) clearTimeout(this.#workTimer)
    for (const shipment of this.#shipments.values()) this.#forget(shipment)
  }

  /** For tests and metrics. */
  get heldContainers(): number {
    return this.#shipments.size
  }

  settled(containerId: string, limitMs: number): Promise<void> {
    const shipment = this.#shipments.get(containerId)
    if (shipment === undefined || shipment.state === 'refused' || this.#line === null) return Promise.resolve()
    shipment.isMarked = true
    this.#workSoon(0)
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs)
      shipment.waiters.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  // ---------------------------------------------------------------- containers

  /** Some container may be new: its files are opened before it has filled and lost the first. */
  containersChanged(): void {
    const isKnown = ({ containerId }: ContainerHandle) => this.#shipments.has(containerId)
    if (!this.#needs.containers().every(isKnown)) this.#find()
  }

  #find(): void {
    const handles = this.#needs.containers()
    const present = new Set<string>()
    const added: Shipment[] = []
    for (const handle of handles) {
      present.add(handle.containerId)
      const known = this.#shipments.get(handle.containerId)
      if (known !== undefined) {
        known.handle = handle
        known.isGone = false
        const { foretold } = known
        if (foretold !== null && (handle.pid !== 0 || handle.logPath !== foretold))
          added.push(...this.#asItTurnedOut(known))
        this.#openEngineAgain(known)
      } else {
        const shipment = this.#newShipment(handle)
        if (shipment !== null) added.push(shipment)
      }
    }
    for (const [id, shipment] of this.#shipments) {
      if (present.has(id)) continue
      if (!shipment.isGone) shipment.isMarked = true
      shipment.isGone = true
      this.#forgetIfDone(shipment)
    }
    if (added.length > 0) this.#ask(added)
  }

  /** Null: its log cannot be read here. */
  #newShipment(handle: ContainerHandle, isLast = false): Shipment | null {
    const { containerId, logPath, pid } = handle
    // Made just now: where its log is comes with the first look at it, as does its process.
    if (logPath === null && pid === 0 && !isLast) return null
    const foretold = pid === 0 && !isLast && logPath !== null && !existsSync(logPath) ? logPath : null
    const isFile = logPath !== null && (foretold !== null || isReadable(logPath))
    if (!isFile && this.#needs.engineLogs === undefined) return null
    const shipment: Shipment = {
      handle,
      foretold,
      spool: null,
      watch: null,
      holdTimer: null,
      state: 'asking',
      isMarked: true,
      underWay: [],
      kept: null,
      openedPid: 0,
      retryAt: 0,
      toldAt: Number.NEGATIVE_INFINITY,
      isGone: false,
      waiters: [],
    }
    if (isFile) {
      const written = () => this.#written(shipment)
      shipment.spool = new LogSpool(logPath, {
        heldBytesMax: () => this.#heldBytesMax,
        ready: written,
        filesMax: handle.logFilesMax,
      })
      shipment.watch = new LogWatch(logPath, written)
    }
    this.#shipments.set(containerId, shipment)
    return shipment
  }

  /** It has run: if its file is not where it was expected, it is looked for anew. Gives what is to be asked for. */
  #asItTurnedOut(shipment: Shipment, isLast = false): Shipment[] {
    const { handle, foretold } = shipment
    if (foretold === null) return []
    shipment.foretold = null
    if (handle.logPath === foretold && isReadable(foretold)) return []
    this.#forget(shipment)
    const anew = this.#newShipment(handle, isLast)
    return anew === null ? [] : [anew]
  }

  #ask(shipments: Shipment[]): void {
    if (this.#line === null) return
    const asked = shipments.filter(({ state }) => state === 'asking')
    if (asked.length === 0) return
    this.#line.sources(asked.map(({ handle: { containerId: container, task } }) => ({ container, task })))
  }

  #beginAt(shipment: Shipment, place: LogPlace | null): void {
    this.#nothingUnderWay(shipment)
    shipment.state = 'shipping'
    shipment.kept = place
    shipment.isMarked = true
    // What began as the Engine's stream goes on as that: the bytes of its file are others.
    if (shipment.spool instanceof LogSpool && place?.file === ENGINE_FILE && this.#needs.engineLogs !== undefined) {
      shipment.watch?.disarm()
      shipment.watch = null
      shipment.spool.close()
      shipment.spool = null
    }
    if (shipment.spool instanceof LogSpool) shipment.spool.rewind(place)
    else this.#openEngine(shipment)
  }

  #refused(shipment: Shipment): void {
    this.#nothingUnderWay(shipment)
    shipment.state = 'refused'
    this.#wakeWaiters(shipment)
    this.#forgetIfDone(shipment)
  }

  #openEngine(shipment: Shipment): void {
    const { engineLogs, notice, now } = this.#needs
    if (engineLogs === undefined) return
    shipment.spool?.close()
    shipment.openedPid = shipment.handle.pid
    shipment.retryAt = 0
    const spool = new EngineSpool(engineLogs, shipment.handle, shipment.kept, {
      ready: () => this.#written(shipment),
      ended: (error) => {
        if (shipment.spool !== spool) return
        shipment.isMarked = true
        this.#workSoon(0)
        if (error === undefined) return
        shipment.retryAt = now() + ENGINE_RETRY_MS
        if (!isUnreadable(error)) return
        shipment.state = 'refused'
        this.#wakeWaiters(shipment)
        const { task } = shipment.handle
        notice('log-not-kept', `nothing that ${task} writes is kept: ${error.message}`, task)
      },
    })
    shipment.spool = spool
  }

  /** The Engine's stream ends with each run of a container. */
  #openEngineAgain(shipment: Shipment): void {
    const { spool, state, handle, underWay, retryAt, openedPid } = shipment
    if (!(spool instanceof EngineSpool) || !spool.isEnded || state !== 'shipping') return
    if (handle.pid === 0 || (handle.pid === openedPid && retryAt === 0)) return
    if (underWay.length > 0 || shipment.isMarked || this.#needs.now() < retryAt) return
    this.#openEngine(shipment)
  }

  #forgetIfDone(shipment: Shipment): void {
    const { isGone, isMarked, underWay, state, spool } = shipment
    const isUnpacking = spool instanceof LogSpool && spool.isUnpacking
    const isDone = state === 'shipping' && !isMarked && underWay.length === 0 && !isUnpacking
    if (isGone && (state === 'refused' || isDone)) this.#forget(shipment)
  }

  #forget(shipment: Shipment): void {
    this.#nothingUnderWay(shipment)
    if (shipment.holdTimer !== null) clearTimeout(shipment.holdTimer)
    shipment.watch?.disarm()
    shipment.spool?.close()
    this.#wakeWaiters(shipment)
    this.#shipments.delete(shipment.handle.containerId)
  }

  // ---------------------------------------------------------------- rounds

  #written(shipment: Shipment): void {
    shipment.isMarked = true
    if (this.#maySend(shipment)) this.#workSoon(GATHER_MS)
    else this.#hold(shipment)
  }

  /** As it cannot be sent now: files are opened before the Engine throws them away, for as long as it writes. */
  #hold(shipment: Shipment): void {
    this.#look(shipment)
    this.#watchLater(shipment)
  }

  #watchLater(shipment: Shipment): void {
    const { watch } = shipment
    if (watch === null || watch.isArmed || shipment.holdTimer !== null) return
    shipment.holdTimer = setTimeout(() => {
      shipment.holdTimer = null
      // What came between the last look and the watch would not be told.
      watch.arm()
      if (watch.isArmed) this.#written(shipment)
    }, HOLD_MS)
    shipment.holdTimer.unref()
  }

  #poll(): void {
    this.#shareRoom()
    this.#polls = (this.#polls + 1) % POLLS_OF_WATCHED
    for (const shipment of this.#shipments.values()) {
      if (this.#polls !== 0 && shipment.watch?.isArmed) continue
      shipment.isMarked = true
      if (!this.#maySend(shipment)) this.#hold(shipment)
    }
    this.#workSoon(0)
  }

  #shareRoom(): void {
    const path = this.#shipments.values().find(({ spool }) => spool instanceof LogSpool)?.handle.logPath
    if (path) this.#heldBytesMax = heldBytesMaxOf(dirname(path), this.#shipments.size)
  }

  #maySend({ state, underWay }: Shipment): boolean {
    if (this.#line === null || !this.#line.hasRoom()) return false
    return state === 'shipping' && underWay.length < CONTAINER_BLOCKS_MAX && this.#blocksUnderWay < BLOCKS_MAX
  }

  #workSoon(delayMs: number): void {
    if (this.#isWorking || this.#workTimer !== null) return
    this.#workTimer = setTimeout(() => {
      this.#workTimer = null
      void this.#work()
    }, delayMs)
  }

  /** While the blocks of one round are packed, beside this thread, those of the next are read. */
  async #work(): Promise<void> {
    this.#isWorking = true
    try {
      let sending: Promise<void> | null = null
      for (;;) {
        const round = this.#takeRound()
        await sending
        if (round !== null) sending = this.#send(round)
        else if (sending === null) return
        else sending = null
      }
    } finally {
      this.#isWorking = false
    }
  }

  /** Null: there is nothing to send, or no room for it. */
  #takeRound(): Round | null {
    const line = this.#line
    const taken: Round['taken'] = []
    for (const shipment of [...this.#shipments.values()]) {
      if (taken.length >= ROUND_BLOCKS_MAX) break
      if (!shipment.isMarked) continue
      if (!this.#maySend(shipment)) {
        this.#hold(shipment)
        continue
      }
      const block = this.#take(shipment)
      if (block === null) this.#isAtEnd(shipment)
      else taken.push({ shipment, block })
    }
    if (taken.length === 0 || line === null) return null
    this.#noteInflow(taken)
    // Whoever was served goes behind the others, so that one that writes without end does not hold them up.
    for (const { shipment } of taken) {
      this.#shipments.delete(shipment.handle.containerId)
      this.#shipments.set(shipment.handle.containerId, shipment)
    }
    return {
      line,
      taken,
      packed: Promise.all(taken.map(({ shipment, block }) => this.#packed(shipment.handle, block))),
    }
  }

  #noteInflow(taken: Round['taken']): void {
    if (this.#inflow === null) return
    const bytes = taken.reduce((sum, { block }) => sum + block.bytes.length, 0)
    this.#inflow = inflowWith(this.#inflow, bytes, this.#needs.now())
    if (!isFlood(this.#inflow)) return
    this.#inflow = null
    this.#needs.flooded?.()
  }

  async #send({ line, taken, packed }: Round): Promise<void> {
    const blocks = await packed
    // A line that was lost meanwhile has taken the places with it.
    if (this.#line !== line) return
    const valid = blocks.filter((_, index) => {
      const { shipment, block } = taken[index]!
      return shipment.underWay.some(({ file, offset }) => file === block.file && offset === block.end)
    })
    if (valid.length > 0) line.blocks(valid)
  }

  #take(shipment: Shipment): SpoolBlock | null {
    const block = this.#reading(shipment, () => shipment.spool?.next() ?? null)
    if (block === null) return null
    shipment.underWay.push({ file: block.file, offset: block.end })
    this.#blocksUnderWay += 1
    return block
  }

  #look(shipment: Shipment): void {
    this.#reading(shipment, () => shipment.spool?.look())
  }

  /** A disk that gives an error is one container's trouble, told now and then; the next poll tries again. */
  #reading<Result>(shipment: Shipment, read: () => Result): Result | null {
    try {
      return read()
    } catch (error) {
      const { task } = shipment.handle
      const why = error instanceof Error ? error.message : String(error)
      this.#tellNowAndThen(shipment, 'log-not-read', `the log of ${task} cannot be read: ${why}; it is tried again`)
      return null
    }
  }

  #isAtEnd(shipment: Shipment): void {
    // What comes between the last look and the watch would not be told: hence one look more with the watch on.
    const wasArmed = shipment.watch === null || shipment.watch.isArmed
    if (!wasArmed && shipment.watch!.arm()) {
      this.#workSoonAfterRound()
      return
    }
    shipment.isMarked = false
    if (shipment.underWay.length === 0) this.#settledNow(shipment)
  }

  #workSoonAfterRound(): void {
    setImmediate(() => this.#workSoon(0))
  }

  async #packed({ containerId: container, task }: ContainerHandle, block: SpoolBlock): Promise<LogBlock> {
    const { file, offset, end, after, gap, bytes } = block
    const scanned = scanLines(bytes, this.#needs.now())
    const isWorth = bytes.length >= PACKED_BYTES_MIN
    const packed = isWorth ? await pack(bytes, PACKING) : bytes
    const encoding = isWorth ? 'zstd' : 'raw'
    return {
      head: { container, task, file, offset, end, after, ...scanned, gap, encoding, bytes: packed.length },
      bytes: packed,
    }
  }

  // ---------------------------------------------------------------- acknowledgements

  #kept(shipment: Shipment, place: LogPlace): void {
    const at = shipment.underWay.findIndex(({ file, offset }) => file === place.file && offset === place.offset)
    if (at < 0) return
    shipment.underWay.splice(0, at + 1)
    this.#blocksUnderWay -= at + 1
    shipment.kept = place
    if (shipment.spool instanceof LogSpool) shipment.spool.kept(place)
    if (shipment.underWay.length === 0 && !shipment.isMarked) this.#settledNow(shipment)
  }

  #settledNow(shipment: Shipment): void {
    const { spool, isGone } = shipment
    // Its stream tells the end of its lines; until then there may be some.
    if (isGone && spool instanceof EngineSpool && !spool.isEnded) return
    if (spool instanceof LogSpool && spool.isUnpacking) return
    this.#wakeWaiters(shipment)
    this.#forgetIfDone(shipment)
  }

  #wakeWaiters(shipment: Shipment): void {
    for (const wake of shipment.waiters.splice(0)) wake()
  }

  #nothingUnderWay(shipment: Shipment): void {
    this.#blocksUnderWay -= shipment.underWay.length
    shipment.underWay = []
  }

  #tellNowAndThen(shipment: Shipment, code: string, message: string): void {
    const now = this.#needs.now()
    if (now - shipment.toldAt < TELL_EVERY_MS) return
    shipment.toldAt = now
    this.#needs.notice(code, message, shipment.handle.task)
  }
}

/** What a log driver says that keeps nothing, as `none` does. */
function isUnreadable(error: Error): boolean {
  return /does not support reading|not supported for|configured logging driver/i.test(error.message)
}
