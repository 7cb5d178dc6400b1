import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let root: string

/** An installation with a command line that only says how it was started. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth bin-'))
  for (const folder of ['bin', 'cli', 'cache']) mkdirSync(join(root, folder))
  copyFileSync(resolve(import.meta.dirname, '../../bin/berth'), join(root, 'bin/berth'))
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  writeFileSync(
    join(root, 'cli/main.ts'),
    'const said: object = { node: process.execPath, arguments: process.argv.slice(2), cache: process.env.NODE_COMPILE_CACHE }\nconsole.log(JSON.stringify(said))\n',
  )
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const environment = (given: Record<string, string> = {}) => ({
  PATH: '/usr/bin:/bin',
  BERTH_CACHE: join(root, 'cache'),
  ...given,
})

function berth(env: Record<string, string>, ...args: string[]) {
  return JSON.parse(execFileSync(join(root, 'bin/berth'), args, { env: environment(env), encoding: 'utf8' }))
}

function aNode(name: string, text: string): string {
  const path = join(root, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

const realNode = `exec '${process.execPath}' "$@"`
const oldNode = 'case "$1" in -p) echo 20 ;; --version) echo v20.1.0 ;; *) exit 99 ;; esac'

describe('bin/berth starts the source', () => {
  test('with the Node that BERTH_NODE names, and hands on its arguments as they are', () => {
    const said = berth({ BERTH_NODE: process.execPath }, 'deploy', '-f', 'a b.yaml', '')
    expect(said).toMatchObject({ node: process.execPath, arguments: ['deploy', '-f', 'a b.yaml', ''] })
  })

  test('with the Node that came with Berth, whatever is on PATH', () => {
    const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
    aNode(`node_modules/node-linux-${arch}/bin/node`, realNode)
    aNode('path/node', oldNode)
    expect(berth({ PATH: `${root}/path:/usr/bin:/bin` })).toMatchObject({ arguments: [] })
  })

  test('with the Node on PATH when it is new enough', () => {
    aNode('path/node', realNode)
    expect(berth({ PATH: `${root}/path:/usr/bin:/bin` }, 'ps')).toMatchObject({ arguments: ['ps'] })
  })

  test('through links, absolute and relative', () => {
    mkdirSync(join(root, 'elsewhere'))
    symlinkSync('../bin/berth', join(root, 'elsewhere/relative'))
    symlinkSync(join(root, 'elsewhere/relative'), join(root, 'elsewhere/absolute'))
    const args = { env: environment({ BERTH_NODE: process.execPath }), encoding: 'utf8' as const }
    expect(JSON.parse(execFileSync(join(root, 'elsewhere/absolute'), ['x'], args))).toMatchObject({ arguments: ['x'] })
  })
})

describe('bin/berth says why it cannot start', () => {
  test.each([
    ['a BERTH_NODE that is too old', 'BERTH_NODE', /BERTH_NODE=.* is not Node.js 24 or newer/],
    ['a Node on PATH that is too old', 'PATH', /needs Node.js 24 or newer; .* is version v20.1.0. Run: npm ci/],
  ])('%s', (_what, variable, message) => {
    const old = aNode('path/node', oldNode)
    const env = environment({ [variable]: variable === 'PATH' ? `${root}/path:/usr/bin:/bin` : old })
    const { status, stderr } = spawnSync(join(root, 'bin/berth'), [], { env, encoding: 'utf8' })
    expect(status).toBe(3)
    expect(stderr).toMatch(message)
  })
})

describe('compiled code is kept', () => {
  test('in a folder that is nobody else’s to write to, from the first start on', () => {
    chmodSync(join(root, 'cache'), 0o777)
    const said = berth({ BERTH_NODE: process.execPath })
    expect(said.cache).toBe(join(root, 'cache/compiled'))
    expect(statSync(join(root, 'cache')).mode & 0o777).toBe(0o700)
    expect(readdirSync(said.cache)).toHaveLength(1)
  })

  test('nowhere, when no folder can be made: the start is slower and works', () => {
    writeFileSync(join(root, 'a file'), '')
    expect(berth({ BERTH_NODE: process.execPath, BERTH_CACHE: join(root, 'a file/cache') })).not.toHaveProperty('cache')
  })
})
