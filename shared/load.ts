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

/** What moves slowly or is seldom asked for: told in every few samples, the last told counts meanwhile. */
export const HostDetail = Type.Object({
  /** Cores in each mode: nice is user's, interrupts are system's. */
  cpuCoresUser: Amount,
  cpuCoresSystem: Amount,
  cpuCoresIowait: Amount,
  cpuCoresSteal: Amount,
  loadAverage5m: Amount,
  loadAverage15m: Amount,
  swapBytesUsed: Amount,
  swapBytesTotal: Amount,
  uptimeSeconds: Amount,
})
export type HostDetail = Static<typeof HostDetail>

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
  detail: Type.Optional(HostDetail),
})
export type HostLoad = Static<typeof HostLoad>

/** Why a container is sampled as often as it is, the most telling first; see agent/decide/sampling.ts. */
export const PACE_REASONS = [
  'stopping',
  'unhealthy',
  'restarted',
  'starting',
  'rollout',
  'near-limit',
  'throttled',
  'changing',
  'first-look',
  'settling',
  'calm',
] as const
export const PaceReason = Type.Enum([...PACE_REASONS])
export type PaceReason = Static<typeof PaceReason>

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
  blockReadBytesPerSecond: Type.Optional(Amount),
  blockWriteBytesPerSecond: Type.Optional(Amount),
  /** Of its processes, killed for lack of memory in this attempt. */
  oomKills: Type.Optional(Amount),
  /** How long its latest health test took: of probes the last one, of the Engine's healthchecks the one at the last look at it. */
  healthCheckMs: Type.Optional(Amount),
  /** How often it is sampled, and why. Absent from agents of earlier builds, which sample all once a second. */
  sampledEveryMs: Type.Optional(Amount),
  sampledBecause: Type.Optional(PaceReason),
  /** How often it would be, were there not so many on its host; absent: as often as it is. */
  sampledWantedMs: Type.Optional(Amount),
})
export type ContainerLoad = Static<typeof ContainerLoad>
