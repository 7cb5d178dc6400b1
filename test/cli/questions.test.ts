import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Check } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { parseNode } from '../../cli/commands/what-if.ts'
import { PlanDocument, WhatIfDocument, WhyDocument } from '../../shared/api.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { crash } from '../build/cluster.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

async function berth(server: ApiServer, ...args: string[]) {
  return run(BERTH, args, { env: await server.env(), limitMs: 30_000 })
}

/** Two nodes of 4 cores and 8 GiB, and whatever the file says. */
async function aServerWith(compose: string): Promise<{ server: ApiServer; file: string }> {
  const server = await anApiServer()
  const file = join(await temporaryFolder(), 'compose.yaml')
  await writeFile(file, compose)
  await berth(server, 'deploy', '-f', file, '--stack', 'shop', '--timeout', '2s')
  return { server, file }
}

const WEB = `
services:
  web:
    image: example/web:1
    deploy: { replicas: 3 }
`
const TOO_MANY = `
services:
  worker:
    image: example/worker:1
    deploy: { replicas: 3, resources: { reservations: { cpus: '3' } } }
`

describe('berth why', () => {
  test('a task: where it is, by which policy, and what else was considered', async () => {
    const { server } = await aServerWith(WEB)
    const { exit: code, stdout } = await berth(server, 'why', 'shop_web.1')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^shop_web\.1 runs on n\d since .*, chosen by spread among 2 nodes/)
    expect(stdout).toMatch(/node +fits .*\n +n\d +yes .*← chosen\n +n\d +yes/)
    const { stdout: json } = await berth(server, 'why', 'shop_web.1', '--json')
    const answer = JSON.parse(json)
    expect(Check(WhyDocument, answer)).toBe(true)
    expect(answer.placements[0]).toMatchObject({ policy: 'spread', considered: 2, fitting: 2, asOf: 'placement' })
  })

  test('a service whose tasks wait: by check, counted, and the smallest change', async () => {
    const { server } = await aServerWith(TOO_MANY)
    const { stdout } = await berth(server, 'why', 'shop_worker')
    expect(stdout).toMatch(/^shop_worker wants 3, runs 2\. shop_worker\.\d waits since/)
    expect(stdout).toContain('cpu: 2 of 2 nodes, short by 2 CPU')
    expect(stdout).toMatch(/smallest change: reserve 1 CPU or less \(n1\)/)
  })

  test('a task that is started again and again: what ended it, and why it is started again', async () => {
    const { server } = await aServerWith(WEB)
    server.pause()
    const [task] = [...server.cluster.world.tasksByNode.get('n1')!]
    crash(server.cluster, 'n1', task!.id)
    const { stdout } = await berth(server, 'why', `shop_web.${task!.slot}`)
    expect(stdout).toContain('is started again: its restart policy is any')
  })

  test('a service that waits for another says for which', async () => {
    const { server } = await aServerWith(`
services:
  big: { image: 'example/big:1', deploy: { replicas: 3, resources: { reservations: { cpus: '3' } } } }
  web: { image: 'example/web:1', depends_on: { big: { condition: service_healthy } } }
`)
    const { stdout } = await berth(server, 'why', 'shop_web')
    expect(stdout).toMatch(/shop_web wants 1, runs 0: it waits for shop_big/)
    expect(stdout).toMatch(/version 1 waits for shop_big \(service_healthy\): 2 of 3 healthy +→ berth why shop_big/)
  })

  test('a task that is gone is told of from what happened', async () => {
    const { server } = await aServerWith(WEB)
    const at = Date.now()
    server.tell({
      at,
      kind: 'task-stopping',
      level: 'info',
      message: 'shop_old.1.x is stopped: scaled to 0',
      service: 'shop_old',
      task: 'shop_old.1.x',
    })
    const { stdout } = await berth(server, 'why', 'shop_old.1')
    expect(stdout).toContain(
      'shop_old.1 is not there any more; the last that happened: shop_old.1.x is stopped: scaled to 0',
    )
  })

  test('of what nobody has heard is said, with a guess', async () => {
    const { server } = await aServerWith(WEB)
    const { exit: code, stderr } = await berth(server, 'why', 'web')
    expect([code, stderr.trim()]).toEqual([2, 'there is no service and no task web; did you mean shop_web?'])
  })

  test('status and a deployment that waits point to it', async () => {
    const { server, file } = await aServerWith(TOO_MANY)
    expect((await berth(server, 'status')).stdout).toContain('→ berth why shop_worker')
    const { exit: code, stderr } = await berth(server, 'deploy', '-f', file, '--stack', 'shop', '--timeout', '1s')
    expect(code).toBe(4)
    expect(stderr).toContain('berth why shop_worker tells what would let them run')
  })
})

describe('berth plan', () => {
  test('of what is deployed already changes nothing: exit 0', async () => {
    const { server, file } = await aServerWith(WEB)
    const { exit: code, stdout } = await berth(server, 'plan', '-f', file, '--stack', 'shop')
    expect(stdout).toContain('shop_web  no change\nnothing would change; after this any one node could be lost')
    expect(code).toBe(0)
  })

  test('tells what would be replaced, placed and removed, and does none of it: exit 5', async () => {
    const { server, file } = await aServerWith(WEB)
    await writeFile(
      file,
      `${WEB.replace('web:1', 'web:2')}  cache: { image: 'example/cache:1', deploy: { replicas: 2 } }\n`,
    )
    const { exit: code, stdout } = await berth(server, 'plan', '-f', file, '--stack', 'shop')
    expect(stdout).toContain('change image example/web:1 → example/web:2   3 tasks replaced   1 at a time, stop-first')
    expect(stdout).toMatch(/shop_cache +new +2 tasks placed +→ n1, n2/)
    expect(code).toBe(5)
    expect(server.cluster.world.services.has('shop_cache')).toBe(false)
    const { stdout: json } = await berth(server, 'plan', '-f', file, '--stack', 'shop', '--json')
    expect(Check(PlanDocument, JSON.parse(json))).toBe(true)
  })

  test('what would find no room is told with the reason and the smallest change: exit 1', async () => {
    const { server, file } = await aServerWith(WEB)
    await writeFile(file, TOO_MANY)
    const { exit: code, stdout } = await berth(server, 'plan', '-f', file, '--stack', 'shop')
    expect(stdout).toMatch(/shop_worker +new +2 tasks placed, 1 would wait/)
    expect(stdout).toContain('    cpu: 2 of 2 nodes, short by 2 CPU')
    expect(stdout).toMatch(/shop_web +removed +3 tasks stopped/)
    expect(stdout).toContain('1 task would wait')
    expect(code).toBe(1)
  })

  test('what would be refused is told in the words of the refusal: exit 1', async () => {
    const { server, file } = await aServerWith(WEB)
    await writeFile(file, TOO_MANY.replace("'3'", "'99'"))
    const { exit: code, stdout } = await berth(server, 'plan', '-f', file, '--stack', 'shop')
    expect(stdout).toMatch(/^✗ refused: shop_worker reserves 99 cores/)
    expect(code).toBe(1)
  })

  test('which node could be lost afterwards, and which not', async () => {
    const { server, file } = await aServerWith(WEB)
    await writeFile(file, `${WEB}  db: { image: 'example/db:1', volumes: ['data:/data'] }\nvolumes: { data: {} }\n`)
    const { stdout } = await berth(server, 'plan', '-f', file, '--stack', 'shop')
    expect(stdout).toMatch(
      /after this n\d could be lost and everything would still fit\n {2}n\d could not: shop_db has its volume shop_data there/,
    )
  })

  test('a file that cannot be read is wrong usage: exit 2', async () => {
    const { server, file } = await aServerWith(WEB)
    await writeFile(file, 'services: { web: { image: x, deploy: { replicas: many } } }')
    expect((await berth(server, 'plan', '-f', file)).exit).toBe(2)
  })
})

describe('berth what-if', () => {
  test('who would give way to a higher priority is named', async () => {
    const room = "deploy: { resources: { reservations: { cpus: '3' } } }"
    const high = `high: { image: 'example/high:1', ${room}, x-berth: { priority: high } }`
    const low = `low: { image: 'example/low:1', ${room}, x-berth: { priority: low } }`
    const { server } = await aServerWith(`services:\n  ${high}\n  ${low}\n`)
    const { stdout } = await berth(server, 'what-if', '--scale', 'shop_high=2')
    expect(stdout).toContain('! 1 task of lower priority would be preempted: shop_low.1\n')
  })

  test('a node is lost: its tasks find room elsewhere, exit 0', async () => {
    const { server } = await aServerWith(WEB)
    const { exit: code, stdout } = await berth(server, 'what-if', '--lose', 'n1')
    expect(stdout).toMatch(/^n1 lost: \d tasks? needs? a place: \d fit, 0 do not\n/)
    expect(stdout).toMatch(/shop_web\.\d {2}move {2}n1 → n2/)
    expect(code).toBe(0)
    expect(server.cluster.world.nodes.get('n1')?.status.name).toBe('ready')
  })

  test('what would have no place: exit 1, and how short it is', async () => {
    const { server } = await aServerWith(TOO_MANY.replace('replicas: 3', 'replicas: 2'))
    const { exit: code, stdout } = await berth(server, 'what-if', '--lose', 'n1')
    expect(stdout).toContain('n1 lost: 1 task needs a place: 0 fit, 1 do not')
    expect(stdout).toContain('cpu: 1 of 2 nodes, short by 2 CPU')
    expect(code).toBe(1)
    const { stdout: json } = await berth(server, 'what-if', '--lose', 'n1', '--json')
    expect(Check(WhatIfDocument, JSON.parse(json))).toBe(true)
  })

  test('several things at once', async () => {
    const { server } = await aServerWith(TOO_MANY.replace('replicas: 3', 'replicas: 2'))
    const args = ['--lose', 'n1', '--add', 'cpu=8,memory=32G,labels.zone=a,count=2', '--scale', 'shop_worker=4']
    const { exit: code, stdout } = await berth(server, 'what-if', ...args)
    expect(stdout).toMatch(/^n1 lost, 2 nodes added, shop_worker 2 → 4: 3 tasks need a place: 3 fit, 0 do not/)
    expect(code).toBe(0)
  })

  test.each<[string[], string]>([
    [['--lose', 'n9'], 'there is no node n9; nodes are n1, n2'],
    [['--lose-label', 'zone'], '"zone" is no label; write --lose-label like zone=a'],
    [['--lose-label', 'zone=a'], 'no node has the label zone=a; no node has a label zone'],
    [['--scale', 'shop_x=2'], 'there is no service shop_x; services are shop_web'],
    [['--scale', 'shop_web=many'], '"shop_web=many" is no scale; write it like shop_api=5'],
    [['--scale', 'shop_web=1', '--scale', 'shop_web=2'], 'shop_web cannot be scaled to 1 and to 2 at the same time'],
    [['--add', 'cpu=8'], '--add cpu=8: memory is missing; write it like cpu=8,memory=32G,labels.zone=a,count=2'],
    [['--add', 'cpu=8,memory=2GBB'], 'memory must be a size such as 512M or 32G, not "2GBB"'],
    [[], 'say what should be supposed: --lose NODE'],
  ])('%j is refused with a sentence: exit 2', async (args, message) => {
    const { server } = await aServerWith(WEB)
    const { exit: code, stderr } = await berth(server, 'what-if', ...args)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })
})

test('a node to add is read with all its parts', () => {
  expect(
    parseNode('cpu=1.5,memory=512M,disk=1G,labels.zone=a,labels.disk=ssd,generic.gpu=2,arch=arm64,count=3'),
  ).toEqual({
    cpuCores: 1.5,
    memoryBytes: 512 * 2 ** 20,
    diskBytes: 2 ** 30,
    labels: { zone: 'a', disk: 'ssd' },
    generic: { gpu: 2 },
    arch: 'arm64',
    count: 3,
  })
})
