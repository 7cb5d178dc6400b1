/** Files that hold keys or tokens: only their owner may read them, and a crash leaves the old content or the new, never half. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Makes the folder, or takes group and others out of one that is there. */
export async function makePrivateFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await chmod(dir, 0o700)
}

/** The file's text, or null when there is none. */
export async function readPrivateFile(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

/** What a crash while a file was being replaced leaves beside it. */
export const isLeftOver = (name: string): boolean => /\.[0-9a-f]{8}\.new$/.test(name)

/** Replaces the file in one step, mode 0600; on disk once it resolves. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const next = `${path}.${randomBytes(4).toString('hex')}.new`
  try {
    await writeThrough(next, text)
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Harmless when there is none; off the disk once it resolves. */
export async function removePrivateFile(path: string): Promise<void> {
  await rm(path, { force: true })
  await syncFolder(dirname(path))
}

async function writeThrough(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A rename is only durable once its folder is. */
export async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
