import type { Check } from './check.ts'

/** What is promised on a node never exceeds its room. A task that is promised nothing fits anywhere. */
export const memory: Check = ({ version }, { node, room, memoryBytesPromised }) => {
  const neededBytes = version.spec.task.container.resources.reservation.memoryBytes
  if (neededBytes === 0) return null
  const freeBytes = room.memoryBytes - memoryBytesPromised
  if (neededBytes <= freeBytes) return null
  return { node: node.name, check: 'memory', figures: { neededBytes, freeBytes: Math.max(0, freeBytes) } }
}
