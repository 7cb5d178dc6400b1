/** One archive of sources, packages and Node: the same content gives the same bytes. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

/** Nothing at run time reads these. */
const LEFT_OUT = ['*.d.ts', '*.d.mts', '*.d.cts', '*.map', '*.tsbuildinfo']
/** Above this it takes twice the time to save a tenth of the size. */
const GZIP_LEVEL = 5
const STDERR_CHARS_KEPT = 2000

/** Node for `arch` (`x64`, `arm64`), relative to `root`: of a release, or of a checkout. Null when there is none. */
export function nodeFor(root: string, arch: string): string | null {
  const ours = process.arch === arch ? ['runtime/node'] : []
  const found = [...ours, `node_modules/node-linux-${arch}/bin/node`].find((path) => existsSync(join(root, path)))
  return found ?? null
}

/** Writes `paths` (files and folders below `root`) and `node`, as `runtime/node`, to the .tar.gz `to`. */
export async function archive(root: string, node: string, paths: string[], to: string): Promise<void> {
  const tar = spawn(
    'tar',
    [
      ...['-C', root, '--create', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'],
      ...['--mode=u+rwX,go+rX,go-w', ...LEFT_OUT.map((pattern) => `--exclude=${pattern}`)],
      ...[`--transform=s,^${node}$,runtime/node,`, '--', node, ...paths],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  tar.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-STDERR_CHARS_KEPT)
  })
  const ended = new Promise<void>((resolve, reject) => {
    tar.on('error', reject)
    tar.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`tar exited ${code}: ${said}`))))
  })
  const written = pipeline(tar.stdout, createGzip({ level: GZIP_LEVEL }), createWriteStream(to, { mode: 0o600 }))
  await Promise.all([written, ended])
}

/** SHA-256 of a file, hex. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
