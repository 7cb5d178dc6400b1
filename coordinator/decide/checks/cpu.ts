import type { Check } from './check.ts'

/** What is promised on a node never exceeds its room. A task that is promised nothing fits anywhere. */
export const cpu: Check = ({ version }, { node, room, cpuCoresPromised }) => {
  const neededCores = version.spec.task.container.resources.reservation.cpuCores
  if (neededCores === 0) return null
  const freeCores = room.cpuCores - cpuCoresPromised
  if (neededCores <= freeCores + CORES_ROUNDING) return null
  return { node: node.name, check: 'cpu', figures: { neededCores, freeCores: Math.max(0, rounded(freeCores)) } }
}

/** Sums of fractions such as 0.1 are inexact. */
export const CORES_ROUNDING = 1e-6

function rounded(cores: number): number {
  return Math.round(cores * 1000) / 1000
}
