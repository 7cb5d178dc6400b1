/**
 * Small images made on the spot from Debian's busybox-static, so that tests need no image registry. They are made once,
 * kept as one archive, and loaded into every engine: the same ids everywhere, about 0.3 s per engine.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from './hosts.ts'
import { must } from './processes.ts'
import { CACHE_DIR } from './slots.ts'

/** busybox with all its commands; give a command, e.g. `sleep 100000`. Without one it sleeps, and stops at once when told to. */
export const BUSYBOX = 'bb:1'
/** The same content under another name: a rollout from one to the other changes only the image. */
export const BUSYBOX_2 = 'bb:2'
/** Serves /www on port $PORT (8080); the page says `Hello from Berth`. Stops at once when told to. */
export const HELLO = 'berth/hello:1'
/** The page says `Hello again`. */
export const HELLO_2 = 'berth/hello:2'
/** Healthy from the start for as long as no file /tmp/sick exists; asked every 500 ms. */
export const HEALTHY = 'bb:healthy'
/** Never becomes healthy: fails its check every 500 ms, three times. */
export const SICK = 'bb:sick'
/** Writes "about to fail" and exits with 3 after a moment. */
export const FAILING = 'bb:failing'

export const IMAGES = [BUSYBOX, BUSYBOX_2, HELLO, HELLO_2, HEALTHY, SICK, FAILING]

const MAKE_HELLO = join(import.meta.dirname, '../../examples/hello/make-image.sh')
const SLEEP = `["/bin/sh","-c","trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done"]`
const CHECK_EVERY = 'HEALTHCHECK --interval=500ms --timeout=2s --retries=3'

/** Each made from berth/hello:1 by the changes named. */
const VARIANTS: Record<string, string[]> = {
  [BUSYBOX]: [`CMD ${SLEEP}`],
  [BUSYBOX_2]: [`CMD ${SLEEP}`, 'ENV BB=2'],
  [HEALTHY]: [`CMD ${SLEEP}`, `${CHECK_EVERY} CMD test ! -e /tmp/sick`],
  [SICK]: [`CMD ${SLEEP}`, `${CHECK_EVERY} CMD false`],
  [FAILING]: [`CMD ["/bin/sh","-c","echo about to fail; sleep 0.2; exit 3"]`],
}

/** Brings every image of `IMAGES` to every host's engine. */
export async function loadImages(hosts: Host[]): Promise<void> {
  const first = hosts[0]
  if (!first) return
  const archive = join(CACHE_DIR, `images-${recipe()}.tar`)
  if (!existsSync(archive)) await makeArchive(first, archive)
  await Promise.all(hosts.map((host) => host.docker('load', '--quiet', '--input', archive)))
}

async function makeArchive(host: Host, archive: string): Promise<void> {
  const env = { ...process.env, DOCKER_HOST: host.dockerHost }
  await must('sh', [MAKE_HELLO, HELLO], { env })
  await must('sh', [MAKE_HELLO, HELLO_2, 'Hello again'], { env })
  const flat = `${archive}.${process.pid}`
  mkdirSync(CACHE_DIR, { recursive: true })
  // A container's file system exported is the image's own: importing it with other changes makes the variants.
  const container = (await host.docker('create', HELLO)).trim()
  await host.docker('export', '--output', `${flat}.flat`, container)
  await host.docker('rm', container)
  for (const [tag, changes] of Object.entries(VARIANTS)) {
    const flags = ['ENV PATH=/bin', ...changes].flatMap((change) => ['--change', change])
    await host.docker('import', ...flags, `${flat}.flat`, tag)
  }
  await host.docker('save', '--output', flat, ...IMAGES)
  await must('rm', ['-f', `${flat}.flat`])
  renameSync(flat, archive)
}

/** Changes with anything that the images are made of. */
function recipe(): string {
  const hash = createHash('sha256')
  for (const file of ['/bin/busybox', MAKE_HELLO, import.meta.filename]) hash.update(readFileSync(file))
  return hash.digest('hex').slice(0, 16)
}
