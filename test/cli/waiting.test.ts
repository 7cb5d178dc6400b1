import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ProgressDocument, ServiceDetail, TaskDocument } from '../../shared/api.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { crash } from '../build/cluster.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

async function berth(server: ApiServer, ...args: string[]) {
  return run(BERTH, args, { env: await server.env(), limitMs: 30_000 })
}

async function composeFile(image: string, replicas = 3): Promise<string> {
  const path = join(await temporaryFolder(), 'compose.yaml')
  await writeFile(path, `services:\n  api:\n    image: ${image}\n    deploy: { replicas: ${replicas} }\n`)
  return path
}

const deploy = async (server: ApiServer, image: string) =>
  berth(server, 'deploy', '-f', await composeFile(image), '--stack', 'shop')

async function imagesOf(server: ApiServer): Promise<string[]> {
  const tasks = JSON.parse((await berth(server, 'ps', 'shop_api', '--json')).stdout) as TaskDocument[]
  return tasks.map(({ image }) => image)
}

describe('berth rollback', () => {
  test('goes back to the version before, waits until its tasks run and the others have stopped, and exits 0', async () => {
    const server = await anApiServer()
    await deploy(server, 'api:1')
    await deploy(server, 'api:2')
    expect(await imagesOf(server)).toEqual(['api:2', 'api:2', 'api:2'])
    const { exit, stdout, stderr } = await berth(server, 'rollback', 'shop_api')
    expect([exit, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^shop_api {2}rolled back to version 1, 3\/3 running/m)
    expect(stdout).not.toContain('✗')
    expect(await imagesOf(server)).toEqual(['api:1', 'api:1', 'api:1'])
    const all = JSON.parse((await berth(server, 'ps', 'shop_api', '--all', '--json')).stdout) as TaskDocument[]
    expect(all.filter(({ state }) => state === 'running' || state === 'stopping')).toHaveLength(3)
  })

  test('goes back and not forth: the version that was left is deployed again from its file', async () => {
    const server = await anApiServer()
    await deploy(server, 'api:1')
    await deploy(server, 'api:2')
    await berth(server, 'rollback', 'shop_api')
    const again = await berth(server, 'rollback', 'shop_api')
    expect([again.exit, again.stderr]).toEqual([
      1,
      'shop_api is at version 1 and has no version before it to go back to\n',
    ])
    expect((await deploy(server, 'api:2')).exit).toBe(0)
    expect(new Set(await imagesOf(server))).toEqual(new Set(['api:2']))
  })

  test('with --json answers the service as it is afterwards; with --detach at once', async () => {
    const server = await anApiServer()
    await deploy(server, 'api:1')
    await deploy(server, 'api:2')
    const done = JSON.parse((await berth(server, 'rollback', 'shop_api', '--json')).stdout)
    expect(done).toMatchObject({ service: 'shop_api', good: 3 })
    await deploy(server, 'api:3')
    server.pause()
    const detached = await berth(server, 'rollback', 'shop_api', '--detach')
    expect([detached.exit, detached.stdout]).toEqual([0, 'shop_api: rolling back\n'])
  })

  test('of a service that has had one version only, or is not there, changes nothing', async () => {
    const server = await anApiServer()
    await deploy(server, 'api:1')
    const before = JSON.parse((await berth(server, 'services', 'shop_api', '--json')).stdout) as ServiceDetail
    const only = await berth(server, 'rollback', 'shop_api')
    expect([only.exit, only.stdout]).toEqual([1, ''])
    expect(only.stderr).toMatch(/shop_api .*version/)
    const after = JSON.parse((await berth(server, 'services', 'shop_api', '--json')).stdout) as ServiceDetail
    expect(after).toEqual(before)
    expect((await berth(server, 'rollback', 'shop_nope')).exit).toBe(2)
  })

  test('to a version whose tasks fail exits 1 and says so', async () => {
    const server = await anApiServer(['n1'])
    await deploy(server, 'api:1')
    await deploy(server, 'api:2')
    const timer = setInterval(() => {
      for (const task of server.cluster.world.tasks.values()) {
        const image = server.cluster.world.services.get('shop_api')?.versions.get(task.version)?.spec.task
          .container.image
        if (image === 'api:1') crash(server.cluster, 'n1', task.id)
      }
    }, 2)
    onTestFinished(() => clearInterval(timer))
    const { exit, stdout, stderr } = await berth(server, 'rollback', 'shop_api', '--timeout', '20s')
    expect(exit, stdout + stderr).toBe(1)
    expect(stderr).toContain('shop failed')
  })
})

describe('Ctrl-C while waiting exits 130, says that it goes on and how to look at it, and changes nothing', () => {
  /** Interrupted as soon as it has said something. */
  async function interrupted(server: ApiServer, ...args: string[]) {
    const child = spawn(BERTH, args, { env: await server.env() })
    onTestFinished(() => void child.kill('SIGKILL'))
    let [stdout, stderr] = ['', '']
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout === '') child.kill('SIGINT')
      stdout += text
    })
    const exit = await new Promise((resolve) => child.once('close', resolve))
    return { exit, stdout, stderr }
  }

  test('berth deploy', async () => {
    const server = await anApiServer()
    server.pause()
    const file = await composeFile('api:1')
    const { exit, stderr } = await interrupted(server, 'deploy', '-f', file, '--stack', 'shop')
    expect([exit, stderr]).toEqual([130, 'left going: berth deploy --attach shop comes back\n'])
    server.resume()
    expect((await berth(server, 'deploy', '--attach', 'shop')).exit).toBe(0)
    expect(await imagesOf(server)).toHaveLength(3)
  })

  test.each([
    [['scale', 'shop_api=5'], 'berth services shop_api shows it'],
    [['rollback', 'shop_api'], 'berth services shop_api shows it'],
    [['rm', 'shop'], 'berth ps shows what is left'],
    [['drain', 'n1'], 'berth ps --node n1 shows what is left there'],
  ])('berth %j', async (args, hint) => {
    const server = await anApiServer()
    await deploy(server, 'api:1')
    await deploy(server, 'api:2')
    server.pause()
    const { exit, stderr } = await interrupted(server, ...args)
    expect([exit, stderr]).toEqual([130, `left going: ${hint}\n`])
  })

  test('and with --json keeps what it says out of the answer', async () => {
    const server = await anApiServer()
    server.pause()
    const child = spawn(BERTH, ['deploy', '-f', await composeFile('api:1'), '--stack', 'shop', '--json'], {
      env: await server.env(),
    })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    while (!server.cluster.world.stacks.has('shop')) await new Promise((resolve) => setTimeout(resolve, 10))
    await new Promise((resolve) => setTimeout(resolve, 200))
    child.kill('SIGINT')
    expect([await new Promise((resolve) => child.once('close', resolve)), stdout]).toEqual([130, ''])
  })
})

test('a wait that is over leaves a document with its outcome', async () => {
  const server = await anApiServer()
  const { stdout } = await berth(server, 'deploy', '-f', await composeFile('api:1'), '--stack', 'shop', '--json')
  expect((JSON.parse(stdout) as ProgressDocument).outcome).toBe('up')
})
