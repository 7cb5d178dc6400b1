import type { Check } from './check.ts'

/** What is promised on a node never exceeds its room on the disk of its Engine. A task that is promised nothing fits anywhere. */
export const disk: Check = ({ version }, { node, room, diskBytesPromised }) => {
  const neededBytes = version.spec.task.container.resources.reservation.diskBytes ?? 0
  if (neededBytes === 0) return null
  const freeBytes = room.diskBytes - diskBytesPromised
  if (neededBytes <= freeBytes) return null
  return { node: node.name, check: 'disk', figures: { neededBytes, freeBytes: Math.max(0, freeBytes) } }
}
