/** A container's log and what the Engine has rotated away of it: `path` is the newest, then `path.1`, `path.2` and so on. */
import { lstatSync } from 'node:fs'

export type RotatedFile = { path: string; inode: number; sizeBytes: number; modifiedAtMs: number }

/** The Engine keeps as many as `max-file` says; nobody means more than this. */
const ROTATED_FILES_MAX = 100

/**
 * Newest first. The list ends where a file is missing: compressed ones (`.gz`) are not read. Renaming may go on meanwhile, so
 * a file is known by its inode and not by its name. What is no plain file, such as a link to one of the host's, is as good as missing.
 */
export function rotatedFiles(path: string): RotatedFile[] {
  const files: RotatedFile[] = []
  for (let number = 0; number < ROTATED_FILES_MAX; number++) {
    const name = number === 0 ? path : `${path}.${number}`
    const stat = lstatSync(name, { throwIfNoEntry: false })
    if (!stat?.isFile()) {
      // Between renaming and making anew there is no newest one, but there are older ones.
      if (number === 0) continue
      break
    }
    if (files.at(-1)?.inode === stat.ino) continue
    files.push({ path: name, inode: stat.ino, sizeBytes: stat.size, modifiedAtMs: stat.mtimeMs })
  }
  return files
}

/** The one that continues where the file with this inode ended. When that one is gone, the oldest left; null: there is none. */
export function fileAfter(files: RotatedFile[], inode: number): RotatedFile | null {
  const at = files.findIndex((file) => file.inode === inode)
  return (at < 0 ? files.at(-1) : files[at - 1]) ?? null
}
