/** The import law of docs/architecture.md, read from the files themselves. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const SOURCE_FOLDERS = ['shared', 'agent', 'coordinator', 'cli']

/** `valueImports` are those that are there when it runs; types alone tie a file to nothing. */
type SourceFile = { path: string; text: string; imports: string[]; valueImports: string[] }

const files = SOURCE_FOLDERS.flatMap(sourceFiles)

function sourceFiles(folder: string): SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => {
      const path = relative(root, join(entry.parentPath, entry.name))
      const text = withoutComments(readFileSync(join(root, path), 'utf8'))
      const typesLeftOut = text.replace(/^\s*(?:import|export) type\b[^;'"`]*?['"][^'"]+['"]/gm, '')
      return { path, text, imports: importsOf(path, text), valueImports: importsOf(path, typesLeftOut) }
    })
}

/** Paths within the project as `shared/spec.ts`; packages and `node:` modules by name, `ws/wrapper.mjs` as `ws`. */
function importsOf(path: string, text: string): string[] {
  const statement =
    /^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/gm
  return [...text.matchAll(statement)].map((match) => nameOf(path, match[1] ?? match[2] ?? match[3] ?? ''))
}

function nameOf(path: string, specifier: string): string {
  if (specifier.startsWith('.')) return relative(root, resolve(root, path, '..', specifier))
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

const isOurs = (name: string) => SOURCE_FOLDERS.some((folder) => name.startsWith(`${folder}/`))
const isNodeModule = (name: string) => name.startsWith('node:')

/** One sentence for each import that is not allowed. */
function offences(inFolder: string, mayImport: (name: string, path: string) => boolean): string[] {
  return files
    .filter(({ path }) => path.startsWith(inFolder))
    .flatMap(({ path, imports }) =>
      imports.filter((name) => !mayImport(name, path)).map((name) => `${path} may not import ${name}`),
    )
}

const under =
  (...folders: string[]) =>
  (name: string) =>
    !isOurs(name) || folders.some((folder) => name === folder || name.startsWith(`${folder}/`))

describe('who may import whom', () => {
  test('shared imports only shared', () => {
    expect(offences('shared/', under('shared'))).toEqual([])
  })

  test('the agent imports only itself and shared', () => {
    expect(offences('agent/', under('agent', 'shared'))).toEqual([])
  })

  test('the coordinator imports only itself and shared', () => {
    expect(offences('coordinator/', under('coordinator', 'shared'))).toEqual([])
  })

  test('the command line imports only itself and shared, but for one file that starts an agent, a coordinator or a replay', () => {
    const entries = [
      'agent/main.ts',
      'agent/options.ts',
      'coordinator/main.ts',
      'coordinator/options.ts',
      'coordinator/replay/main.ts',
    ]
    expect(offences('cli/', (name) => entries.includes(name) || under('cli', 'shared')(name))).toEqual([])
    const starting = files.filter(
      ({ path, imports }) => path.startsWith('cli/') && imports.some((name) => entries.includes(name)),
    )
    expect(
      starting.map(({ path }) => path).slice(1),
      'only one file of cli/ may start an agent, a coordinator or a replay',
    ).toEqual([])
  })

  test('tests, benches and what a test builds are imported by no source', () => {
    expect(offences('', (name) => !/^(test|bench)\//.test(name))).toEqual([])
  })
})

describe('what decides is pure', () => {
  test('agent/decide imports only shared and itself', () => {
    expect(offences('agent/decide/', under('shared', 'agent/decide'))).toEqual([])
  })

  test('coordinator/decide imports only shared, the world and itself', () => {
    expect(offences('coordinator/decide/', under('shared', 'coordinator/world.ts', 'coordinator/decide'))).toEqual([])
  })

  test.each(['agent/decide/', 'coordinator/decide/'])('%s imports nothing of Node and no package', (folder) => {
    expect(offences(folder, (name) => isOurs(name) && !isNodeModule(name))).toEqual([])
  })

  test.each([
    ['the clock', /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bsystemClock\b/],
    ['chance', /\bMath\.random\b|\brandomUUID\b|\bcrypto\b/],
    ['waiting', /\bawait\b|\basync\b|\bsetTimeout\b|\bsetInterval\b|\bPromise\b/],
    ['the process or the network', /\bprocess\.|\bfetch\(|\bconsole\./],
  ])('no decision reads %s: it comes in as an argument, or stays outside', (_what, forbidden) => {
    const found = files
      .filter(({ path }) => /^(agent|coordinator)\/decide\//.test(path))
      .flatMap(({ path, text }) => {
        const match = forbidden.exec(text)
        return match === null ? [] : [`${path} uses ${match[0]}`]
      })
    expect(found).toEqual([])
  })
})

describe('each outside thing has one file that knows it', () => {
  test.each([
    ['dockerode', ['agent/docker/']],
    ['systeminformation', ['agent/host/']],
    ['tail-file', ['agent/host/']],
    ['lmdb', ['coordinator/store/']],
    ['prom-client', ['coordinator/metrics/']],
    ['node-cron', ['coordinator/']],
    ['msgpackr', ['shared/', 'coordinator/store/']],
    ['ws', ['agent/link/', 'coordinator/sessions/']],
    ['@peculiar/x509', ['agent/link/', 'coordinator/security/']],
  ])('%s is known by one file in each of %j, and by none elsewhere', (name, folders) => {
    const using = files.filter(({ imports }) => imports.includes(name)).map(({ path }) => path)
    expect(using.filter((path) => !folders.some((folder) => path.startsWith(folder)))).toEqual([])
    for (const folder of folders) {
      const [first, ...others] = files
        .filter(({ path, valueImports }) => path.startsWith(folder) && valueImports.includes(name))
        .map(({ path }) => path)
      expect(others, `${name} is known by ${first} already: put what these need of it into that file`).toEqual([])
    }
  })
})

test('every package that package.json names is used by the source, and none is used that it does not name', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const used = new Set(files.flatMap(({ imports }) => imports).filter((name) => !isOurs(name) && !isNodeModule(name)))
  used.delete('package.json')
  expect([...used].sort()).toEqual(Object.keys(manifest.dependencies).sort())
})

describe('this test sees what it judges', () => {
  test('imports in all their forms', () => {
    const text = `import a from 'a'\nimport {\n  b,\n} from '../shared/b.ts'\nimport type { C } from "@scope/c/deep"\nimport 'd'\nexport * from './e.ts'\nconst f = await import('node:fs')\nconst said = "from 'nowhere'"\n`
    expect(importsOf('agent/x.ts', text)).toEqual(['a', 'shared/b.ts', '@scope/c', 'd', 'agent/e.ts', 'node:fs'])
  })

  test('files of every part, and imports in them', () => {
    for (const folder of ['shared', 'agent', 'coordinator']) {
      const some = files.filter(({ path }) => path.startsWith(`${folder}/`))
      expect(some.length).toBeGreaterThan(5)
      expect(some.some(({ imports }) => imports.length > 0)).toBe(true)
    }
  })
})
