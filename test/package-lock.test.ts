import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

type Locked = { optionalDependencies?: Record<string, string>; resolved?: string }

const lock = JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>
}

/**
 * `npm install` drops packages for other systems that its registry does not offer, and then `npm ci` refuses the file on every
 * fresh machine. Put back the entries that this names: version, os, cpu, `"optional": true`.
 */
test('the lock file names every optional package, also those for other systems, so that npm ci accepts it', () => {
  const missing: string[] = []
  for (const [path, locked] of Object.entries(lock.packages)) {
    for (const name of Object.keys(locked.optionalDependencies ?? {})) {
      const places = [`${path}/node_modules/${name}`, `node_modules/${name}`]
      if (!places.some((place) => place in lock.packages)) missing.push(`${name} (of ${path})`)
    }
  }
  expect(missing).toEqual([])
})

test('the lock file names no registry, so that everybody installs from their own', () => {
  const resolved = Object.entries(lock.packages).filter(([, locked]) => locked.resolved !== undefined)
  expect(resolved.map(([path]) => path)).toEqual([])
})
