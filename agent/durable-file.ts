/** Files that are whole or not there, whatever moment the power goes: written beside, flushed, then renamed over. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

const MODE = 0o600

/** Durable when it resolves: content and name are on the disk. Callers see to it that no two writes to one path overlap. */
export async function writeDurably(path: string, content: string): Promise<void> {
  const beside = `${path}.new`
  const file = await open(beside, 'w', MODE)
  try {
    await file.writeFile(content)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(beside, path)
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Whole, and safe from the end of this process, though not from a power cut: quick enough to stand before a restart. */
export function writeWhole(path: string, content: string): void {
  const beside = `${path}.new`
  writeFileSync(beside, content, { mode: MODE })
  renameSync(beside, path)
}

/** Makes the folder for the agent's own eyes. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/** Flushes what `writeWhole` wrote. */
export function flush(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
