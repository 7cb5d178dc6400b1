/** Health that the agent finds out from outside the container: it gates what health gates, and what is unhealthy is started again. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { assertExactly, assertUnchanged } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX, HELLO } from '../engines/image.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, makeBed, remake, tasksOf } from './bed.ts'

let bed: Bed
let hosts: Host[]
beforeAll(async () => {
  bed = await makeBed({ hosts: 2 })
  hosts = bed.cluster.hosts
})
afterAll(() => bed?.hosts.stop())
afterEach(() => remake(bed))

const QUICK = 'interval: 300ms, timeout: 2s, retries: 3, start_period: 0s'
const web = (health: string, replicas = 2) => `
services:
  web:
    image: ${HELLO}
    stop_grace_period: 2s
    x-berth: { health: { ${health}, ${QUICK} } }
    deploy:
      replicas: ${replicas}
      update_config: { order: start-first, parallelism: 1, monitor: 2s, failure_action: rollback }
`
const deploy = (compose: string, ...args: string[]) => bed.cluster.deploy('s', compose, ...args)

test('an http probe gates a rollout: what does not answer well is rolled back, and what served stays', async () => {
  expect(exits(await deploy(web('http: ":8080/"')), 0)).toMatch(/s_web {2}2\/2 healthy/)
  const before = await assertExactly(hosts, { s_web: 2 })
  const said = exits(await deploy(web('http: ":8080/healthz"')), 1)
  expect(said).toMatch(/rolled back/)
  expect(said).toMatch(/unhealthy: GET http:\/\/[\d.]+:8080\/healthz → 404/)
  assertUnchanged(before, await assertExactly(hosts, { s_web: 2 }))
})

test('a service that waits for a healthy one waits for its probe', async () => {
  const late = `
services:
  db:
    image: ${BUSYBOX}
    command: ["sh", "-c", "sleep 3; exec httpd -f -p 5432 -h /tmp"]
    init: true
    x-berth: { health: { tcp: 5432, start_interval: 200ms } }
  api:
    image: ${BUSYBOX}
    depends_on: { db: { condition: service_healthy } }
`
  exits(await deploy(late), 0)
  const [db] = await tasksOf(bed.cluster, 's_db')
  const [api] = await tasksOf(bed.cluster, 's_api')
  expect(db).toMatchObject({ health: 'healthy', attempt: 1 })
  const inspect = (task: typeof db, format: string) =>
    hosts.find(({ name }) => name === task!.node)!.docker('inspect', '-f', format, task!.containerId!)
  const startedAt = Date.parse((await inspect(db, '{{.State.StartedAt}}')).trim())
  const createdAt = Date.parse((await inspect(api, '{{.Created}}')).trim())
  // It listens three seconds after its start, and not before.
  expect(createdAt - startedAt).toBeGreaterThanOrEqual(3_000)
})

test('a container that becomes unhealthy is started again in place, with back-off, until it is healthy', async () => {
  exits(await deploy(web('http: ":8080/"', 1)), 0)
  const [task] = await tasksOf(bed.cluster, 's_web')
  const host = hosts.find(({ name }) => name === task!.node)!
  await host.docker('exec', task!.containerId!, 'mv', '/www/index.html', '/www/away')
  await until(async () => (await tasksOf(bed.cluster, 's_web'))[0]!.attempt >= 3, 'two restarts')
  await until(
    () =>
      host.docker('exec', task!.containerId!, 'mv', '/www/away', '/www/index.html').then(
        () => true,
        () => false,
      ),
    'the page to be put back',
  )
  await until(async () => (await tasksOf(bed.cluster, 's_web'))[0]!.health === 'healthy', 'the task to be healthy')
  expect(await tasksOf(bed.cluster, 's_web')).toMatchObject([
    { id: task!.id, containerId: task!.containerId, state: 'running' },
  ])
})

test('what is in trouble is sampled at full rate, and it is told why', async () => {
  const two = `
services:
  young: { image: ${BUSYBOX}, command: ["sleep", "1000"], x-berth: { sampling: { full: 2s, calm: 30s } } }
  sick:
    image: ${BUSYBOX}
    command: ["sleep", "1000"]
    restart: "no"
    x-berth: { health: { tcp: 5432, ${QUICK} } }
`
  await deploy(two, '--detach')
  const samplingOf = async (service: string) => (await tasksOf(bed.cluster, service))[0]?.sampling
  await until(async () => (await samplingOf('s_sick'))?.because === 'unhealthy', 'the sick one to be looked at closely')
  await until(
    async () => (await samplingOf('s_young'))?.because === 'starting',
    'the young one to be looked at closely',
  )
  expect(await samplingOf('s_sick')).toMatchObject({ everyMs: 1_000 })
  expect(await samplingOf('s_young')).toMatchObject({ everyMs: 2_000 })
  expect(exits(await bed.cluster.berth('why', 's_sick.1'), 0)).toMatch(/its load is read every 1 s: it is unhealthy/)
})
