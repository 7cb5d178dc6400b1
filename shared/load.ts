/** What was measured. Rates are over the time since the sample before. */
import Type, { type Static } from './schema.ts'

const Amount = Type.Number({ minimum: 0 })

/** Pressure stall information: share of the last 10 s, 0 to 100, in which some (all) tasks waited. Absent where the kernel has none. */
export const Pressure = Type.Object({
  cpuSome: Amount,
  memorySome: Amount,
  memoryFull: Amount,
  ioSome: Amount,
  ioFull: Amount,
})
export type Pressure = Static<typeof Pressure>

export const HostLoad = Type.Object({
  /** Cores in use, 0 to the number of cores. */
  cpuCoresUsed: Amount,
  memoryBytesUsed: Amount,
  memoryBytesTotal: Amount,
  loadAverage1m: Amount,
  pressure: Type.Optional(Pressure),
  diskBytesUsed: Amount,
  diskBytesTotal: Amount,
  diskReadBytesPerSecond: Amount,
  diskWriteBytesPerSecond: Amount,
  networkReceiveBytesPerSecond: Amount,
  networkSendBytesPerSecond: Amount,
})
export type HostLoad = Static<typeof HostLoad>

export const ContainerLoad = Type.Object({
  task: Type.String(),
  cpuCoresUsed: Amount,
  /** Share of periods in which the CPU limit throttled it, 0 to 1. */
  cpuThrottledShare: Type.Optional(Amount),
  memoryBytesUsed: Amount,
  memoryBytesLimit: Type.Optional(Amount),
  networkReceiveBytesPerSecond: Type.Optional(Amount),
  networkSendBytesPerSecond: Type.Optional(Amount),
  processes: Type.Optional(Amount),
})
export type ContainerLoad = Static<typeof ContainerLoad>
