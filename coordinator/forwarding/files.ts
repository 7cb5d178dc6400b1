/** What forwarding keeps on disk, in a private folder: the targets, with their secrets, and of each its position. */
import { join } from 'node:path'
import { BerthError } from '../../shared/errors.ts'
import type { ForwardingConfig } from '../../shared/forwarding/config.ts'
import { makePrivateFolder, readPrivateFile, removePrivateFile, writePrivateFile } from '../../shared/private-file.ts'
import type { Position } from './position.ts'

export type ForwardingFiles = Awaited<ReturnType<typeof openForwardingFiles>>

/** @throws BerthError `failed` when a file is damaged */
export async function openForwardingFiles(dir: string) {
  await makePrivateFolder(dir)
  const configPath = join(dir, 'config.json')
  // A target's name fits into the name of a file.
  const positionPath = (target: string) => join(dir, `position-${target}.json`)
  return {
    config: (await readJson<ForwardingConfig>(configPath)) ?? { targets: [] },
    writeConfig: (config: ForwardingConfig) => writePrivateFile(configPath, JSON.stringify(config)),
    /** Null: it has none yet. */
    readPosition: (target: string) => readJson<Position>(positionPath(target)),
    writePosition: (target: string, position: Position) =>
      writePrivateFile(positionPath(target), JSON.stringify(position)),
    removePosition: (target: string) => removePrivateFile(positionPath(target)),
  }
}

async function readJson<Value>(path: string): Promise<Value | null> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  try {
    return JSON.parse(text) as Value
  } catch (cause) {
    const message = `${path} is damaged: restore it from a backup, or remove it to begin anew`
    throw new BerthError('failed', message, { cause })
  }
}
