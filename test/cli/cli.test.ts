import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { NodeDocument, ProgressDocument, StatusDocument, TaskDocument } from '../../shared/api.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { crash } from '../build/cluster.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { until } from '../build/until.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

const compose = `
services:
  api:
    image: example/api:1
    deploy: { replicas: 3 }
  web:
    image: example/web:1
    depends_on: [api]
`

async function berth(server: ApiServer, ...args: string[]) {
  return run(BERTH, args, { env: await server.env(), limitMs: 30_000 })
}

async function composeFile(text = compose): Promise<string> {
  const path = join(await temporaryFolder(), 'compose.yaml')
  await writeFile(path, text)
  return path
}

describe('wrong usage exits 2 and says what was probably meant', () => {
  test.each([
    [['statuss'], 'Did you mean status?'],
    [['stats'], "missing required argument 'SERVICE|TASK|STACK|NODE'"],
    [['stats', 'shop_api', '--reduce', 'median'], 'Allowed choices are mean, max, min'],
    [['stats', 'shop_api', '--since', 'yesterday'], 'Write it like 30s, 10m, 2h or 2026-11-26T10:00:00Z.'],
    [['top', '--sort', 'cpus'], 'Allowed choices are cpu, memory'],
    [['status', '--jsn'], 'Did you mean --json?'],
    [['scale'], "missing required argument 'SERVICE=N'"],
    [['scale', 'shop_api'], 'write it like shop_api=5'],
    [['deploy', '--timeout', 'soon'], 'Write it like 30s, 10m or 2h.'],
    [['logs', 'shop', '--tail', 'all'], 'It must be a whole number.'],
    [['token', 'rotate', 'both'], 'rotate join or operator'],
    [['node', 'label', 'n1', '=x'], 'KEY=VALUE'],
    [['node', 'taint', 'n1', 'gpu=yes'], 'KEY=VALUE:EFFECT'],
    [['node', 'set', 'n1', 'cpu-overcomit=2'], 'did you mean "cpu-overcommit"?'],
    [['node', 'set', 'n1', 'cpu-overcommit=1000'], 'cpu-overcommit cannot be 1000; it is a factor from 0.01 to 100'],
    [['cluster', 'set', 'polcy=spread'], 'did you mean "policy"?'],
    [['agent', '--resource', 'gpu'], 'Write it like gpu=2.'],
  ])('berth %j', async (args, words) => {
    const env = {
      PATH: process.env.PATH,
      HOME: await temporaryFolder(),
      BERTH_URL: 'https://127.0.0.1:1',
      BERTH_TOKEN: 'x',
    }
    const { exit, stderr, stdout } = await run(BERTH, args, { env })
    expect([exit, stdout]).toEqual([2, ''])
    expect(stderr).toContain(words)
  })

  test('without any coordinator to go by', async () => {
    const env = {
      PATH: process.env.PATH,
      HOME: await temporaryFolder(),
      BERTH_URL: 'http://10.0.0.5',
      BERTH_TOKEN: 'x',
    }
    const { exit, stderr } = await run(BERTH, ['status'], { env })
    expect(exit).toBe(2)
    expect(stderr).toContain('write it like https://10.0.0.5:23784')
  })
})

describe('a coordinator that cannot be reached or does not let us in exits 3', () => {
  const env = async (url: string, more: NodeJS.ProcessEnv = {}) => ({
    ...{ PATH: process.env.PATH, HOME: await temporaryFolder(), BERTH_URL: url, BERTH_TOKEN: 'x' },
    ...more,
  })

  test('nobody listens there', async () => {
    const { exit, stderr } = await run(BERTH, ['status'], { env: await env('https://127.0.0.1:1') })
    expect(exit).toBe(3)
    expect(stderr).toBe(
      'cannot reach the coordinator at https://127.0.0.1:1 (connection refused). Is berth-coordinator running there? journalctl -u berth-coordinator\n',
    )
  })

  test('something listens that closes every connection', async () => {
    const server: Server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const { exit, stderr } = await run(BERTH, ['status'], { env: await env(`https://127.0.0.1:${port}`) })
    expect([exit, /cannot reach the coordinator/.test(stderr)]).toEqual([3, true])
  })

  test('its certificate is not from our CA', async () => {
    const server = await anApiServer([])
    const { exit, stderr } = await run(BERTH, ['status', '--json'], { env: await env(server.url) })
    expect(exit).toBe(3)
    expect(JSON.parse(stderr)).toMatchObject({ code: 'certificate-mismatch', url: server.url })
  })

  test('the token is wrong', async () => {
    const server = await anApiServer([])
    const { exit, stderr } = await run(BERTH, ['status'], { env: { ...(await server.env()), BERTH_TOKEN: 'wrong' } })
    expect([exit, stderr]).toEqual([3, 'the operator token is wrong or was rotated; `berth login` takes the new one\n'])
  })
})

describe('berth deploy', () => {
  test('waits until the stack is up, tells each service in plain lines where there is no terminal, and exits 0', async () => {
    const server = await anApiServer()
    const { exit, stdout, stderr } = await berth(server, 'deploy', '-f', await composeFile(), '--stack', 'shop')
    expect([exit, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^shop_api {2}3\/3 running/m)
    expect(stdout).toMatch(/^shop_web {2}1\/1 running/m)
  })

  test('with --json answers one document, the last picture', async () => {
    const server = await anApiServer()
    const { exit, stdout } = await berth(server, 'deploy', '-f', await composeFile(), '--stack', 'shop', '--json')
    const document = JSON.parse(stdout) as ProgressDocument
    expect([exit, document.outcome, document.services.length]).toEqual([0, 'up', 2])
  })

  test('names file, line and field of what is wrong in the file, changes nothing and exits 2', async () => {
    const server = await anApiServer()
    const file = await composeFile(compose.replace('replicas: 3', 'replicas: three'))
    const { exit, stderr } = await berth(server, 'deploy', '-f', file, '--stack', 'shop')
    expect(exit).toBe(2)
    expect(stderr).toMatch(/compose\.yaml:5:\d+ {2}services\.api\.deploy\.replicas: /)
    expect(server.cluster.world.stacks.size).toBe(0)
  })

  test('says that a file is not there and exits 2', async () => {
    const { exit, stderr } = await berth(await anApiServer(), 'deploy', '-f', '/nowhere/compose.yaml')
    expect([exit, /there is no file \/nowhere\/compose\.yaml/.test(stderr)]).toEqual([2, true])
  })

  test('that times out exits 4 and says what is missing and why', async () => {
    const server = await anApiServer()
    const file = await composeFile(
      compose.replace('replicas: 3', 'placement: { constraints: [node.labels.disk == ssd] }'),
    )
    const { exit, stderr } = await berth(server, 'deploy', '-f', file, '--stack', 'shop', '--timeout', '1s')
    expect(exit).toBe(4)
    expect(stderr).toContain('shop is not up after 1.0 s; it goes on (berth deploy --attach shop comes back). Missing:')
    expect(stderr).toContain('n1, n2: constraint: node.labels.disk == ssd, it has none')
  })

  test('of a job that fails exits 1 with the task, its node and its exit', async () => {
    const server = await anApiServer(['n1'])
    const file = await composeFile('services:\n  job:\n    image: example/job:1\n    restart: "no"\n')
    const deploying = berth(server, 'deploy', '-f', file, '--stack', 'shop')
    const timer = setInterval(() => {
      for (const id of server.cluster.world.tasks.keys()) crash(server.cluster, 'n1', id, 'failed')
    }, 3)
    const { exit, stdout, stderr } = await deploying
    clearInterval(timer)
    expect(exit).toBe(1)
    expect(stdout).toContain('✗ failed')
    expect(stdout).toContain('shop_job.1 on n1: failed')
    expect(stderr).toContain('shop failed; berth events --stack shop')
  })

  test('with --detach answers at once; --attach follows it to the end', async () => {
    const server = await anApiServer()
    const detached = await berth(server, 'deploy', '-f', await composeFile(), '--stack', 'shop', '--detach')
    expect([detached.exit, detached.stdout]).toEqual([
      0,
      'shop  deployment 1 is on its way; berth deploy --attach shop follows it\n',
    ])
    expect((await berth(server, 'deploy', '--attach', 'shop')).exit).toBe(0)
    expect((await berth(server, 'deploy', '--attach', 'nope')).exit).toBe(2)
  })

  test('goes on waiting while nothing moves, and ends when it does', async () => {
    const server = await anApiServer()
    server.pause()
    const deploying = berth(server, 'deploy', '-f', await composeFile(), '--stack', 'shop')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    server.resume()
    expect((await deploying).exit).toBe(0)
  })
})

describe('a deployed stack', () => {
  async function deployed(): Promise<ApiServer> {
    const server = await anApiServer()
    expect((await berth(server, 'deploy', '-f', await composeFile(), '--stack', 'shop')).exit).toBe(0)
    return server
  }

  test('is looked at through every list', async () => {
    const server = await deployed()
    const status = await berth(server, 'status')
    expect(status.stdout).toMatch(
      /^cluster berth-test {3}2 nodes ready {2,}coordinator 10\.0\.0\.5, up 6\d s, store 18 MiB/,
    )
    expect(status.stdout).toMatch(/^tasks {3}4 running, 0 waiting, 0 restarting$/m)
    expect((await berth(server, 'nodes')).stdout).toMatch(/^n1 +ready +\d/m)
    expect((await berth(server, 'services')).stdout).toMatch(/^shop_api +3\/3 +replicated +running +1 +example\/api:1/m)
    expect((await berth(server, 'services', 'shop_api')).stdout).toContain('shop_api')
    expect((await berth(server, 'stacks')).stdout).toMatch(/^shop +2 +4\/4 +up +1/m)
    expect((await berth(server, 'ps', 'shop_api')).stdout.trim().split('\n')).toHaveLength(4)
    expect((await berth(server, 'ps', 'shop_api.1')).stdout.trim().split('\n')).toHaveLength(2)
    const tasks = JSON.parse((await berth(server, 'ps', '--json')).stdout) as TaskDocument[]
    expect(tasks.map(({ name }) => name)).toEqual(['shop_api.1', 'shop_api.2', 'shop_api.3', 'shop_web.1'])
    expect((JSON.parse((await berth(server, 'status', '--json')).stdout) as StatusDocument).problems).toEqual([])
  })

  test('is scaled up and down, waited for both ways, and removed', async () => {
    const server = await deployed()
    expect((await berth(server, 'scale', 'shop_api=5')).exit).toBe(0)
    expect((await berth(server, 'services', 'shop_api')).stdout).toContain('5/5')
    expect((await berth(server, 'scale', 'shop_api=1', 'shop_web=2')).exit).toBe(0)
    expect((await berth(server, 'ps', 'shop')).stdout.trim().split('\n')).toHaveLength(4)
    const removed = await berth(server, 'rm', 'shop')
    expect([removed.exit, removed.stdout.endsWith('shop  removed\n')]).toEqual([0, true])
    const again = await berth(server, 'rm', 'shop')
    expect([again.exit, again.stderr]).toEqual([2, 'there is no stack shop; `berth stacks` lists them\n'])
  })

  test('stays on a node that is drained where its volume is: the drain ends and says so', async () => {
    const server = await anApiServer()
    const withVolume = 'services: { db: { image: "db:1", volumes: ["d:/d"] } }\nvolumes: { d: {} }'
    expect((await berth(server, 'deploy', '-f', await composeFile(withVolume), '--stack', 's')).exit).toBe(0)
    const [task] = JSON.parse((await berth(server, 'ps', '--json')).stdout) as TaskDocument[]
    const { exit, stderr } = await berth(server, 'drain', task?.node ?? '')
    expect(exit).toBe(1)
    expect(stderr).toBe(
      `${task?.node} takes no new tasks, and 1 task cannot leave it; berth rm or berth scale ends them:\n` +
        '  s_db.1  its volume s_d is here\n',
    )
  })

  test('leaves a node that is drained', async () => {
    const server = await deployed()
    const { exit, stdout } = await berth(server, 'drain', 'n1')
    expect([exit, stdout.split('\n').at(-2)]).toEqual([0, 'n1  drained; berth activate n1 lets tasks come again'])
    const nodes = JSON.parse((await berth(server, 'nodes', '--json')).stdout) as NodeDocument[]
    expect(nodes.map(({ name, tasks }) => [name, tasks.total])).toEqual([
      ['n1', 0],
      ['n2', 4],
    ])
    expect((await berth(server, 'activate', 'n1')).exit).toBe(0)
    await berth(server, 'node', 'label', 'n1', 'disk=ssd')
    expect((await berth(server, 'nodes')).stdout).toContain('disk=ssd')
  })

  test('keeps off a node that is tainted, and a node that is set says what may be promised of it', async () => {
    const server = await deployed()
    const { stdout: said } = await berth(server, 'node', 'taint', 'n1', 'gpu=yes:no-execute')
    expect(said).toBe('n1  taint gpu=yes:no-execute set\n')
    await until(() => (server.cluster.world.tasksByNode.get('n1')?.size ?? 0) === 0)
    const set = await berth(server, 'node', 'set', 'n1', 'cpu-overcommit=2', 'memory-reserve=1G', '--json')
    expect([set.exit, JSON.parse(set.stdout)]).toEqual([0, { revision: expect.any(Number) }])
    const { stdout } = await berth(server, 'nodes', 'n1')
    expect(stdout).toMatch(/^n1 +ready, tainted +0/m)
    expect(stdout).toContain('cpu      0 of 8 promised  (has 4, times 2)\n')
    expect(stdout).toContain('memory   0 B of 7 GiB promised  (has 8 GiB, 1 GiB kept back)\n')
    expect(stdout).toContain('taint    gpu=yes:no-execute\n')
    const twice = await berth(server, 'node', 'taint', 'n1', 'slow-')
    expect([twice.exit, twice.stderr]).toEqual([2, 'n1 has no taint slow; it has gpu\n'])
    expect((await berth(server, 'nodes', 'n9')).stderr).toBe('there is no node n9; `berth nodes` lists them\n')
  })

  test('of a cluster whose policy is set gets it from then on', async () => {
    const server = await anApiServer(['n1', 'n2', 'n3'])
    expect((await berth(server, 'cluster', 'set', 'policy=first-fit')).exit).toBe(0)
    await berth(server, 'deploy', '-f', await composeFile(), '--stack', 'shop')
    const [first] = JSON.parse((await berth(server, 'nodes', '--json')).stdout) as NodeDocument[]
    expect(first?.tasks.total).toBe(4)
  })

  test('shows the lines of its tasks in order of time, each with its task', async () => {
    const server = await deployed()
    const idOf = (name: string) => [...server.cluster.world.tasks.keys()].find((id) => id.startsWith(name)) ?? ''
    server.logs.set(idOf('shop_api.1'), ['a0', 'a1'])
    server.logs.set(idOf('shop_web.1'), ['w0', 'w1'])
    const { stdout } = await berth(server, 'logs', 'shop')
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' | ')[1]),
    ).toEqual(['a0', 'w0', 'a1', 'w1'])
    expect(stdout).toContain('shop_api.1 | a0')
    expect((await berth(server, 'logs', 'shop_web', '--tail', '1')).stdout).toBe('shop_web.1 | w1\n')
  })
})

test.each([
  [['events', '--since', 'soon'], /^option '--since <TIME>' argument 'soon' is invalid/],
  [['statuss'], /^unknown command 'statuss'/],
  [['scale'], /^missing required argument/],
  [['node', 'rm'], /^missing required argument 'NODE'/],
])('wrong usage is told as data with --json: %s', async (args, message) => {
  const { exit, stdout, stderr } = await run(BERTH, [...args, '--json'], { env: { PATH: process.env.PATH } })
  expect([exit, stdout, JSON.parse(stderr)]).toEqual([
    2,
    '',
    { code: 'invalid-request', message: expect.stringMatching(message) },
  ])
})

test('events are told oldest first with their types, warnings marked', async () => {
  const server = await anApiServer()
  const at = Date.UTC(2026, 10, 23, 10, 4, 11)
  server.tell({ at, kind: 'node-joined', level: 'info', message: 'node n1 joined' })
  server.tell({ at, kind: 'node-lost', level: 'warning', message: 'node n1 is\nlost' })
  const { stdout } = await berth(server, 'events')
  expect(stdout).toBe(
    '2026-11-23 10:04:11  node-joined           node n1 joined\n2026-11-23 10:04:11  node-lost           ! node n1 is lost\n',
  )
})

test('that no event is as was asked for is said, as a name may be misspelt', async () => {
  const none = await berth(await anApiServer(), 'events', '--node', 'n7', '--type', 'node-*')
  const said =
    'of the events that are kept none is of type node-* and of node n7; without options the newest are shown, each with its type\n'
  expect([none.exit, none.stdout, none.stderr]).toEqual([0, '', said])
})

describe('login', () => {
  test('with the fingerprint alone fetches the CA, tries the token, and keeps both for nobody else to read', async () => {
    const server = await anApiServer()
    const home = await temporaryFolder()
    const env = { PATH: process.env.PATH, HOME: home }
    const args = ['login', server.url, '--token-stdin', '--fingerprint', server.security.joinToken()]
    const login = await run(BERTH, args, { env, stdin: `${server.token}\n` })
    expect([login.exit, login.stderr]).toEqual([0, ''])
    const path = join(home, '.config/berth/config.json')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await run(BERTH, ['status'], { env })).exit).toBe(0)
    const rotated = await run(BERTH, ['token', 'rotate', 'operator'], { env })
    expect(rotated.exit).toBe(0)
    expect(JSON.parse(await readFile(path, 'utf8')).token).toBe(rotated.stdout.trim())
    expect((await run(BERTH, ['status'], { env })).exit).toBe(0)
  })

  test('with the fingerprint of another CA keeps nothing and exits 3', async () => {
    const server = await anApiServer()
    const env = { PATH: process.env.PATH, HOME: await temporaryFolder() }
    const args = ['login', server.url, '--token-stdin', '--fingerprint', 'ab'.repeat(32)]
    const { exit } = await run(BERTH, args, { env, stdin: server.token })
    expect(exit).toBe(3)
    await expect(stat(join(env.HOME, '.config/berth/config.json'))).rejects.toThrow()
  })
})

test('`berth token join` prints the line for hosts, `berth token show join` the token alone', async () => {
  const server = await anApiServer()
  expect((await berth(server, 'token', 'show', 'join')).stdout).toBe(`${server.security.joinToken()}\n`)
  expect((await berth(server, 'token', 'join')).stdout).toMatch(/^curl .*install\.sh \| /)
})
