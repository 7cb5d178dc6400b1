/** What stands in the log files of an Engine, beside what of it is kept: where the Engine itself was killed, only these tell what it had written. */
import { createHash } from 'node:crypto'
import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { LineJoiner, parseJsonLog } from '../../shared/json-log.ts'

/** Lines by their number, and what they are, in order. */
export type Digest = { lines: number; sha256: string }

export async function digestOf(texts: AsyncIterable<string>): Promise<Digest> {
  const hash = createHash('sha256')
  let lines = 0
  for await (const text of texts) {
    hash.update(text).update('\n')
    lines += 1
  }
  return { lines, sha256: hash.digest('hex') }
}

/** Of the only container that has logs there, the oldest file first. @throws Error for none or several */
export async function* textsInFiles(dataDir: string): AsyncGenerator<string> {
  const containers = readdirSync(join(dataDir, 'containers'))
  if (containers.length !== 1) throw new Error(`the Engine has ${containers.length} containers, not one`)
  const [container] = containers as [string]
  const dir = join(dataDir, 'containers', container)
  const numberOf = (name: string) => Number(/\.log\.(\d+)$/.exec(name)?.[1] ?? 0)
  const names = readdirSync(dir).filter((name) => name.startsWith(`${container}-json.log`))
  const joiner = new LineJoiner('proof')
  for (const name of names.toSorted((a, b) => numberOf(b) - numberOf(a))) {
    for await (const text of createInterface({ input: createReadStream(join(dir, name)) })) {
      const piece = parseJsonLog(text)
      const line = piece && joiner.add(piece)
      if (line !== null) yield line.text
    }
  }
  for (const { text } of joiner.takeBegun()) yield text
}
