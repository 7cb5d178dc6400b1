import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Output } from '../../cli/output.ts'
import { createProgram } from '../../cli/program.ts'

const ROOT = join(import.meta.dirname, '../..')
const output: Output = {
  ...{ line: () => {}, note: () => {}, document: () => {}, record: () => {}, raw: () => {}, drained: async () => {} },
  ...{ isTerminal: false, columns: 100, rows: 24, paint: (_style, text) => text },
}

/** What a program prints or documents, without its own comments. */
function* texts(): Iterable<{ file: string; text: string }> {
  for (const folder of ['cli', 'coordinator', 'agent', 'shared']) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue
      const lines = readFileSync(join(ROOT, folder, name), 'utf8').split('\n')
      yield { file: `${folder}/${name}`, text: lines.filter((line) => !/^\s*(\/\/|\*|\/\*)/.test(line)).join('\n') }
    }
  }
  for (const file of ['install.sh', 'README.md', 'docs/cli.md', 'docs/errors.md', 'docs/api.md']) {
    yield { file, text: readFileSync(join(ROOT, file), 'utf8') }
  }
}

test('every command that a hint names can be run', () => {
  const known = new Set(createProgram(output, '0').commands.map((command) => command.name()))
  const named: string[] = []
  const wrong: string[] = []
  for (const { file, text } of texts()) {
    // `berth x`, a · berth x, and a hint that is nothing but a command.
    for (const [whole, command] of text.matchAll(/[`'·] ?berth ([a-z-]+)\b(?!:)/g)) {
      named.push(command!)
      if (!known.has(command!)) wrong.push(`${file}: ${whole}`)
    }
  }
  expect(named.length).toBeGreaterThan(40)
  expect(wrong).toEqual([])
})
