import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { connectEngine } from '../../agent/docker/engine.ts'
import { aPort, aTaskSpec } from '../build/spec.ts'
import { SupervisedNode } from './agent-supervisor.ts'
import { type Host, type Hosts, startHosts } from './hosts.ts'
import { BUSYBOX, HEALTHY, loadImages, SICK } from './image.ts'
import { must, pause } from './processes.ts'
import { stays, until } from './until.ts'

let hosts: Hosts
let host: Host
let node: SupervisedNode
beforeAll(async () => {
  hosts = await startHosts({ count: 1 })
  host = hosts.hosts[0]!
  await loadImages([host])
})
afterAll(() => hosts?.stop())
beforeEach(() => {
  node = new SupervisedNode(host.dockerHost, { pullStallMs: 2_000 }).start()
})
afterEach(async () => {
  await node.dispose()
  await hosts.reset()
})

const sleeper = aTaskSpec({
  container: { image: BUSYBOX, command: ['sleep', '100000'], stopGraceMs: 0 },
  restart: { delayMs: 0 },
})
const found = async (task: string) => (await host.containers()).find((each) => each.labels['berth.task'] === task)

test('an assigned task runs, with the labels that make it ours, and no restart policy of the Engine', async () => {
  await node.assign([{ id: 'shop_api.1.a', spec: sleeper }])
  const seen = await node.runs('shop_api.1.a')
  expect(seen).toMatchObject({ attempt: 1, health: 'none' })
  const container = (await found('shop_api.1.a'))!
  expect(container).toMatchObject({ name: 'shop_api.1.a', state: 'running', id: seen.containerId })
  expect(container.labels).toMatchObject({
    'berth.cluster': node.owner.cluster,
    'berth.node': 'node-1',
    'berth.attempt': '1',
  })
  const inspected = await host.api<{ HostConfig: object }>('GET', `/containers/${container.id}/json`)
  expect(inspected.HostConfig).toMatchObject({
    RestartPolicy: { Name: 'no' },
    LogConfig: { Type: 'json-file', Config: { 'max-size': '16m', 'max-file': '4' } },
  })
})

test("health comes from the spec's test or from the image's own, and is never called none before it is known", async () => {
  const healthcheck = { test: ['CMD', 'true'], intervalMs: 300, timeoutMs: 1_000, retries: 1 }
  await node.assign([
    { id: 'own.1', spec: aTaskSpec({ container: { ...sleeper.container, healthcheck } }) },
    { id: 'image.1', spec: aTaskSpec({ container: { image: HEALTHY, stopGraceMs: 0 } }) },
    { id: 'sick.1', spec: aTaskSpec({ container: { image: SICK, stopGraceMs: 0 } }) },
  ])
  await node.sees('own.1', (seen) => seen.health === 'healthy', 'to be healthy')
  await node.sees('image.1', (seen) => seen.health === 'healthy', 'to be healthy')
  await node.sees('sick.1', (seen) => seen.health === 'unhealthy', 'to be unhealthy')
  expect(node.told.filter((seen) => seen.health === 'none')).toEqual([])
})

test('a killed container is started again in place', async () => {
  await node.assign([{ id: 't.1', spec: sleeper }])
  const before = await node.runs('t.1')
  const { pid } = (await found('t.1'))!
  process.kill(pid, 'SIGKILL')
  const after = await node.runs('t.1', 2)
  expect(after.containerId).toBe(before.containerId)
  expect(after.attempt).toBe(2)
  const ended = node.told.find((seen) => seen.state === 'restarting')
  expect(ended).toMatchObject({ attempt: 1, exitCode: 137 })
})

test('a container that somebody removes is made again, as the next attempt', async () => {
  await node.assign([{ id: 't.1', spec: sleeper }])
  const before = await node.runs('t.1')
  await host.docker('rm', '-f', before.containerId!)
  const after = await node.runs('t.1', 2)
  expect(after.containerId).not.toBe(before.containerId)
})

test('a stop asks first and kills after the grace; stopped is told when the container is gone', async () => {
  const deaf = aTaskSpec({
    container: { image: BUSYBOX, command: ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'], stopGraceMs: 2_000 },
  })
  const polite = aTaskSpec({
    container: {
      image: BUSYBOX,
      command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'],
      stopGraceMs: 60_000,
    },
  })
  await node.assign([
    { id: 'deaf.1', spec: deaf },
    { id: 'polite.1', spec: polite },
  ])
  await Promise.all([node.runs('deaf.1'), node.runs('polite.1')])
  await pause(500)
  const began = Date.now()
  await node.assign([
    { id: 'deaf.1', spec: deaf, desired: 'stopped' },
    { id: 'polite.1', spec: polite, desired: 'stopped' },
  ])
  await node.sees('polite.1', (seen) => seen.state === 'stopped', 'to be stopped')
  expect(Date.now() - began).toBeLessThan(30_000)
  await node.sees('deaf.1', (seen) => seen.state === 'stopped', 'to be stopped')
  expect(Date.now() - began).toBeGreaterThan(1_900)
  expect(await host.containers()).toEqual([])
  await node.assign([])
  await node.isGone('deaf.1')
})

test('an anonymous volume goes with its container, a named one stays', async () => {
  const mounts = [
    { type: 'volume' as const, target: '/scratch', readOnly: false },
    { type: 'volume' as const, source: 'data', target: '/data', readOnly: false },
  ]
  await node.assign([{ id: 't.1', spec: aTaskSpec({ container: { ...sleeper.container, mounts } }) }])
  await node.runs('t.1')
  await node.assign([])
  await node.isGone('t.1')
  expect((await host.docker('volume', 'ls', '-q')).split('\n').filter(Boolean)).toEqual(['data'])
})

test('containers of strangers and of other clusters are left alone, and that is said once', async () => {
  await host.docker('run', '-d', '--name', 'stranger', BUSYBOX)
  const labels = ['berth.cluster=other', 'berth.node=node-1', 'berth.task=t.1'].flatMap((label) => ['--label', label])
  await host.docker('run', '-d', '--name', 't.1', ...labels, BUSYBOX)
  await node.stop()
  node.start()
  // Its name is taken by a stranger, so it runs under another.
  await node.assign([{ id: 't.1', spec: sleeper }])
  await node.runs('t.1')
  await node.assign([])
  await node.isGone('t.1')
  const left = (await host.containers()).map((each) => [each.name, each.state]).sort()
  expect(left).toEqual([
    ['stranger', 'running'],
    ['t.1', 'running'],
  ])
  expect(node.notices.filter(({ code }) => code === 'foreign-containers')).toHaveLength(1)
})

test('a started-again supervisor acts on its file, keeps what runs, and removes what nobody wants any more', async () => {
  await node.assign(['t.a', 't.b', 't.c'].map((id) => ({ id, spec: sleeper })))
  await Promise.all(['t.a', 't.b', 't.c'].map((id) => node.runs(id)))
  process.kill((await found('t.a'))!.pid, 'SIGKILL')
  await node.runs('t.a', 2)
  const before = await host.containers()
  await node.stop()
  await host.docker('kill', before.find((each) => each.name === 't.c')!.id)
  const labels = ['berth.cluster=', 'berth.node='].map(
    (label, index) => label + [node.owner.cluster, node.owner.node][index],
  )
  await host.docker('run', '-d', '--label', labels[0]!, '--label', labels[1]!, '--label', 'berth.task=orphan', BUSYBOX)

  node.start()
  await node.runs('t.c', 2)
  await node.isGone('orphan')
  await until(async () => (await host.containers()).length === 3, 'the orphan to be removed')
  const after = await host.containers()
  for (const name of ['t.a', 't.b']) {
    const was = before.find((each) => each.name === name)!
    expect(after.find((each) => each.name === name)).toMatchObject({ id: was.id, startedAt: was.startedAt })
  }
  const all = await node.supervisor.observeAll()
  expect(all.tasks.find(({ task }) => task === 't.a')).toMatchObject({ state: 'running', attempt: 2 })
})

test('without a usable file nothing is touched before the coordinator speaks', async () => {
  await node.assign([{ id: 't.a', spec: sleeper }])
  await node.runs('t.a')
  await node.stop()
  await must('sh', ['-c', `echo x >> ${node.dataDir}/assignment`])
  node.start()
  const all = await node.supervisor.observeAll()
  expect(all.tasks).toMatchObject([{ task: 't.a', state: 'running' }])
  expect(node.notices.map(({ code }) => code)).toContain('assignment-unusable')
  await stays(async () => (await found('t.a'))?.state === 'running', 't.a', 500)
  await node.assign([])
  await node.isGone('t.a')
})

test('a container that keeps dying is restarted ever more slowly, and not at all after its most attempts', async () => {
  const dying = { image: BUSYBOX, command: ['false'], stopGraceMs: 0 }
  await node.assign([
    { id: 'ever', spec: aTaskSpec({ container: dying, restart: { delayMs: 0, windowMs: 0 } }) },
    { id: 'twice', spec: aTaskSpec({ container: dying, restart: { delayMs: 0, maxAttempts: 1 } }) },
  ])
  const failed = await node.sees('twice', (seen) => seen.state === 'failed', 'to fail for good')
  expect(failed).toMatchObject({ attempt: 2, exitCode: 1 })
  const waiting = await node.sees('ever', (seen) => seen.state === 'restarting' && seen.attempt === 3, 'to wait')
  expect(waiting.restartAt! - waiting.since).toBeGreaterThanOrEqual(1_900)
})

test('a job that has ended stays ended, also when its container is pruned', async () => {
  const job = aTaskSpec({ container: { image: BUSYBOX, command: ['true'] }, restart: { condition: 'none' } })
  await node.assign([{ id: 'job', spec: job }])
  await node.sees('job', (seen) => seen.state === 'completed' && seen.exitCode === 0, 'to be completed')
  await host.docker('container', 'prune', '-f')
  await stays(
    async () => node.tasks.get('job')?.state === 'completed' && (await host.containers()).length === 0,
    'job',
    800,
  )
})

test('a missing image is an error with a reason, and the other tasks do not wait for it', async () => {
  const missing = aTaskSpec({ container: { image: '127.0.0.1:1/nope:1' } })
  const never = aTaskSpec({ container: { image: 'nope:1', pullPolicy: 'never' } })
  await node.assign([
    { id: 'missing', spec: missing },
    { id: 'never', spec: never },
    { id: 'fine', spec: sleeper },
  ])
  await node.runs('fine')
  const seen = await node.sees('missing', ({ error }) => error !== undefined, 'to fail')
  expect(seen).toMatchObject({ state: 'restarting', error: { code: 'image-unavailable' } })
  expect(seen.restartAt).toBeGreaterThan(seen.since)
  expect(await node.sees('never', ({ error }) => error !== undefined, 'to fail')).toMatchObject({
    error: { code: 'image-not-found' },
  })
})

test('a host port that is taken is said, and taken over once it is free', async () => {
  const ports = [aPort(18_080)]
  await host.docker('run', '-d', '--name', 'holder', '-p', '18080:80', BUSYBOX)
  await node.assign([{ id: 'web', spec: aTaskSpec({ container: { ...sleeper.container, ports } }) }])
  const seen = await node.sees('web', ({ error }) => error !== undefined, 'to fail')
  expect(seen).toMatchObject({ state: 'restarting', error: { code: 'port-taken' } })
  expect(seen.error?.message).toContain('18080')
  await host.docker('rm', '-f', 'holder')
  const runs = await node.runs('web')
  expect(runs.error).toBeUndefined()
  expect(runs.ports).toEqual([{ containerPort: 80, hostPort: 18_080, protocol: 'tcp' }])
})

test('a port that the Engine chooses is told', async () => {
  await node.assign([{ id: 'web', spec: aTaskSpec({ container: { ...sleeper.container, ports: [aPort()] } }) }])
  const seen = await node.sees('web', ({ ports }) => (ports?.length ?? 0) > 0, 'to have a port')
  expect(seen.ports![0]!.hostPort).toBeGreaterThan(1024)
})

test('a volume that must exist and does not is an error', async () => {
  const mounts = [{ type: 'volume' as const, source: 'theirs', target: '/data', readOnly: false, external: true }]
  await node.assign([{ id: 't.t', spec: aTaskSpec({ container: { ...sleeper.container, mounts } }) }])
  const seen = await node.sees('t.t', ({ error }) => error !== undefined, 'to fail')
  expect(seen.error?.message).toContain('docker volume create theirs')
  await host.docker('volume', 'create', 'theirs')
  await node.runs('t.t')
})

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'what an Engine ended by %s took down with it runs again as if nothing had been, also where exit code 0 would be the end',
  async (signal) => {
    // Heeds SIGTERM with exit code 0, as good programs do.
    const polite = { image: BUSYBOX, stopGraceMs: 5_000 }
    const spec = aTaskSpec({ container: polite, restart: { condition: 'on-failure', delayMs: 30_000, maxAttempts: 0 } })
    const job = aTaskSpec({ container: polite, restart: { condition: 'none' } })
    const done = aTaskSpec({ container: { image: BUSYBOX, command: ['true'] }, restart: { condition: 'on-failure' } })
    await node.assign([
      { id: 't.polite', spec },
      { id: 't.job', spec: job },
      { id: 't.done', spec: done },
    ])
    await Promise.all([node.runs('t.polite'), node.runs('t.job')])
    await node.sees('t.done', ({ state }) => state === 'completed', 'to complete')
    await host.restartEngine(signal)
    const again = await node.runs('t.polite', 2)
    expect(again).toMatchObject({ attempt: 2, interruptions: 1 })
    // Nobody was ever told that it had ended well, or failed.
    const states = node.told.filter(({ task }) => task === 't.polite').map(({ state }) => state)
    expect(states).not.toContain('completed')
    expect(states).not.toContain('failed')
    await node.sees('t.job', ({ state }) => state === 'failed', 'to have failed')
    expect(node.tasks.get('t.job')).toMatchObject({ attempt: 1, error: { code: 'engine-stopped' } })
    expect(node.tasks.get('t.done')).toMatchObject({ state: 'completed', attempt: 1 })
  },
)

test('the Engine killed and started again is said, and what ran with it runs again', async () => {
  await node.assign(['t.a', 't.b'].map((id) => ({ id, spec: sleeper })))
  await Promise.all(['t.a', 't.b'].map((id) => node.runs(id)))
  await host.killEngine('SIGKILL')
  await until(() => node.engineInfo?.state === 'down', 'the Engine to be told down')
  expect(node.notices.map(({ code }) => code)).toContain('engine-unavailable')
  await host.startEngine()
  await until(() => node.engineInfo?.state === 'up', 'the Engine to be told up')
  await until(
    async () => (await host.containers()).filter((each) => each.state === 'running').length === 2,
    'both to run',
  )
  expect(await host.containers()).toHaveLength(2)
})

test('an Engine that hangs is told down, and work goes on when it answers again', async () => {
  await node.assign([{ id: 't.a', spec: sleeper }])
  const before = await node.runs('t.a')
  host.pauseEngine()
  await until(() => node.engineInfo?.state === 'down', 'the Engine to be told down')
  host.resumeEngine()
  await until(() => node.engineInfo?.state === 'up', 'the Engine to be told up')
  expect(await found('t.a')).toMatchObject({ id: before.containerId, state: 'running' })
})

test('assignments that are older or build on another revision change nothing', async () => {
  await node.assign([{ id: 't.a', spec: sleeper }])
  const { revision } = node.supervisor
  const older = { kind: 'assignment' as const, revision: revision - 1, specs: {}, tasks: [] }
  expect(await node.supervisor.assign(older)).toMatchObject({ outcome: 'stale' })
  const change = {
    kind: 'assignment-change' as const,
    base: revision + 5,
    revision: revision + 6,
    specs: {},
    put: [],
    remove: ['t.a'],
  }
  expect(await node.supervisor.assign(change)).toMatchObject({ outcome: 'resync' })
  await node.runs('t.a')
})

test('the Engine in our words: what is gone, done already or taken is told apart', async () => {
  const engine = connectEngine({ host: host.dockerHost })
  await engine.check()
  const labels = { 'berth.cluster': 'x', 'berth.node': 'n', 'berth.task': 't.t' }
  const body = { Image: BUSYBOX, Cmd: ['sleep', '1000'], Labels: labels, StopTimeout: 0 }
  const id = await engine.create({ name: 'one', body })
  await expect(engine.create({ name: 'one', body })).rejects.toMatchObject({ code: 'conflict' })
  await engine.start(id)
  await engine.start(id)
  expect(await engine.inspect('one')).toMatchObject({ id, state: 'running', task: 't.t' })
  await engine.stop(id, 0)
  await engine.stop(id, 0)
  await engine.kill(id)
  await engine.remove(id)
  await engine.remove(id)
  await engine.stop(id, 0)
  expect(await engine.inspect(id)).toBeNull()
  await expect(engine.start(id)).rejects.toMatchObject({ code: 'not-found' })
  const nowhere = connectEngine({ host: 'unix:///nowhere.sock' })
  await expect(nowhere.check()).rejects.toMatchObject({ code: 'engine-unavailable' })
  engine.close()
})
