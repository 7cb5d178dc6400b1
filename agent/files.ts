/** The agent's own folder on its host's disk, as the supervisor uses it; a simulation brings a disk of its own. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivateFolder, readPrivateFile, removePrivateFile, writePrivateFile } from '../shared/private-file.ts'

export interface AgentFiles {
  /** For people: where the file is. */
  pathOf(name: string): string
  /** The folder exists and is private once it resolves. */
  make(): Promise<void>
  /** Null: there is none. */
  read(name: string): Promise<string | null>
  /** In one step; on disk once it resolves. */
  replace(name: string, text: string): Promise<void>
  /** Harmless when there is none; durable once it resolves. */
  remove(name: string): Promise<void>
  readNow(name: string): string | null
  /** Whole, and safe from the end of this process, though not yet from a power cut: quick enough to stand before a restart. */
  replaceNow(name: string, text: string): void
  /** What `replaceNow` wrote is on disk. */
  flushNow(name: string): void
}

const MODE = 0o600

export function filesIn(dir: string): AgentFiles {
  const pathOf = (name: string) => join(dir, name)
  return {
    pathOf,
    make: () => makePrivateFolder(dir),
    read: (name) => readPrivateFile(pathOf(name)),
    replace: (name, text) => writePrivateFile(pathOf(name), text),
    remove: (name) => removePrivateFile(pathOf(name)),
    readNow(name) {
      try {
        return readFileSync(pathOf(name), 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
    },
    replaceNow(name, text) {
      const beside = `${pathOf(name)}.new`
      writeFileSync(beside, text, { mode: MODE })
      renameSync(beside, pathOf(name))
    },
    flushNow(name) {
      const file = openSync(pathOf(name), 'r')
      try {
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
    },
  }
}
