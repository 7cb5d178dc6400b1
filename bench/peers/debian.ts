/** Programs of Debian's packages as peers: fetched and unpacked into a folder, so that nothing is installed and no service is started. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE_DIR } from '../../test/engines/slots.ts'

/** The root of its files, and of those that it needs and this machine lacks. Kept for the next run. @throws Error when apt-get cannot fetch them */
export function unpackedPackage(name: string): string {
  const root = join(CACHE_DIR, `peer-${name}`)
  if (existsSync(root)) return root
  mkdirSync(CACHE_DIR, { recursive: true })
  const work = mkdtempSync(`${root}-`)
  const fetch = () =>
    execFileSync('apt-get', ['download', ...packagesFor(name)], { cwd: work, stdio: ['ignore', 'ignore', 'ignore'] })
  try {
    fetch()
  } catch {
    execFileSync('apt-get', ['update'], { stdio: 'ignore' })
    fetch()
  }
  for (const file of readdirSync(work)) execFileSync('dpkg-deb', ['-x', join(work, file), join(work, 'root')])
  renameSync(join(work, 'root'), root)
  return root
}

/** What installing it would bring. */
function packagesFor(name: string): string[] {
  const told = execFileSync('apt-get', ['--simulate', '--no-install-recommends', 'install', name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return [...told.matchAll(/^Inst (\S+)/gm)].map(([, each]) => each!)
}

/** For programs of it: where they find their libraries. */
export function libraryPath(root: string, ...folders: string[]): NodeJS.ProcessEnv {
  const machine = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  const paths = [`usr/lib/${machine}`, `lib/${machine}`, ...folders].map((folder) => join(root, folder))
  return { ...process.env, LD_LIBRARY_PATH: paths.join(':') }
}
