/** Log files as the Engine writes and rotates them, full of lines as services print them. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export type LogFiles = { paths: string[]; bytes: number; lines: number }

const START_MS = Date.parse('2026-11-26T00:00:00Z')
const PATHS = ['/api/orders', '/api/users', '/healthz', '/api/orders/items', '/static/app.js', '/login']
const CHUNK_LINES = 5_000

/** `files` logs of `rotations` files each, the newest without a number, of about `bytesEach`. */
export function writeLogFiles(dir: string, files: number, rotations: number, bytesEach: number): LogFiles {
  let [bytes, lines] = [0, 0]
  const chance = chances()
  const paths = Array.from({ length: files }, (_, file) => {
    const path = join(dir, String(file + 1), 'json.log')
    mkdirSync(join(path, '..'), { recursive: true })
    let ms = START_MS
    for (let number = rotations - 1; number >= 0; number--) {
      const descriptor = openSync(number === 0 ? path : `${path}.${number}`, 'w')
      for (let size = 0; size < bytesEach; ) {
        let text = ''
        for (let line = 0; line < CHUNK_LINES; line++) text += `${lineOf(ms++, lines + line, chance)}\n`
        size += writeSync(descriptor, text)
        lines += CHUNK_LINES
        bytes += text.length
      }
      closeSync(descriptor)
    }
    return path
  })
  return { paths, bytes, lines }
}

/** The same numbers each time. */
export function chances(): () => number {
  let seed = 1
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed
  }
}

function lineOf(ms: number, number: number, chance: () => number): string {
  const time = new Date(ms).toISOString().replace('Z', `${String(chance() % 1_000_000).padStart(6, '0')}Z`)
  return JSON.stringify({ log: `${textOf(number, chance)}\n`, stream: 'stdout', time })
}

/** What a service prints. Every request has an id that no other has; one line in a million holds the rare word. */
export function textOf(number: number, chance: () => number): string {
  const path = PATHS[chance() % PATHS.length]
  const id = chance().toString(16).padStart(8, '0') + chance().toString(16).padStart(8, '0')
  const rare = number % 1_000_000 === 7 ? ' zebrafish' : ''
  return `INFO GET ${path} ${200 + (chance() % 5)} ${chance() % 900}ms request=${id} user=${chance() % 50_000}${rare}`
}
