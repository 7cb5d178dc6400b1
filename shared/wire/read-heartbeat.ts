/**
 * The one message that comes all the time, read in one pass. A fleet sends a heartbeat per agent and second; skimming,
 * building and checking it one after the other costs the coordinator several times what this does. Whatever is not a
 * heartbeat as our agents write it (its own members only, numbers as msgpackr has them, ids in ASCII) is left to the general
 * way, which knows every form and says what is wrong. So nothing is refused here: it is read, or passed on.
 */
import {
  type ContainerLoad,
  type HostDetail,
  type HostLoad,
  PACE_REASONS,
  type PaceReason,
  type Pressure,
} from '../load.ts'
import type { Heartbeat } from './up.ts'

/** What `decodeUp` would give for it; null when it is to be read in the general way. Never throws. */
export function readHeartbeat(bytes: Uint8Array): Heartbeat | null {
  if (!begins(bytes)) return null
  frame = bytes
  at = BEGINNING.length
  isOdd = false
  const heartbeat = heartbeatHere()
  const isWhole = !isOdd && at === frame.length
  frame = NOTHING
  return isWhole ? heartbeat : null
}

/** A map of six whose first member is `kind: heartbeat`. */
const BEGINNING = Buffer.from('\x86\xa4kind\xa9heartbeat', 'latin1')

function begins(bytes: Uint8Array): boolean {
  if (bytes.length < BEGINNING.length) return false
  for (let i = 0; i < BEGINNING.length; i++) if (bytes[i] !== BEGINNING[i]) return false
  return true
}

// ---------------------------------------------------------------- the message

function heartbeatHere(): Heartbeat {
  let load: HostLoad = NO_LOAD
  let containers: ContainerLoad[] = NO_CONTAINERS
  const { amounts } = MESSAGE
  const seen = eachMember(MESSAGE, 5, (member) => {
    if (member === LOAD) load = loadHere()
    else if (member === CONTAINERS) containers = containersHere()
    else amounts[member] = amount()
  })
  const [sequence, sentAt, revision] = amounts as unknown as [number, number, number]
  if (seen !== 0b11111 || !Number.isInteger(sequence) || !Number.isInteger(revision)) isOdd = true
  return { kind: 'heartbeat', sequence, at: sentAt, revision, load, containers }
}

function loadHere(): HostLoad {
  let pressure: Pressure | undefined
  let detail: HostDetail | undefined
  const { amounts } = HOST
  const seen = eachMember(HOST, mapSize(), (member) => {
    if (member === PRESSURE) pressure = pressureHere()
    else if (member === DETAIL) detail = detailHere()
    else amounts[member] = amount()
  })
  if ((seen & ~((1 << PRESSURE) | (1 << DETAIL))) !== (1 << PRESSURE) - 1) isOdd = true
  const load: HostLoad = {
    cpuCoresUsed: amounts[0]!,
    memoryBytesUsed: amounts[1]!,
    memoryBytesTotal: amounts[2]!,
    loadAverage1m: amounts[3]!,
    diskBytesUsed: amounts[4]!,
    diskBytesTotal: amounts[5]!,
    diskReadBytesPerSecond: amounts[6]!,
    diskWriteBytesPerSecond: amounts[7]!,
    networkReceiveBytesPerSecond: amounts[8]!,
    networkSendBytesPerSecond: amounts[9]!,
  }
  if (pressure !== undefined) load.pressure = pressure
  if (detail !== undefined) load.detail = detail
  return load
}

function detailHere(): HostDetail {
  const { amounts } = DETAILS
  const seen = eachMember(DETAILS, mapSize(), (member) => {
    amounts[member] = amount()
  })
  if (seen !== 0b1_1111_1111) isOdd = true
  return {
    cpuCoresUser: amounts[0]!,
    cpuCoresSystem: amounts[1]!,
    cpuCoresIowait: amounts[2]!,
    cpuCoresSteal: amounts[3]!,
    loadAverage5m: amounts[4]!,
    loadAverage15m: amounts[5]!,
    swapBytesUsed: amounts[6]!,
    swapBytesTotal: amounts[7]!,
    uptimeSeconds: amounts[8]!,
  }
}

function pressureHere(): Pressure {
  const { amounts } = PRESSURES
  const seen = eachMember(PRESSURES, mapSize(), (member) => {
    amounts[member] = amount()
  })
  if (seen !== 0b11111) isOdd = true
  return {
    cpuSome: amounts[0]!,
    memorySome: amounts[1]!,
    memoryFull: amounts[2]!,
    ioSome: amounts[3]!,
    ioFull: amounts[4]!,
  }
}

function containersHere(): ContainerLoad[] {
  const length = arraySize()
  if (length === 0) return NO_CONTAINERS
  const containers: ContainerLoad[] = []
  // A length that cannot be there ends at the first container that is not.
  for (let i = 0; i < length && !isOdd; i++) containers.push(containerHere())
  return containers
}

function containerHere(): ContainerLoad {
  let task = ''
  let because: PaceReason = 'calm'
  const { amounts } = CONTAINER
  const seen = eachMember(CONTAINER, mapSize(), (member) => {
    if (member === TASK) task = text()
    else if (member === SAMPLED_BECAUSE) because = paceReason()
    else amounts[member] = amount()
  })
  if ((seen & 0b111) !== 0b111) isOdd = true
  const load: ContainerLoad = { task, cpuCoresUsed: amounts[1]!, memoryBytesUsed: amounts[2]! }
  if (seen === 0b111) return load
  if (seen & (1 << 3)) load.cpuThrottledShare = amounts[3]!
  if (seen & (1 << 4)) load.memoryBytesLimit = amounts[4]!
  if (seen & (1 << 5)) load.networkReceiveBytesPerSecond = amounts[5]!
  if (seen & (1 << 6)) load.networkSendBytesPerSecond = amounts[6]!
  if (seen & (1 << 7)) load.processes = amounts[7]!
  if (seen & (1 << 8)) load.blockReadBytesPerSecond = amounts[8]!
  if (seen & (1 << 9)) load.blockWriteBytesPerSecond = amounts[9]!
  if (seen & (1 << 10)) load.oomKills = amounts[10]!
  if (seen & (1 << 11)) load.healthCheckMs = amounts[11]!
  if (seen & (1 << SAMPLED_EVERY_MS)) load.sampledEveryMs = amounts[SAMPLED_EVERY_MS]!
  if (seen & (1 << SAMPLED_BECAUSE)) load.sampledBecause = because
  if (seen & (1 << SAMPLED_WANTED_MS)) load.sampledWantedMs = amounts[SAMPLED_WANTED_MS]!
  return load
}

// ---------------------------------------------------------------- members, in whatever order

/**
 * The members of a map: their keys as they stand in a frame, room for their numbers, and which followed which in the frame
 * before. Agents write them always in one order, so the first guess is right.
 */
type Shape = { keys: Buffer[]; amounts: Float64Array; after: number[] }

function shapeOf(...names: string[]): Shape {
  return {
    // A short string: one byte with its length, then its text.
    keys: names.map((name) => Buffer.from(`${String.fromCharCode(0xa0 + name.length)}${name}`, 'latin1')),
    amounts: new Float64Array(names.length),
    after: [...names.map((_, index) => index + 1), 0],
  }
}

const MESSAGE = shapeOf('sequence', 'at', 'revision', 'load', 'containers')
const LOAD = 3
const CONTAINERS = 4
const HOST = shapeOf(
  'cpuCoresUsed',
  'memoryBytesUsed',
  'memoryBytesTotal',
  'loadAverage1m',
  'diskBytesUsed',
  'diskBytesTotal',
  'diskReadBytesPerSecond',
  'diskWriteBytesPerSecond',
  'networkReceiveBytesPerSecond',
  'networkSendBytesPerSecond',
  'pressure',
  'detail',
)
const PRESSURE = 10
const DETAIL = 11
const DETAILS = shapeOf(
  'cpuCoresUser',
  'cpuCoresSystem',
  'cpuCoresIowait',
  'cpuCoresSteal',
  'loadAverage5m',
  'loadAverage15m',
  'swapBytesUsed',
  'swapBytesTotal',
  'uptimeSeconds',
)
const PRESSURES = shapeOf('cpuSome', 'memorySome', 'memoryFull', 'ioSome', 'ioFull')
const CONTAINER = shapeOf(
  'task',
  'cpuCoresUsed',
  'memoryBytesUsed',
  'cpuThrottledShare',
  'memoryBytesLimit',
  'networkReceiveBytesPerSecond',
  'networkSendBytesPerSecond',
  'processes',
  'blockReadBytesPerSecond',
  'blockWriteBytesPerSecond',
  'oomKills',
  'healthCheckMs',
  'sampledEveryMs',
  'sampledBecause',
  'sampledWantedMs',
)
const TASK = 0
/** The last three, whatever comes to stand before them. */
const SAMPLED_EVERY_MS = CONTAINER.keys.length - 3
const SAMPLED_BECAUSE = SAMPLED_EVERY_MS + 1
const SAMPLED_WANTED_MS = SAMPLED_EVERY_MS + 2

/** Calls for each of the map's members, with its place in the shape; gives the set of those places as bits. */
function eachMember(shape: Shape, members: number, read: (member: number) => void): number {
  let seen = 0
  let last = shape.keys.length
  for (let i = 0; i < members && !isOdd; i++) {
    const member = memberHere(shape, last)
    if (member < 0 || seen & (1 << member)) {
      isOdd = true
      return seen
    }
    seen |= 1 << member
    last = member
    read(member)
  }
  return seen
}

function memberHere(shape: Shape, last: number): number {
  const { keys, after } = shape
  const guess = after[last]!
  const found = guess < keys.length && isNext(keys[guess]!) ? guess : keys.findIndex(isNext)
  if (found < 0) return found
  after[last] = found
  at += keys[found]!.length
  return found
}

function isNext(key: Buffer): boolean {
  for (let i = 0; i < key.length; i++) if (frame[at + i] !== key[i]) return false
  return true
}

// ---------------------------------------------------------------- values

/** One frame is read at a time, so where we are in it need not be handed through every call. */
const NOTHING = new Uint8Array(0)
let frame: Uint8Array = NOTHING
let at = 0
/** Something is not as our agents write it: what is read from there on counts for nothing. */
let isOdd = false

const NO_CONTAINERS: ContainerLoad[] = []
const NO_LOAD: HostLoad = {
  cpuCoresUsed: 0,
  memoryBytesUsed: 0,
  memoryBytesTotal: 0,
  loadAverage1m: 0,
  diskBytesUsed: 0,
  diskBytesTotal: 0,
  diskReadBytesPerSecond: 0,
  diskWriteBytesPerSecond: 0,
  networkReceiveBytesPerSecond: 0,
  networkSendBytesPerSecond: 0,
}

function mapSize(): number {
  const token = frame[at++]!
  return token >= 0x80 && token <= 0x8f ? token - 0x80 : odd()
}

function arraySize(): number {
  const token = frame[at++]!
  if (token >= 0x90 && token <= 0x9f) return token - 0x90
  return token === 0xdc ? unsigned(2) : odd()
}

function text(): string {
  const token = frame[at++]!
  const length = token >= 0xa0 && token <= 0xbf ? token - 0xa0 : token === 0xd9 ? unsigned(1) : odd()
  const begin = at
  at += length
  for (let i = begin; i < at; i++) if (!(frame[i]! < 0x80)) isOdd = true
  return isOdd ? '' : latin1Slice.call(frame, begin, at)
}

/** What is none of them is left to the general way, which says so. */
function paceReason(): PaceReason {
  const said = text()
  const found = PACE_REASONS.find((reason) => reason === said)
  if (found === undefined) odd()
  return found ?? 'calm'
}

const { latin1Slice } = Buffer.prototype

/** A finite number that is not negative. */
function amount(): number {
  const token = frame[at++]!
  if (token <= 0x7f) return token
  if (token === 0xcb) return double()
  if (token === 0xcc) return unsigned(1)
  if (token === 0xcd) return unsigned(2)
  return token === 0xce ? unsigned(4) : odd()
}

function unsigned(width: number): number {
  if (at + width > frame.length) return odd()
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + frame[at++]!
  return value
}

function double(): number {
  if (at + 8 > frame.length) return odd()
  for (let i = 7; i >= 0; i--) doubleBytes[i] = frame[at++]!
  const value = asDouble[0]!
  return value >= 0 && value < Number.POSITIVE_INFINITY ? value : odd()
}

/** Little-endian, as every machine that Node runs on is. */
const asDouble = new Float64Array(1)
const doubleBytes = new Uint8Array(asDouble.buffer)

function odd(): number {
  isOdd = true
  return 0
}
