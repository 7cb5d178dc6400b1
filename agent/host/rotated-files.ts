/** A container's log and what the Engine has rotated away of it: `path` is the newest, then `path.1`, `path.2` and so on. */
import { lstatSync, type Stats } from 'node:fs'

/** `isPacked`: the Engine has compressed it (`compress: true`) into a file of another inode, `path.1.gz`. */
export type RotatedFile = { path: string; inode: number; sizeBytes: number; modifiedAtMs: number; isPacked: boolean }

/** The Engine keeps as many as `max-file` says; nobody means more than this. */
const ROTATED_FILES_MAX = 100

/**
 * Those that are not compressed, newest first. Renaming may go on meanwhile, so a file is known by its inode and not by its name.
 * What is no plain file, such as a link to one of the host's, is as good as missing.
 */
export function rotatedFiles(path: string): RotatedFile[] {
  return filesOf(path, false)
}

/** All of them, newest first. */
export function rotatedAndPackedFiles(path: string): RotatedFile[] {
  return filesOf(path, true)
}

/** Between two renamings one number is missing, but never two. */
function filesOf(path: string, withPacked: boolean): RotatedFile[] {
  const files: RotatedFile[] = []
  let wasMissing = false
  for (let number = 0; number < ROTATED_FILES_MAX; number++) {
    const name = number === 0 ? path : `${path}.${number}`
    // The packed one is whole once the other has gone: hence in this order.
    const file = fileAt(name, false) ?? (withPacked && number > 0 ? fileAt(`${name}.gz`, true) : null)
    if (file === null && wasMissing) break
    wasMissing = file === null
    if (file !== null && files.at(-1)?.inode !== file.inode) files.push(file)
  }
  return files
}

function fileAt(path: string, isPacked: boolean): RotatedFile | null {
  const stat: Stats | undefined = lstatSync(path, { throwIfNoEntry: false })
  if (!stat?.isFile()) return null
  return { path, inode: stat.ino, sizeBytes: stat.size, modifiedAtMs: stat.mtimeMs, isPacked }
}

/** The one that continues where the file with this inode ended. When that one is gone, the oldest left; null: there is none. */
export function fileAfter(files: RotatedFile[], inode: number): RotatedFile | null {
  const at = files.findIndex((file) => file.inode === inode)
  return (at < 0 ? files.at(-1) : files[at - 1]) ?? null
}
