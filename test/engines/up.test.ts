import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { StatusDocument } from '../../shared/api.ts'
import { BERTH } from './berth.ts'
import { assertExactly, snapshot } from './exactly.ts'
import { type Hosts, startHosts } from './hosts.ts'
import { loadImages } from './image.ts'
import { identify, type ProcessIdentity, run } from './processes.ts'
import { record } from './slots.ts'
import { GiveUp, until } from './until.ts'

const COMPOSE = `
services:
  web: { image: "bb:healthy", pull_policy: never, deploy: { replicas: 2 } }
`
const EXACTLY = { demo_web: 2 }

describe('berth up', () => {
  let hosts: Hosts
  let dir: string
  let ups: Up[] = []
  beforeAll(async () => {
    hosts = await startHosts({ count: 1 })
    await loadImages(hosts.hosts)
    dir = join(hosts.slot.dataDir, 'up')
    mkdirSync(join(dir, 'demo'), { recursive: true })
    writeFileSync(join(dir, 'demo/compose.yaml'), COMPOSE)
  })
  afterEach(async () => {
    for (const one of ups) one.signal('SIGKILL')
    await until(() => ownProcesses(dir).length === 0, 'everything of berth up to end')
    ups = []
  })
  afterAll(() => hosts?.stop())

  /** In a home of its own, with the host's Engine. */
  function up(...args: string[]): Up {
    const { address, slot } = hosts
    const all = ['up', '--data', dir, '--listen', `${address}:23784`, '--docker', hosts.hosts[0]!.dockerHost]
    const child = spawn(BERTH, [...all, '--name', 'up-1', ...args], { env: env(dir), detached: true })
    record(slot, identify(child.pid!)!)
    const one = new Up(child)
    ups.push(one)
    return one
  }
  const berth = (...args: string[]) => run(BERTH, args, { env: env(dir) })
  const startsWith = async (...args: string[]) => {
    const one = up(...args)
    const isReady = () => {
      if (one.hasEnded) throw new GiveUp(`it ended: ${one.stdout}${one.stderr}`)
      if (!one.stdout.includes('Look around')) throw new Error(`it said ${one.stdout}${one.stderr}`)
      return true
    }
    await until(isReady, 'berth up to be ready')
    return one
  }

  test('starts both and deploys; Ctrl-C stops both, containers go on, and the next one takes them over as they are', async () => {
    const first = await startsWith('--deploy', join(dir, 'demo/compose.yaml'))
    expect(first.stdout).toMatch(/✓ coordinator {2}https:\/\/\S+:23784\n/)
    expect(first.stdout).toMatch(/✓ agent up-1, \d+ cores?, [\d.]+ GiB/)
    expect(first.stdout).toContain('demo_web  2/2 healthy')
    const before = await assertExactly(hosts.hosts, EXACTLY)
    const status = JSON.parse((await berth('status', '--json')).stdout) as StatusDocument
    expect(status.nodes.map(({ name, status: is }) => [name, is])).toEqual([['up-1', 'ready']])

    first.signal('SIGINT')
    expect(await first.exit).toBe(0)
    expect(first.stderr).toContain('stopped; containers go on')
    expect(ownProcesses(dir)).toEqual([])
    expect((await berth('status')).exit).toBe(3)
    await assertExactly(hosts.hosts, EXACTLY, { since: before })

    await startsWith()
    await until(async () => (await berth('ps')).stdout.split('\n').length === 4, 'both tasks to be known')
    await assertExactly(hosts.hosts, EXACTLY, { since: before })
  })

  test('that is killed takes both with it, and one that is started at once afterwards comes up', async () => {
    const first = await startsWith('--deploy', join(dir, 'demo/compose.yaml'))
    const before = await assertExactly(hosts.hosts, EXACTLY)
    first.signal('SIGKILL')
    await startsWith()
    await assertExactly(hosts.hosts, EXACTLY, { since: before })
    // A program that the agent is just starting has the agent's own words until it begins.
    await until(() => ownProcesses(dir).length === 3, 'one each of up, coordinator and agent to be left')
  })

  test('beside one that runs says who has the folder and what to do, and leaves it alone', async () => {
    const first = await startsWith()
    const second = up()
    expect(await second.exit).toBe(1)
    const coordinator = ownProcesses(dir).find(({ words }) => words.includes('coordinator'))!
    expect(second.stderr).toContain('another coordinator is running here; waiting for it to stop')
    expect(second.stderr).toContain(`is in use by process ${coordinator.pid}`)
    expect(second.stderr).toContain('`berth status` shows it')
    expect((await berth('status')).exit).toBe(0)
    expect(first.hasEnded).toBe(false)
  })

  test('is left by Ctrl-C at every moment of its start, and nothing stays behind', async () => {
    const before = await snapshot(hosts.hosts)
    for (const afterMs of [50, 400, 900, 1_500]) {
      const one = up('--deploy', join(dir, 'demo/compose.yaml'))
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      one.signal('SIGINT')
      // Before its first line of code it ends as any program does.
      expect([0, null]).toContain(await one.exit)
      expect(ownProcesses(dir)).toEqual([])
    }
    await assertExactly(hosts.hosts, EXACTLY, { since: before })
  })

  test('without an Engine says what it waits for', async () => {
    const { address } = hosts
    const args = [
      'up',
      '--data',
      join(dir, 'none'),
      '--listen',
      `${address}:23785`,
      '--docker',
      `unix://${dir}/none.sock`,
    ]
    const child = spawn(BERTH, args, { env: env(join(dir, 'none')), detached: true })
    const one = new Up(child)
    ups.push(one)
    await until(() => one.stderr.includes(`waiting for the Engine: the Docker Engine at`), 'the word about the Engine')
    expect(one.stderr).toContain('none.sock')
    one.signal('SIGINT')
    expect(await one.exit).toBe(0)
  })
})

class Up {
  stdout = ''
  stderr = ''
  hasEnded = false
  readonly exit: Promise<number | null>
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.exit = new Promise((resolve) => {
      child.once('close', (code) => {
        this.hasEnded = true
        resolve(code)
      })
    })
  }

  signal(name: NodeJS.Signals): void {
    if (!this.hasEnded) this.#child.kill(name)
  }
}

function env(home: string): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: home, NO_COLOR: '1' }
}

/** Of all `berth` processes those that work in a folder. */
function ownProcesses(dir: string): (ProcessIdentity & { words: string[] })[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0')
        const identity = identify(Number(entry))
        const isOurs = words.includes('--data') && words.some((word) => word === dir || word.startsWith(`${dir}/`))
        return identity && isOurs ? [{ ...identity, words }] : []
      } catch {
        return []
      }
    })
}
