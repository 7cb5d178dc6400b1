/**
 * The agent's bundle: everything a host needs to run an agent (sources, packages, Node itself), as one archive. It is made
 * once for each processor and kept; the same content gives the same bytes, so its SHA-256 names the release.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { glob, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError } from '../../shared/errors.ts'
import { archive, hashOf, nodeFor } from './archive.ts'
import { neededPackages } from './packages.ts'

export const ARCHITECTURES = ['x64', 'arm64'] as const
export type Architecture = (typeof ARCHITECTURES)[number]

export type Bundle = { path: string; bytes: number; sha256: string }

/** What of the project an agent runs from. */
const SOURCE_FOLDERS = ['agent', 'shared', 'cli', 'bin']
const FILES = ['package.json', 'install.sh', 'LICENSE']

export type BundleOptions = {
  /** The project's folder: a checkout or an installed release. */
  root: string
  /** Where archives are kept. */
  cacheDir: string
}

/** Gives bundles; several askers at once wait for the one making. */
export function bundles(options: BundleOptions): (arch: Architecture) => Promise<Bundle> {
  const making = new Map<Architecture, Promise<Bundle>>()
  return (arch) => {
    const running = making.get(arch) ?? bundle(options, arch).finally(() => making.delete(arch))
    making.set(arch, running)
    return running
  }
}

/** @throws BerthError `not-found` when this coordinator has no Node for `arch` */
async function bundle({ root, cacheDir }: BundleOptions, arch: Architecture): Promise<Bundle> {
  const node = nodeFor(root, arch)
  if (node === null) throw noNode(root, arch)
  const stem = join(cacheDir, `agent-${arch}-${await fingerprint(root, node)}`)
  const kept = await readKept(stem)
  if (kept) return kept
  await mkdir(cacheDir, { recursive: true, mode: 0o700 })
  const draft = `${stem}.${process.pid}.new`
  try {
    await archive(root, node, await contents(root, arch), draft)
    const sha256 = await hashOf(draft)
    await rename(draft, `${stem}.tar.gz`)
    // Written last: where the sum is, the archive is whole.
    await writeFile(`${stem}.sha256`, sha256)
  } finally {
    await rm(draft, { force: true })
  }
  await removeOlder(cacheDir, arch, stem)
  return (await readKept(stem))!
}

async function readKept(stem: string): Promise<Bundle | null> {
  const path = `${stem}.tar.gz`
  if (!existsSync(`${stem}.sha256`) || !existsSync(path)) return null
  return { path, bytes: (await stat(path)).size, sha256: await readFile(`${stem}.sha256`, 'utf8') }
}

function noNode(root: string, arch: Architecture): BerthError {
  const mend = `in ${root} run: npm install --no-save --force --cpu=${arch} node-linux-${arch}@24`
  return new BerthError('not-found', `this coordinator has no Node.js for ${arch} hosts; ${mend}`, {
    details: { arch },
  })
}

async function contents(root: string, arch: Architecture): Promise<string[]> {
  const files = FILES.filter((file) => existsSync(join(root, file)))
  return [...SOURCE_FOLDERS, ...files, ...(await neededPackages(root, SOURCE_FOLDERS, arch))]
}

/** Changes when a source file, the installed packages or Node change; looks at sizes and times only, so it is cheap. */
async function fingerprint(root: string, node: string): Promise<string> {
  const hash = createHash('sha256').update(import.meta.filename)
  const patterns = SOURCE_FOLDERS.map((folder) => `${folder}/**/*`)
  const files = [...FILES, 'node_modules/.package-lock.json', 'package-lock.json', node]
  for await (const file of glob(patterns, { cwd: root })) files.push(file)
  for (const file of files.sort()) {
    const path = join(root, file)
    const about = existsSync(path) ? await stat(path) : null
    if (about?.isFile()) hash.update(`${file}\0${about.size}\0${about.mtimeMs}\n`)
  }
  return hash.digest('hex').slice(0, 16)
}

/** One archive for each processor is kept: after an upgrade the one before is of no use, nor is what a killed process left. */
async function removeOlder(cacheDir: string, arch: Architecture, stem: string): Promise<void> {
  const old = (await readdir(cacheDir)).filter((name) =>
    /^agent-\w+-[0-9a-f]{16}\.(tar\.gz|sha256|\d+\.new)$/.test(name),
  )
  const kept = [`${stem}.tar.gz`, `${stem}.sha256`]
  for (const name of old) {
    const path = join(cacheDir, name)
    if (name.startsWith(`agent-${arch}-`) && !kept.includes(path)) await rm(path, { force: true })
  }
}
