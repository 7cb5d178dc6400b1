import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { temporaryFolder } from '../build/temporary-folder.ts'

let folder: string
beforeEach(async () => {
  folder = await temporaryFolder()
  const startAnew = join(import.meta.dirname, '../../cli/start-anew.ts')
  await writeFile(
    join(folder, 'program.ts'),
    `import { startAnewIfCold } from ${JSON.stringify(startAnew)}
const begun: string = process.env.BERTH_STARTED_ANEW ? 'anew' : 'once'
startAnewIfCold(process.env)
const list = (process as unknown as { moduleLoadList: string[] }).moduleLoadList
console.log([process.pid, begun, list.some((name) => name.includes('amaro')) ? 'reader' : 'no reader', ...process.argv.slice(2)].join(', '))
`,
  )
})

function run(env: NodeJS.ProcessEnv): string {
  const { BERTH_STARTED_ANEW: _mark, NODE_COMPILE_CACHE: _cache, ...others } = process.env
  const options = { env: { ...others, ...env }, encoding: 'utf8' as const }
  return execFileSync(process.execPath, [join(folder, 'program.ts'), 'an argument'], options)
    .replace(/^\d+, /, '')
    .trim()
}

test('a process that had to read TypeScript begins anew once, with its arguments, and then holds no reader of it', () => {
  const env = { NODE_COMPILE_CACHE: join(folder, 'cache') }
  expect(run(env)).toBe('anew, no reader, an argument')
  expect(run(env), 'the next start finds its code').toBe('once, no reader, an argument')
})

test('one without a cache goes on as it is', () => {
  expect(run({})).toBe('once, reader, an argument')
})
