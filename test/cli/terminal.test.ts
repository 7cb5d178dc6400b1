/** What is seen on a terminal: a real one, by util-linux's `script`. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { crash } from '../build/cluster.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')
const ESCAPE = String.fromCharCode(27)

/** Nothing moves until a first picture can have been drawn. */
async function slowly<Result>(server: ApiServer, work: () => Promise<Result>): Promise<Result> {
  server.pause()
  const wait = setInterval(() => {
    if (server.cluster.world.stacks.size > 0) setTimeout(server.resume, 500)
  }, 50)
  try {
    return await work()
  } finally {
    clearInterval(wait)
  }
}

/** Runs on a terminal of so many columns and rows. */
async function onTerminal(server: ApiServer, args: string[], size = { columns: 100, rows: 30 }) {
  const { NO_COLOR: _, ...env } = await server.env()
  const line = `stty cols ${size.columns} rows ${size.rows}; ${BERTH} ${args.join(' ')}`
  const { exit, stdout } = await run('script', ['-qec', line, '/dev/null'], { env: { ...env, TERM: 'xterm-256color' } })
  return { exit, output: stdout.replaceAll('\r\n', '\n'), screen: screenOf(stdout) }
}

/** What stands on the screen in the end: lines, with what was drawn over gone, without colours. */
function screenOf(output: string): string[] {
  let lines = ['']
  for (const part of output.split(new RegExp(`(${ESCAPE}\\[\\d+A${ESCAPE}\\[J)`))) {
    const up = new RegExp(`^${ESCAPE}\\[(\\d+)A`).exec(part)?.[1]
    if (up !== undefined) lines = [...lines.slice(0, lines.length - 1 - Number(up)), '']
    else {
      const [first = '', ...rest] = part.replaceAll(new RegExp(`${ESCAPE}\\[[0-9;]*m`, 'g'), '').split(/\r?\n/)
      lines = [...lines.slice(0, -1), `${lines.at(-1)}${first}`, ...rest]
    }
  }
  return lines.filter((line) => line !== '')
}

async function composeFile(services: string): Promise<string> {
  const path = join(await temporaryFolder(), 'compose.yaml')
  await writeFile(path, `services:\n${services}`)
  return path
}

const service = (name: string, more = '') => `  ${name}:\n    image: example/${name}:1\n${more}`

describe.skipIf(!existsSync('/usr/bin/script'))('on a terminal', () => {
  test('berth deploy draws one picture over the other, with bars, and the last one stays', async () => {
    const server = await anApiServer()
    const file = await composeFile(
      service('api', '    deploy: { replicas: 20 }\n') + service('web', '    depends_on: [api]\n'),
    )
    const deploying = () => onTerminal(server, ['deploy', '-f', file, '--stack', 'shop'])
    const { exit, output, screen } = await slowly(server, deploying)
    expect(exit).toBe(0)
    const hint = 'Ctrl-C leaves it going; berth deploy --attach shop comes back'
    expect(output).toContain(`shop  2 services, 21 tasks   ${hint}\n`)
    expect(output).toMatch(/█*░+ {2}\d+\/20 running/)
    expect(screen).toEqual([
      'shop  2 services, 21 tasks',
      expect.stringMatching(/^ {2}api {7}20\/20 running {26}\d\.\d s/),
      expect.stringMatching(/^ {2}web {7}1\/1 running {28}n\d {2}\d\.\d s, waited for api$/),
    ])
    for (const line of output.replaceAll(new RegExp(`${ESCAPE}\\[[0-9;]*[mAJ]`, 'g'), '').split('\n'))
      expect(line.length).toBeLessThanOrEqual(100)
  })

  test('a stack that is longer than the terminal does not scroll it', async () => {
    const server = await anApiServer()
    const names = Array.from({ length: 40 }, (_, index) => `s${index}`)
    const file = await composeFile(names.map((name) => service(name)).join(''))
    const deploying = () => onTerminal(server, ['deploy', '-f', file], { columns: 100, rows: 20 })
    const { exit, output, screen } = await slowly(server, deploying)
    expect(exit).toBe(0)
    for (const [, up] of output.matchAll(new RegExp(`${ESCAPE}\\[(\\d+)A`, 'g'))) expect(Number(up)).toBeLessThan(20)
    expect(output).toMatch(/and \d+ more on their way|and \d+ through/)
    expect(screen).toHaveLength(41)
  })

  test('what went wrong is told whole, with the last words of the task', async () => {
    const server = await anApiServer(['n1'])
    const file = await composeFile(service('job', '    restart: "no"\n'))
    const line = `Error: ${'something long '.repeat(10)}\u001b[2J and an order to the terminal`
    const timer = setInterval(() => {
      for (const id of server.cluster.world.tasks.keys()) {
        server.logs.set(id, ['first', line])
        crash(server.cluster, 'n1', id, 'failed')
      }
    }, 3)
    const { exit, output, screen } = await onTerminal(server, ['deploy', '-f', file, '--stack', 'shop'])
    clearInterval(timer)
    expect(exit).toBe(1)
    expect(screen[1]).toMatch(/^ {2}job {7}✗ failed/)
    expect(screen[2]).toMatch(/^ {12}shop_job\.1 on n1: failed/)
    expect(screen[3]).toBe('            last lines:  1970-01-01T00:00:00Z  first')
    expect(screen[4]).toContain('something long something long')
    expect(screen.at(-1)).toBe('shop failed; berth events --stack shop · berth ps shop')
    expect(output).not.toContain(`${ESCAPE}[2J`)
  })
})
