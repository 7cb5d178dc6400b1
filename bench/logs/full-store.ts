/** A log store that is filled as agents fill it, without agents: the same blocks again and again, each time of other containers. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { type ScannedLines, scanLines } from '../../agent/host/scan-lines.ts'
import { LogStore } from '../../coordinator/logs/log-store.ts'
import { LOG_BLOCK_BYTES_MAX, type LogBlock } from '../../shared/wire/log-block.ts'

const pack = promisify(zstdCompress)
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const SILENT = { debug() {}, info() {}, warn() {}, error: (_: object, text: string) => console.error(text) }
const NEWLINE = 10
const NEVER_MS = 1e15

type Packed = { scanned: ScannedLines; offset: number; end: number; bytes: Uint8Array }

/** Keeps what is in the files at `paths`, each of one container, as often as it takes for `bytes` of lines. Gives how many there are. */
export async function fillStore(dir: string, service: string, paths: string[], bytes: number): Promise<number> {
  const files = await Promise.all(paths.map(packedBlocks))
  const options = { dir, bytesMax: Number.MAX_SAFE_INTEGER, ageMaxMs: NEVER_MS, now: Date.now, log: SILENT }
  const store = new LogStore(options)
  let kept = 0
  for (let round = 0; kept < bytes; round++) {
    for (let number = 0; files.some((file) => number < file.length); number++) {
      for (const [index, file] of files.entries()) {
        const packed = file[number]
        if (packed === undefined) continue
        const task = `${service}.${index + 1}`
        const block = blockOf(packed, `${round}-${index}`, task)
        while (store.take(block, { service, name: task, node: 'node' }) === 'full') await sleep(1)
        kept += packed.end - packed.offset
      }
    }
  }
  await store.close()
  return kept
}

function blockOf({ scanned, offset, end, bytes }: Packed, container: string, task: string): LogBlock {
  const file = 'file'
  const after = offset === 0 ? null : { file, offset }
  const head = { container, task, file, offset, end, after, ...scanned, gap: false, encoding: 'zstd' as const }
  return { head: { ...head, bytes: bytes.length }, bytes }
}

async function packedBlocks(path: string): Promise<Packed[]> {
  const all = readFileSync(path)
  const blocks: Packed[] = []
  for (let offset = 0; offset < all.length; ) {
    const end = all.lastIndexOf(NEWLINE, offset + LOG_BLOCK_BYTES_MAX - 1) + 1
    const lines = all.subarray(offset, end)
    blocks.push({ scanned: scanLines(lines, 0), offset, end, bytes: await pack(lines, LEVEL) })
    offset = end
  }
  return blocks
}
