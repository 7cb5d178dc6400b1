/** The examples that newcomers start with must be read without a word of complaint. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { readCompose } from '../../../shared/compose/read-compose.ts'
import type { StackSpec } from '../../../shared/spec.ts'

const DIRECTORY = path.join(import.meta.dirname, '../../../examples')
const EXAMPLES = readdirSync(DIRECTORY).filter((file) => /\.ya?ml$/.test(file))

async function readExample(file: string): Promise<StackSpec> {
  const { stack, findings } = await readCompose({
    files: [file],
    profiles: [],
    environment: {},
    workingDirectory: DIRECTORY,
    readFile: (each) => readFile(each, 'utf8'),
  })
  expect(findings).toEqual([])
  return stack
}

it('there are some', () => expect(EXAMPLES).toEqual(expect.arrayContaining(['hello.yaml', 'guestbook.yaml'])))

describe.each(EXAMPLES)('%s', (file) => {
  it('is read without findings and needs no registry', async () => {
    const stack = await readExample(file)
    expect(stack.name).toBe(file.replace(/\.ya?ml$/, ''))
    for (const service of Object.values(stack.services))
      expect(service.task.container.image).toMatch(/^berth\/hello:1$/)
  })
})

it('hello.yaml is three healthy web servers and one ticker', async () => {
  const { services } = await readExample('hello.yaml')
  expect(services.web).toMatchObject({
    mode: { replicas: 3 },
    task: { container: { healthcheck: { test: expect.arrayContaining(['wget']) } } },
  })
  expect(services.tick).toMatchObject({ mode: { replicas: 1 }, task: { container: { stopGraceMs: 2000 } } })
})

it.each([
  ['hello.yaml', 'tick'],
  ['guestbook.yaml', 'greeter'],
])('%s: %s says something soon and obeys SIGTERM while it waits', async (file, name) => {
  const { container } = (await readExample(file)).services[name]!.task
  const [program = '', ...args] = container.command ?? []
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, ...container.environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const toldAt = Date.now()
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
  // Far below the sleep of greeter and the grace of both, far above what a busy machine needs.
  expect(Date.now() - toldAt).toBeLessThan(4000)
})
