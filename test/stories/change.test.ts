/** What runs becomes something else: rollouts that go well, rollouts that do not, restarts in place, jobs. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type {
  EventDocument,
  IncidentDocument,
  IncidentsDocument,
  ServiceDetail,
  TaskDocument,
} from '../../shared/api.ts'
import { assertExactly, assertUnchanged, type Placed, type Snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX, BUSYBOX_2, FAILING, HEALTHY, SICK } from '../engines/image.ts'
import { stays, until } from '../engines/until.ts'
import { type Bed, exits, makeBed, remake, tasksOf } from './bed.ts'
import { watch } from './timeline.ts'

let bed: Bed
let hosts: Host[]
beforeAll(async () => {
  bed = await makeBed()
  hosts = bed.cluster.hosts
})
afterAll(() => bed?.hosts.stop())
afterEach(() => remake(bed))

/** A stack with one service `web`. `update` is what stands in its update_config. */
function web(image: string, replicas: number, update: string, more = ''): string {
  return `
services:
  web:
    image: ${image}
    stop_grace_period: 2s${more}
    deploy:
      replicas: ${replicas}
      update_config: { monitor: 1s, ${update} }
      rollback_config: { monitor: 1s, order: start-first }
`
}

/** Of the service's rollout that failed, with its lines. */
function rolloutIncident(service: string): Promise<IncidentDocument> {
  return until(async () => {
    const { items } = await bed.cluster.api<IncidentsDocument>('GET', `/v1/incidents?service=${service}`)
    const failed = items.find(({ kind }) => kind === 'rollout-failed')
    if (failed === undefined) throw new Error(`incidents: ${JSON.stringify(items)}`)
    const found = await bed.cluster.api<IncidentDocument>('GET', `/v1/incidents/${failed.number}`)
    if (found.lines.state !== 'kept') throw new Error('its lines are not kept yet')
    return found
  }, `the incident of the rollout of ${service}`)
}

const deploy = (compose: string, ...args: string[]) => bed.cluster.deploy('s', compose, ...args)

describe('a changed image', () => {
  test('start-first: the new task of each pair runs before the old one goes, so many pairs at a time', async () => {
    const update = 'order: start-first, parallelism: 2'
    exits(await deploy(web(BUSYBOX, 4, update)), 0)
    await assertExactly(hosts, { s_web: 4 })
    const watching = await watch(hosts, 's_web')
    expect(exits(await deploy(web(BUSYBOX_2, 4, update)), 0)).toMatch(/s_web {2}4\/4 running/)
    const { running, started } = await watching.stop()
    expect(running.least).toBe(4)
    expect(running.most).toBeLessThanOrEqual(6)
    expect(started).toBe(4)
    expect(images(await assertExactly(hosts, { s_web: 4 }))).toEqual([BUSYBOX_2])
  })

  test('stop-first, one at a time: never more than before, and never more than one missing', async () => {
    const update = 'order: stop-first, parallelism: 1, delay: 200ms'
    exits(await deploy(web(BUSYBOX, 3, update)), 0)
    const watching = await watch(hosts, 's_web')
    exits(await deploy(web(BUSYBOX_2, 3, update)), 0)
    expect(await watching.stop()).toMatchObject({ running: { least: 2, most: 3 }, started: 3 })
    expect(images(await assertExactly(hosts, { s_web: 3 }))).toEqual([BUSYBOX_2])
  })

  test('of a service with a healthcheck: what serves stays until its successor is healthy', async () => {
    const slow = (version: number) => `
    environment: { VERSION: "${version}" }
    command: ["sh", "-c", "sleep 1; touch /ready; trap 'exit 0' TERM; while :; do sleep 1000 & wait $$!; done"]
    healthcheck: { test: "test -e /ready", interval: 300ms, start_period: 20s }`
    const update = 'order: start-first, parallelism: 1'
    exits(await deploy(web(BUSYBOX, 2, update, slow(1))), 0)
    const before = await assertExactly(hosts, { s_web: 2 })
    const watching = await watch(hosts, 's_web')
    expect(exits(await deploy(web(BUSYBOX, 2, update, slow(2))), 0)).toMatch(/s_web {2}2\/2 healthy/)
    const { healthy, running } = await watching.stop()
    expect(healthy.least).toBe(2)
    expect(running.most).toBe(3)
    const after = await assertExactly(hosts, { s_web: 2 })
    expect([...after.keys()].filter((id) => before.has(id))).toEqual([])
  })

  test('with a fixed host port on every node: the old one makes room for the new one after all', async () => {
    const ports = '\n    ports: ["8090:8080"]'
    exits(await deploy(web(BUSYBOX, 3, 'order: start-first', ports)), 0)
    exits(await deploy(web(BUSYBOX_2, 3, 'order: start-first', ports)), 0)
    expect(images(await assertExactly(hosts, { s_web: 3 }))).toEqual([BUSYBOX_2])
  })
})

describe('a version that does not work', () => {
  test('is rolled back by itself, exit 1, with the reason; what was not replaced is not touched', async () => {
    const update = 'order: start-first, parallelism: 1, failure_action: rollback'
    exits(await deploy(web(HEALTHY, 3, update)), 0)
    const before = await assertExactly(hosts, { s_web: 3 })
    const watching = await watch(hosts, 's_web')
    const said = exits(await deploy(web(SICK, 3, update)), 1)
    expect(said).toMatch(/^s_web {2}✗ rolled back to version 1: 1 of 3 failed\n {2}s_web\.\d on host-\d: unhealthy/m)
    expect(said).toMatch(/^s was rolled back; berth events --stack s · berth ps s$/m)
    expect((await watching.stop()).healthy.least).toBe(3)
    await assertExactly(hosts, { s_web: 3 }, { since: before })
    const service = await bed.cluster.json<ServiceDetail>('services', 's_web')
    expect(service).toMatchObject({ version: 1, image: HEALTHY, rollout: { state: 'rolled-back' } })
    const { problems } = await bed.cluster.status()
    expect(problems).toMatchObject([{ kind: 'rollout-rolled-back', service: 's_web' }])
    // The one before is deployed again: content with what runs, and the problem is over.
    exits(await deploy(web(HEALTHY, 3, update)), 0)
    await assertExactly(hosts, { s_web: 3 }, { since: before })
  })

  test('pauses the rollout, exit 1; the rest of the old ones run on, and a good version goes on from there', async () => {
    const update = 'order: stop-first, parallelism: 1, failure_action: pause'
    exits(await deploy(web(HEALTHY, 3, update)), 0)
    const before = await assertExactly(hosts, { s_web: 3 })
    const said = exits(await deploy(web(SICK, 3, update)), 1)
    expect(said).toMatch(/^s_web {2}✗ failed: 1 of 3 failed\n {2}s_web\.\d on host-\d: unhealthy/m)
    const paused = await assertExactly(hosts, { s_web: 3 })
    expect(imageCounts(paused)).toEqual({ [HEALTHY]: 2, [SICK]: 1 })
    assertUnchanged(new Map([...before].filter(([id]) => paused.has(id))), paused)
    exits(await deploy(web(HEALTHY, 3, update)), 0)
    const after = await assertExactly(hosts, { s_web: 3 })
    expect(imageCounts(after)).toEqual({ [HEALTHY]: 3 })
    assertUnchanged(new Map([...before].filter(([id]) => paused.has(id))), after)
  })

  test('that keeps crashing is told with its last exit code, and rolled back', async () => {
    const update = 'order: start-first, delay: 2s, failure_action: rollback'
    // A stack of its own, so that its incident is, too.
    exits(await bed.cluster.deploy('c', web(BUSYBOX, 2, update)), 0)
    const before = await assertExactly(hosts, { c_web: 2 })
    const said = exits(await bed.cluster.deploy('c', web(FAILING, 2, update)), 1)
    expect(said).toMatch(
      /^c_web {2}✗ rolled back to version 1: 1 of 2 failed\n {2}c_web\.\d on host-\d: exited 3\n {2}last lines: .*about to fail/m,
    )
    // It runs for a moment before it crashes: too short to prove itself, so none of the old ones has gone for it.
    const after = await assertExactly(hosts, { c_web: 2 })
    expect(images(after)).toEqual([BUSYBOX])
    expect([...before.keys()].filter((id) => after.has(id))).toHaveLength(2)
    const incident = await rolloutIncident('c_web')
    expect(incident).toMatchObject({ count: 1, node: null })
    expect(incident.reason).toMatch(/^its rollout failed: 1 of 2 failed; c_web\.\d\S* on host-\d exited 3$/)
    expect(incident.tasks.count).toBeGreaterThanOrEqual(1)
    expect(incident.lines.task).toMatch(/^c_web\.\d/)
    expect(incident.lines.kept.map(({ text }) => text).join()).toContain('about to fail')
    const shown = exits(await bed.cluster.berth('incident', 'show', String(incident.number)), 0)
    expect(shown).toMatch(/^incident \d+: c_web its rollout failed: 1 of 2 failed; /)
    expect(shown).toMatch(/about to fail/)
  })

  test('at the first deployment: a crash loop is told with its exit code until the time is up, exit 4', async () => {
    const said = exits(await deploy(web(FAILING, 1, ''), '--timeout', '4s'), 4)
    expect(said).toMatch(/s_web {2}0\/1 running .*\n {2}s_web\.1 on host-\d: exited 3/)
    expect(exits(await bed.cluster.berth('ps', 's'), 0)).toMatch(
      /s_web\.1 +host-\d +(restarting: exited 3|running|starting)/,
    )
    const { problems } = await bed.cluster.status()
    expect(problems.map(({ message }) => message).join()).toMatch(/s_web\.1 on host-\d exited 3|^$/)
  })

  test('at the first deployment, with its restarts counted: exit 1, with its last lines', async () => {
    const policy = '\n      restart_policy: { condition: on-failure, max_attempts: 1 }'
    const said = exits(await deploy(`${web(FAILING, 1, '').trimEnd()}${policy}\n`), 1)
    expect(said).toMatch(/s_web {2}✗ failed: (failed: )?exited 3/)
    expect(said).toMatch(/last lines[\s\S]*about to fail/)
    await assertExactly(hosts, {}, { ended: { s_web: 1 } })
    const [task] = await tasksOf(bed.cluster, 's_web')
    expect(task).toMatchObject({ state: 'failed', exitCode: 3, attempt: 2 })
  })
})

test('berth rollback goes back to the version before, and forth again', async () => {
  const update = 'order: start-first'
  exits(await deploy(web(BUSYBOX, 2, update)), 0)
  exits(await deploy(web(BUSYBOX_2, 2, update)), 0)
  exits(await bed.cluster.berth('rollback', 's_web'), 0)
  expect(images(await assertExactly(hosts, { s_web: 2 }))).toEqual([BUSYBOX])
  const said = exits(await deploy(web(BUSYBOX_2, 2, update)), 0)
  expect(said).toMatch(/s_web {2}2\/2 running/)
  expect(images(await assertExactly(hosts, { s_web: 2 }))).toEqual([BUSYBOX_2])
})

describe('a container that ends', () => {
  test('killed: is started again in place, the same container, and nobody else is touched', async () => {
    exits(await deploy(web(BUSYBOX, 3, '')), 0)
    const before = await assertExactly(hosts, { s_web: 3 })
    const victim = [...before.values()][0]!
    process.kill(victim.pid, 'SIGKILL')
    const task = await until(async () => {
      const tasks = await tasksOf(bed.cluster, 's_web')
      return tasks.find(({ attempt, state }) => attempt === 2 && state === 'running')
    }, 'the task to run again')
    expect(task).toMatchObject({ containerId: victim.id, node: victim.host, id: victim.task })
    const after = await assertExactly(hosts, { s_web: 3 })
    expect(after.get(victim.id)!.startedAt).not.toBe(victim.startedAt)
    before.delete(victim.id)
    assertUnchanged(before, after)
    const events = await bed.cluster.json<EventDocument[]>('events', '--service', 's_web')
    expect(events.map(({ message }) => message)).toContain(
      `${victim.task} on ${victim.host} exited 137 and is restarted`,
    )
  })

  test('by itself: its exit code and its policy say what follows', async () => {
    const service = (code: number, condition: string) => `
    image: bb:1
    command: ["sh", "-c", "exit ${code}"]
    deploy: { restart_policy: { condition: ${condition}, delay: 0s } }`
    const compose = `services:
  again: ${service(0, 'any')}
  well: ${service(0, 'on-failure')}
  ill: ${service(3, 'on-failure')}
  once: ${service(3, 'none')}`
    exits(await deploy(compose, '--detach'), 0)
    const seen = await until(async () => {
      const tasks = await bed.cluster.json<TaskDocument[]>('ps', 's')
      const by: Record<string, TaskDocument> = Object.fromEntries(tasks.map((task) => [task.service, task]))
      const isThere = (by.s_again?.attempt ?? 0) >= 3 && (by.s_ill?.attempt ?? 0) >= 3
      return isThere && by.s_well?.state === 'completed' && by.s_once?.state === 'failed' ? by : null
    }, 'each to be where its policy leads')
    expect(seen.s_well).toMatchObject({ attempt: 1, exitCode: 0 })
    expect(seen.s_once).toMatchObject({ attempt: 1, exitCode: 3 })
    const said = exits(await bed.cluster.berth('ps', 's_once'), 0)
    expect(said).toMatch(/s_once\.1 +host-\d +failed: exited 3/)
  })
})

test('a job runs once for each of its versions, however often the stack is deployed', async () => {
  const job = (word: string) => `services:
  job: { image: "bb:1", command: ["echo", "${word}"], restart: "no" }
  web: { image: "bb:1" }`
  expect(exits(await deploy(job('one')), 0)).toMatch(/^s_job {2}done, exit 0/m)
  const first = await assertExactly(hosts, { s_web: 1 }, { ended: { s_job: 1 } })
  exits(await deploy(job('one')), 0)
  await stays(
    async () => sameContainers(first, await assertExactly(hosts, { s_web: 1 }, { ended: { s_job: 1 } })),
    'the job',
    500,
  )
  exits(await deploy(job('two')), 0)
  const second = await assertExactly(hosts, { s_web: 1 }, { ended: { s_job: 1 }, since: first, unchanged: ['s_web'] })
  expect(sameContainers(first, second)).toBe(false)
  const lines = () => bed.cluster.berth('logs', 's_job').then((command) => exits(command, 0))
  await until(async () => (await lines()).includes('two'), 'the last line of the job to be kept')
  expect(await lines()).toBe('s_job.1 | one\ns_job.1 | two\n')
})

function images(containers: Snapshot): string[] {
  return Object.keys(imageCounts(containers))
}

function imageCounts(containers: Snapshot): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { image } of containers.values() as Iterable<Placed>) counts[image] = (counts[image] ?? 0) + 1
  return counts
}

function sameContainers(a: Snapshot, b: Snapshot): boolean {
  return [...a.keys()].sort().join() === [...b.keys()].sort().join()
}
