/** Which packages in node_modules some folders of source need at run time: read from the imports, so that no list can go stale. */
import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'

const IMPORT = /^\s*(?:import|export)\s+(?!type\s)(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
const CALLED_IMPORT = /\b(?:import|require|createRequire\([^)]*\))\(\s*['"]([^'"]+)['"]\s*\)/g

type Manifest = {
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  os?: string[] | string
  cpu?: string[] | string
}

/**
 * Folders of the packages that the sources below `folders` import, and of all that those depend on, relative to `root` and
 * sorted. Packages that are for another processor than `arch` (`x64`, `arm64`) are left out.
 */
export async function neededPackages(root: string, folders: string[], arch: string): Promise<string[]> {
  const found = new Set<string>()
  const waiting = (await importedPackages(root, folders)).map((name) => ({ name, from: root }))
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const dir = locate(root, next.from, next.name)
    if (dir === null || found.has(dir)) continue
    const manifest = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as Manifest
    if (!runsOn(manifest, arch)) continue
    found.add(dir)
    const names = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies }
    for (const name of Object.keys(names)) waiting.push({ name, from: dir })
  }
  return [...found].map((dir) => relative(root, dir)).sort()
}

/** Names of the packages imported by value; type imports leave no trace at run time. */
async function importedPackages(root: string, folders: string[]): Promise<string[]> {
  const names = new Set<string>()
  for await (const file of glob(
    folders.map((folder) => `${folder}/**/*.ts`),
    { cwd: root },
  )) {
    const source = await readFile(join(root, file), 'utf8')
    for (const [, specifier] of [...source.matchAll(IMPORT), ...source.matchAll(CALLED_IMPORT)]) {
      const name = packageName(specifier!)
      if (name !== null) names.add(name)
    }
  }
  return [...names]
}

/** `@scope/name/part` → `@scope/name`; null for a file of ours or of Node. */
function packageName(specifier: string): string | null {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return null
  const parts = specifier.split('/')
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!
}

/** As Node looks: in the nearest node_modules upwards. Null for an optional one that is not installed. */
function locate(root: string, from: string, name: string): string | null {
  for (let dir = from; dir.startsWith(root); dir = dirname(dir)) {
    const candidate = join(dir, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return candidate
  }
  return null
}

function runsOn(manifest: Manifest, arch: string): boolean {
  return (
    [manifest.cpu ?? []].flat().every((cpu) => cpu === arch) && [manifest.os ?? []].flat().every((os) => os === 'linux')
  )
}
