/** How much room the log files of a host may take that the Engine has thrown away and that are held for the lines in them. */
import { statfsSync } from 'node:fs'

/** A minute of 50 MB/s. */
export const HOST_HELD_BYTES_MAX = 4 * 1024 ** 3
/** What has lost its name takes room all the same: of what is free on that disk never more than this part. */
const FREE_SHARE_MAX = 0.25

/** For each of so many containers whose logs are on the disk of `dir`, in bytes. */
export function heldBytesMaxOf(dir: string, containers: number): number {
  return Math.min(HOST_HELD_BYTES_MAX, freeBytesAt(dir) * FREE_SHARE_MAX) / Math.max(1, containers)
}

function freeBytesAt(dir: string): number {
  try {
    const { bavail, bsize } = statfsSync(dir)
    return bavail * bsize
  } catch {
    // Its container has gone meanwhile.
    return Number.POSITIVE_INFINITY
  }
}
