import { expect, test } from 'vitest'
import { marksOf } from '../../../coordinator/decide/marks.ts'
import {
  aCluster,
  agentOf,
  beat,
  change,
  connect,
  crash,
  disconnect,
  heartbeat,
  interrupt,
  observe,
  plugIn,
  restartCoordinator,
  run,
  running,
  say,
  unplug,
  work,
} from '../../build/cluster.ts'
import { aPort, aStackSpec, type ServiceSpecGiven } from '../../build/spec.ts'
import { anInventory, aService } from '../../build/world.ts'

function deploy(cluster: ReturnType<typeof aCluster>, services: Record<string, ServiceSpecGiven>, stack = 'shop') {
  change(cluster, { kind: 'deploy-stack', spec: aStackSpec(stack, services), prune: false })
}

const THREE = ['n1', 'n2', 'n3']

function nodesOf(cluster: ReturnType<typeof aCluster>, service: string): (string | null)[] {
  return running(cluster, service)
    .map((task) => task.node)
    .sort()
}

test('a stack runs with its tasks spread over the nodes', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 6 }, tick: { replicas: 1 } })
  run(cluster, 4_000)
  expect(nodesOf(cluster, 'shop_web')).toEqual(['n1', 'n1', 'n2', 'n2', 'n3', 'n3'])
  expect(running(cluster, 'shop_tick')).toHaveLength(1)
  expect(cluster.world.services.get('shop_web')?.rollout.state).toBe('settled')
})

test('a first version is settled once its containers have stayed up for a moment, each restart anew', () => {
  const cluster = aCluster(['n1'])
  const rollout = () => cluster.world.services.get('shop_web')?.rollout.state
  deploy(cluster, { web: {} })
  run(cluster, 2_000)
  crash(cluster, 'n1', running(cluster, 'shop_web')[0]!.id)
  run(cluster, 3_000)
  expect(running(cluster, 'shop_web')).toHaveLength(1)
  expect(rollout()).toBe('rolling')
  run(cluster, 1_000)
  expect(rollout()).toBe('settled')
})

test('why a task waits is told anew when another stack takes the room it was told of', () => {
  const cluster = aCluster(['n1'], { cpuCores: 4 })
  const cpuOf = () => [...cluster.world.tasksWaiting][0]?.waitsFor[0]?.figures
  deploy(cluster, { big: { cpuCores: 3 } })
  run(cluster, 5_000)
  change(cluster, { kind: 'scale-service', service: 'shop_big', replicas: 2 })
  beat(cluster)
  expect(cpuOf()).toMatchObject({ freeCores: 1 })
  deploy(cluster, { small: { cpuCores: 0.5 } }, 'other')
  beat(cluster)
  expect(cpuOf()).toMatchObject({ freeCores: 0.5 })
})

test('a first version that was paused is settled when its tasks have been up for a moment after all', () => {
  const cluster = aCluster(['n1'])
  const rollout = () => cluster.world.services.get('shop_web')?.rollout.state
  deploy(cluster, { web: { restart: { condition: 'none' } } })
  run(cluster, 2_000)
  crash(cluster, 'n1', running(cluster, 'shop_web')[0]!.id, 'failed')
  beat(cluster)
  expect(rollout()).toBe('paused')
  const agent = agentOf(cluster, 'n1')
  const [container] = agent.containers.values()
  Object.assign(container!, { attempt: 2, state: 'running', since: cluster.now })
  say(cluster, 'n1', false, [container!], [])
  beat(cluster)
  cluster.now += 2_500
  heartbeat(cluster, 'n1')
  beat(cluster)
  expect(rollout()).toBe('settled')
})

test('a replicated service that becomes global has its new tasks at once where the old ones have ended', () => {
  const cluster = aCluster(['n1'])
  const once = { restart: { condition: 'none' as const }, volumes: ['data'] }
  deploy(cluster, { web: { ...once, replicas: 3 } })
  run(cluster, 3_000)
  for (const task of running(cluster, 'shop_web')) crash(cluster, 'n1', task.id, 'failed')
  beat(cluster)
  deploy(cluster, { web: { ...once, image: 'other:1', global: true } })
  const told = beat(cluster).filter(({ kind }) => kind === 'create-task')
  expect(told).toHaveLength(1)
})

test('a global service that becomes replicated has slots from 1, and its old tasks bridge them', () => {
  const cluster = aCluster(['n1', 'n2'])
  deploy(cluster, { web: { global: true } })
  run(cluster, 5_000)
  deploy(cluster, { web: { image: 'other:1', replicas: 2, update: { order: 'start-first', monitorMs: 0 } } })
  beat(cluster)
  expect(running(cluster, 'shop_web')).toHaveLength(2)
  run(cluster, 20_000)
  const slots = running(cluster, 'shop_web').map(({ slot }) => slot)
  expect(slots.sort()).toEqual([1, 2])
})

test('a task that waits for its node while the service is global goes to any node once the service is replicated', () => {
  const cluster = aCluster(['n1', 'n2'])
  deploy(cluster, { big: { replicas: 1, cpuCores: 4 } })
  run(cluster, 5_000)
  deploy(cluster, { big: { replicas: 1, cpuCores: 4 }, web: { global: true, cpuCores: 1 } })
  run(cluster, 5_000)
  expect(running(cluster, 'shop_web')).toHaveLength(1)
  deploy(cluster, { big: { replicas: 1, cpuCores: 4 }, web: { replicas: 3, cpuCores: 1 } })
  run(cluster, 20_000)
  const [big] = running(cluster, 'shop_big')
  const other = big?.node === 'n1' ? 'n2' : 'n1'
  expect(running(cluster, 'shop_web').map(({ node }) => node)).toEqual([other, other, other])
})

test.each(['completed', 'failed'] as const)(
  'a job that has %s runs anew, at once, when its spec is changed',
  (state) => {
    const cluster = aCluster(['n1'])
    deploy(cluster, { job: { image: 'job:1', restart: { condition: 'none' } } })
    run(cluster, 3_000)
    crash(cluster, 'n1', running(cluster, 'shop_job')[0]!.id, state)
    run(cluster, 1_000)
    deploy(cluster, { job: { image: 'job:2', restart: { condition: 'none' } } })
    const told = beat(cluster).map(({ kind }) => kind)
    expect(told).toEqual(['stop-task', 'create-task', 'place-task'])
  },
)

test('a host that is unplugged has its tasks running elsewhere within four seconds, and nothing else moves', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 9 } })
  run(cluster, 20_000, 100)
  const kept = running(cluster, 'shop_web').filter((task) => task.node !== 'n1')
  unplug(cluster, 'n1')
  run(cluster, 4_000, 100)
  const now = running(cluster, 'shop_web').filter((task) => task.node !== 'n1')
  expect(now).toHaveLength(9)
  for (const task of kept) expect(now).toContain(task)
})

test('when all nodes fall silent at once, the first to return is not given the tasks of the others', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 9 } })
  run(cluster, 20_000)
  const before = running(cluster, 'shop_web')
  for (const name of THREE) unplug(cluster, name)
  run(cluster, 60_000)
  for (const name of THREE) {
    plugIn(cluster, name)
    run(cluster, 4_000)
  }
  expect(running(cluster, 'shop_web')).toEqual(before)
  expect(cluster.decided.filter(({ kind }) => kind === 'create-task')).toHaveLength(9)
})

test('of nodes that fell silent at once, those that do not follow the first have their tasks run elsewhere', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 9 } })
  run(cluster, 20_000)
  for (const name of THREE) unplug(cluster, name)
  run(cluster, 60_000)
  plugIn(cluster, 'n1')
  run(cluster, 10_000)
  expect(nodesOf(cluster, 'shop_web')).toEqual(['n1', 'n1', 'n1'])
  run(cluster, 10_000)
  expect(nodesOf(cluster, 'shop_web')).toEqual(Array(9).fill('n1'))
})

test('when a lost node returns, the tasks placed first are kept and the surplus is stopped', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 9 } })
  run(cluster, 20_000)
  const first = running(cluster, 'shop_web')
    .map((task) => task.id)
    .sort()
  unplug(cluster, 'n1')
  run(cluster, 20_000)
  expect(running(cluster, 'shop_web')).toHaveLength(9)
  plugIn(cluster, 'n1')
  run(cluster, 5_000)
  expect(
    running(cluster, 'shop_web')
      .map((task) => task.id)
      .sort(),
  ).toEqual(first)
  expect(cluster.world.tasks.size).toBe(9)
})

test('a node whose host came back without its containers does not keep its old tasks as if they ran', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 } })
  run(cluster, 20_000)
  unplug(cluster, 'n1')
  run(cluster, 20_000)
  agentOf(cluster, 'n1').containers.clear()
  agentOf(cluster, 'n1').wanted.clear()
  plugIn(cluster, 'n1')
  beat(cluster)
  const replaced = running(cluster, 'shop_web')
  expect(replaced).toHaveLength(3)
  run(cluster, 5_000)
  expect(running(cluster, 'shop_web').map((task) => task.id)).toEqual(replaced.map((task) => task.id))
})

test('an agent that comes back within its grace finds its tasks where they were', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 } })
  run(cluster, 10_000)
  const before = running(cluster, 'shop_web').map((task) => task.id)
  disconnect(cluster, 'n2')
  run(cluster, 10_000)
  connect(cluster, 'n2')
  run(cluster, 3_000)
  expect(running(cluster, 'shop_web').map((task) => task.id)).toEqual(before)
})

test('an agent that is away longer than its grace has its tasks replaced; one that said goodbye gets longer', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 } })
  run(cluster, 10_000)
  disconnect(cluster, 'n2')
  disconnect(cluster, 'n3', true)
  run(cluster, 20_000)
  expect(cluster.world.nodes.get('n2')?.status.name).toBe('lost')
  expect(cluster.world.nodes.get('n3')?.status.name).toBe('disconnected')
  run(cluster, 45_000)
  expect(cluster.world.nodes.get('n3')?.status.name).toBe('lost')
  expect(nodesOf(cluster, 'shop_web')).toEqual(['n1', 'n1', 'n1'])
})

test('a coordinator that starts again moves nothing while the nodes come back', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 6 } })
  run(cluster, 10_000)
  const before = running(cluster, 'shop_web')
    .map((task) => task.id)
    .sort()
  restartCoordinator(cluster)
  run(cluster, 10_000)
  for (const name of THREE) connect(cluster, name)
  run(cluster, 3_000)
  expect(
    running(cluster, 'shop_web')
      .map((task) => task.id)
      .sort(),
  ).toEqual(before)
  expect(cluster.world.tasks.size).toBe(6)
})

test('nodes that stay away after a start of the coordinator are lost after the grace', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 } })
  run(cluster, 10_000)
  restartCoordinator(cluster)
  connect(cluster, 'n1')
  run(cluster, 20_000)
  expect(nodesOf(cluster, 'shop_web')).toEqual(['n1', 'n1', 'n1'])
})

test('a start-first rollout never has fewer working tasks than wanted, and replaces at most so many at a time', () => {
  const cluster = aCluster(THREE)
  const update = { order: 'start-first', parallelism: 2 } as const
  deploy(cluster, { web: { replicas: 6, update } })
  run(cluster, 10_000)
  deploy(cluster, { web: { replicas: 6, update, image: 'example/web:2' } })
  for (let step = 0; step < 60; step += 1) {
    run(cluster, 250, 250)
    const wanted = [...cluster.world.tasks.values()].filter((task) => task.desired === 'running')
    expect(running(cluster, 'shop_web').length).toBeGreaterThanOrEqual(6)
    expect(wanted.length).toBeLessThanOrEqual(8)
  }
  run(cluster, 10_000)
  expect(running(cluster, 'shop_web').every((task) => task.version === 2)).toBe(true)
  expect(cluster.world.tasks.size).toBe(6)
  expect(cluster.world.services.get('shop_web')?.rollout).toMatchObject({ state: 'settled', version: 2 })
})

test('a stop-first rollout starts a replacement only once the old container is gone', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 } })
  run(cluster, 10_000)
  deploy(cluster, { web: { replicas: 3, image: 'example/web:2' } })
  for (let step = 0; step < 60; step += 1) {
    run(cluster, 250, 250)
    expect(cluster.world.tasks.size).toBeLessThanOrEqual(3)
    expect(running(cluster, 'shop_web').length).toBeGreaterThanOrEqual(2)
  }
  run(cluster, 10_000)
  expect(running(cluster, 'shop_web').map((task) => task.version)).toEqual([2, 2, 2])
})

test('a rollout whose tasks fail goes back to the version before, and says why', () => {
  const cluster = aCluster(THREE)
  const update = { failureAction: 'rollback', order: 'start-first' } as const
  deploy(cluster, { web: { replicas: 3, update } })
  run(cluster, 10_000)
  deploy(cluster, { web: { replicas: 3, update, image: 'example/broken' } })
  runCrashingVersion2(cluster, 15_000)
  const service = cluster.world.services.get('shop_web')!
  expect(service.version).toBe(1)
  expect(service.rollout).toMatchObject({ state: 'rolled-back', version: 1, failed: 2 })
  expect(running(cluster, 'shop_web').map((task) => task.version)).toEqual([1, 1, 1])
  expect(cluster.world.tasks.size).toBe(3)
})

/** Runs while each container of version 2 ends `livesMs` after it began to run. */
function runShortLived(cluster: ReturnType<typeof aCluster>, livesMs: number, forMs: number): void {
  for (let pastMs = 0; pastMs < forMs; pastMs += 100) {
    run(cluster, 100, 100)
    for (const task of running(cluster, 'shop_web')) {
      const ranMs = cluster.now - agentOf(cluster, task.node!).containers.get(task.id)!.since
      if (task.version === 2 && ranMs >= livesMs) crash(cluster, task.node!, task.id)
    }
    beat(cluster)
  }
}

/** Ids of version 2's tasks, once the rollout from version 1 has gone through or wrong. */
function rolledOut(livesMs: number, update: ServiceSpecGiven['update']) {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 12, update } })
  run(cluster, 10_000)
  const before = running(cluster, 'shop_web').map(({ id }) => id)
  deploy(cluster, { web: { replicas: 12, update, image: 'example/web:2' } })
  runShortLived(cluster, livesMs, 30_000)
  const made = cluster.decided.filter((each) => each.kind === 'create-task' && each.version === 2)
  return { cluster, before, made: made.length }
}

test('a version that crashes in its first second is found out with the first units, and start-first costs no working task', () => {
  const update = { order: 'start-first', parallelism: 2, monitorMs: 5_000 } as const
  for (const livesMs of [0, 300, 900]) {
    const { cluster, before, made } = rolledOut(livesMs, update)
    expect(made).toBe(2)
    expect(cluster.world.services.get('shop_web')?.rollout.state).toBe('paused')
    const oldOnes = running(cluster, 'shop_web').filter(({ version }) => version === 1)
    expect(oldOnes.map(({ id }) => id)).toEqual(before)
  }
})

test('a version that crashes later, but within monitor, stops the rollout that has gone on meanwhile', () => {
  const update = { order: 'start-first', parallelism: 1, monitorMs: 5_000, failureAction: 'rollback' } as const
  const { cluster, made } = rolledOut(3_000, update)
  expect(made).toBeGreaterThan(1)
  // One a second, and the one that crashes first after three.
  expect(made).toBeLessThanOrEqual(4)
  expect(cluster.world.services.get('shop_web')?.rollout).toMatchObject({ state: 'rolled-back', version: 1 })
  expect(running(cluster, 'shop_web').map(({ version }) => version)).toEqual(Array(12).fill(1))
})

test('with nothing to monitor a rollout goes on as soon as tasks run, and a healthcheck that answers is enough', () => {
  const quick = (update: ServiceSpecGiven['update']) => {
    const cluster = aCluster(THREE)
    deploy(cluster, { web: { replicas: 6, update } })
    run(cluster, 10_000)
    deploy(cluster, { web: { replicas: 6, update, image: 'example/web:2' } })
    const began = cluster.now
    const all = () => running(cluster, 'shop_web').filter(({ version }) => version === 2).length === 6
    while (!all()) run(cluster, 100, 100)
    return cluster.now - began
  }
  const withoutMs = quick({ order: 'start-first', parallelism: 2, monitorMs: 0 })
  const withMs = quick({ order: 'start-first', parallelism: 2, monitorMs: 5_000 })
  expect(withoutMs).toBeLessThan(1_500)
  expect(withMs).toBeGreaterThanOrEqual(withoutMs + 2_000)
})

test('restarts because an Engine was restarted in the midst of a rollout are not held against the new version', () => {
  const cluster = aCluster(THREE)
  const update = { order: 'start-first', parallelism: 1, failureAction: 'rollback' } as const
  deploy(cluster, { web: { replicas: 6, update } })
  run(cluster, 10_000)
  deploy(cluster, { web: { replicas: 6, update, image: 'example/web:2' } })
  run(cluster, 4_000)
  const hit = running(cluster, 'shop_web').filter(({ version, node }) => version === 2 && node === 'n1')
  expect(hit.length).toBeGreaterThan(0)
  for (const { id } of running(cluster, 'shop_web').filter(({ node }) => node === 'n1')) interrupt(cluster, 'n1', id)
  run(cluster, 30_000)
  expect(cluster.world.services.get('shop_web')?.rollout).toMatchObject({ state: 'settled', version: 2 })
  const decided = cluster.decided.filter((each) => each.kind === 'set-rollout' && each.rollout.state === 'rolling-back')
  expect(decided).toEqual([])
})

test('a rollout that is to pause on failure goes no further until something is deployed', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 } })
  run(cluster, 10_000)
  deploy(cluster, { web: { replicas: 3, image: 'example/broken' } })
  runCrashingVersion2(cluster, 30_000)
  expect(cluster.world.services.get('shop_web')?.rollout).toMatchObject({ state: 'paused', version: 2, from: 1 })
  expect(running(cluster, 'shop_web').filter((task) => task.version === 1).length).toBeGreaterThanOrEqual(1)
  deploy(cluster, { web: { replicas: 3, image: 'example/web:3' } })
  run(cluster, 40_000)
  expect(running(cluster, 'shop_web').map((task) => task.version)).toEqual([3, 3, 3])
})

/** Version 2 crashes and the rollout is paused; most tasks are still of version 1, on every node. */
function aPausedRollout(): ReturnType<typeof aCluster> {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 9 } })
  run(cluster, 10_000)
  deploy(cluster, { web: { replicas: 9, image: 'example/broken' } })
  runCrashingVersion2(cluster, 20_000)
  expect(cluster.world.services.get('shop_web')?.rollout).toMatchObject({ state: 'paused', version: 2, from: 1 })
  expect(new Set(oldOnes(cluster).map(({ node }) => node))).toEqual(new Set(THREE))
  return cluster
}

function oldOnes(cluster: ReturnType<typeof aCluster>) {
  return running(cluster, 'shop_web').filter(({ version }) => version === 1)
}

test.each(THREE)('a node that is drained while a rollout is paused empties, its tasks move as they are: %s', (node) => {
  const cluster = aPausedRollout()
  const before = oldOnes(cluster).length
  change(cluster, { kind: 'set-availability', node, availability: 'drain' })
  for (let step = 0; step < 40; step += 1) {
    runCrashingVersion2(cluster, 250)
    expect(oldOnes(cluster).length).toBeGreaterThanOrEqual(before)
  }
  expect(agentOf(cluster, node).containers.size).toBe(0)
  expect(oldOnes(cluster)).toHaveLength(before)
  deploy(cluster, { web: { replicas: 9, image: 'example/web:3' } })
  run(cluster, 80_000)
  expect(running(cluster, 'shop_web').map((task) => task.version)).toEqual(Array(9).fill(3))
})

test('a node taken back before its tasks have moved leaves no surplus in a paused rollout', () => {
  const cluster = aPausedRollout()
  const before = oldOnes(cluster).length
  change(cluster, { kind: 'set-availability', node: 'n1', availability: 'drain' })
  runCrashingVersion2(cluster, 250)
  change(cluster, { kind: 'set-availability', node: 'n1', availability: 'active' })
  runCrashingVersion2(cluster, 5_000)
  expect(oldOnes(cluster)).toHaveLength(before)
})

test('tasks of a node that is lost while a rollout is paused come back as they were', () => {
  const cluster = aPausedRollout()
  const before = oldOnes(cluster).length
  unplug(cluster, 'n1')
  runCrashingVersion2(cluster, 10_000)
  expect(oldOnes(cluster)).toHaveLength(before)
  plugIn(cluster, 'n1')
  runCrashingVersion2(cluster, 5_000)
  expect(oldOnes(cluster)).toHaveLength(before)
})

test('a node is emptied of what does not work as well', () => {
  const cluster = aCluster(['n1', 'n2'])
  deploy(cluster, { web: { replicas: 2 } })
  /** No beat ever sees one of them up. */
  const crashAll = (forMs: number) => {
    for (const end = cluster.now + forMs; cluster.now < end; cluster.now += 250) {
      for (const name of ['n1', 'n2']) {
        heartbeat(cluster, name)
        work(cluster, name)
        for (const id of agentOf(cluster, name).containers.keys()) crash(cluster, name, id)
      }
      beat(cluster)
    }
  }
  crashAll(5_000)
  change(cluster, { kind: 'set-availability', node: 'n1', availability: 'drain' })
  crashAll(5_000)
  expect(agentOf(cluster, 'n1').containers.size).toBe(0)
  expect(cluster.world.tasks.size).toBe(2)
})

function runCrashingVersion2(cluster: ReturnType<typeof aCluster>, forMs: number): void {
  for (let pastMs = 0; pastMs < forMs; pastMs += 250) {
    run(cluster, 250, 250)
    for (const task of running(cluster, 'shop_web')) if (task.version === 2) crash(cluster, task.node!, task.id)
  }
}

test('a service that waits for a label of an Engine is placed as soon as the Engine tells it', () => {
  const cluster = aCluster(['n1'])
  const constraint = { attribute: 'engine.labels.disk', operator: '==', value: 'ssd' } as const
  deploy(cluster, { web: { placement: { constraints: [constraint] } } })
  run(cluster, 2_000)
  expect(running(cluster, 'shop_web')).toEqual([])
  observe(cluster, { kind: 'inventory', node: 'n1', inventory: anInventory({ engineLabels: { disk: 'ssd' } }) })
  beat(cluster)
  run(cluster, 3_000)
  expect(running(cluster, 'shop_web')).toHaveLength(1)
})

test('scaling replaces no task: it adds free slots, and takes away the highest', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 } })
  run(cluster, 10_000)
  const three = running(cluster, 'shop_web').map((task) => task.id)
  change(cluster, { kind: 'scale-service', service: 'shop_web', replicas: 5 })
  run(cluster, 5_000)
  expect(
    running(cluster, 'shop_web')
      .map((task) => task.slot)
      .sort(),
  ).toEqual([1, 2, 3, 4, 5])
  change(cluster, { kind: 'scale-service', service: 'shop_web', replicas: 3 })
  run(cluster, 5_000)
  expect(running(cluster, 'shop_web').map((task) => task.id)).toEqual(three)
  expect(cluster.world.tasks.size).toBe(3)
})

test('a removed stack leaves nothing, even with a node away', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 6 } })
  run(cluster, 10_000)
  unplug(cluster, 'n1')
  run(cluster, 5_000)
  change(cluster, { kind: 'remove-stack', stack: 'shop' })
  run(cluster, 5_000)
  expect([cluster.world.tasks.size, cluster.world.services.size, cluster.world.stacks.size]).toEqual([0, 0, 0])
  plugIn(cluster, 'n1')
  run(cluster, 3_000)
  expect(agentOf(cluster, 'n1').containers.size).toBe(0)
})

/** `web` and `job` depend on `db`, `tail` on `web`; only `job` lives on when the other is replaced. */
function aChain(db: string): Record<string, ServiceSpecGiven> {
  const on = (restart: boolean) => ({ condition: 'service_started' as const, required: true, restart })
  return {
    tail: { dependsOn: { web: on(true) } },
    web: { dependsOn: { db: on(true) } },
    job: { dependsOn: { db: on(false) } },
    db: { image: db },
  }
}

test('who is to be restarted with a dependency is replaced once that one is, and those that depend on it in turn', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, aChain('example/db:1'))
  run(cluster, 10_000)
  const idOf = (service: string) => running(cluster, `shop_${service}`).map(({ id }) => id)
  const before = { web: idOf('web'), tail: idOf('tail'), job: idOf('job') }
  deploy(cluster, aChain('example/db:1'))
  change(cluster, { kind: 'scale-service', service: 'shop_db', replicas: 2 })
  run(cluster, 10_000)
  expect({ web: idOf('web'), tail: idOf('tail'), job: idOf('job') }).toEqual(before)

  deploy(cluster, aChain('example/db:2'))
  run(cluster, 2_000)
  expect(idOf('web')).toEqual(before.web)
  run(cluster, 40_000)
  expect(idOf('job')).toEqual(before.job)
  const after = { web: idOf('web'), tail: idOf('tail') }
  expect([after.web.length, after.tail.length]).toEqual([1, 1])
  expect(after.web).not.toEqual(before.web)
  expect(after.tail).not.toEqual(before.tail)
  run(cluster, 20_000)
  expect({ web: idOf('web'), tail: idOf('tail') }).toEqual(after)

  deploy(cluster, { db: { image: 'example/db:3' } })
  run(cluster, 40_000)
  expect(idOf('web')).not.toEqual(after.web)
  change(cluster, { kind: 'rollback-service', service: 'shop_db' })
  const third = idOf('web')
  run(cluster, 40_000)
  expect(idOf('web')).not.toEqual(third)
})

test('who is to be restarted with a service follows it back, also where both were changed by one deployment', () => {
  const cluster = aCluster(THREE)
  const on = { db: { condition: 'service_started' as const, required: true, restart: true } }
  // By name it comes before what it depends on.
  const stack = (version: number) => ({
    app: { image: `example/app:${version}`, dependsOn: on },
    db: { image: `example/db:${version}` },
  })
  deploy(cluster, stack(1))
  run(cluster, 20_000)
  deploy(cluster, stack(2))
  run(cluster, 40_000)
  const [before] = running(cluster, 'shop_app')
  change(cluster, { kind: 'rollback-service', service: 'shop_db' })
  run(cluster, 40_000)
  const after = running(cluster, 'shop_app')
  expect(after).toHaveLength(1)
  expect(after).not.toMatchObject([{ id: before!.id }])
})

test('who gets another version since it is restarted with a service is looked at in the beat in which that is rolled back', () => {
  const { world } = aCluster(['n1'])
  const change = { kind: 'rollback-service', service: 'shop_db' } as const
  world.services.set('shop_db', aService({ name: 'shop_db', stack: 'shop' }))
  world.services.set('shop_app', aService({ name: 'shop_app', stack: 'shop' }))
  expect([...marksOf(world, { at: 0, change }).services]).toContain('shop_app')
})

test('a rollback passes over the versions in which a service was only restarted with another', () => {
  const cluster = aCluster(THREE)
  const stack = (db: string, web: string) => ({ ...aChain(db), web: { ...aChain(db).web, image: web } })
  deploy(cluster, stack('example/db:1', 'example/web:1'))
  run(cluster, 10_000)
  deploy(cluster, stack('example/db:1', 'example/web:2'))
  run(cluster, 40_000)
  deploy(cluster, stack('example/db:2', 'example/web:2'))
  run(cluster, 40_000)
  change(cluster, { kind: 'rollback-service', service: 'shop_web' })
  const { version, versions, rollout } = cluster.world.services.get('shop_web')!
  expect(versions.get(version)?.spec.task.container.image).toBe('example/web:1')
  expect({ version, rollout: rollout.state }).toEqual({ version: 1, rollout: 'rolling-back' })
  run(cluster, 40_000)
  const [back] = running(cluster, 'shop_web')
  deploy(cluster, { job: { ...aChain('').job, image: 'example/job:2' } })
  run(cluster, 40_000)
  expect(running(cluster, 'shop_web')).toEqual([back])
})

test('a drained node gives its tasks away one for one, each stopped only when its replacement runs', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 6 } })
  run(cluster, 10_000)
  change(cluster, { kind: 'set-availability', node: 'n1', availability: 'drain' })
  for (let step = 0; step < 20; step += 1) {
    run(cluster, 250, 250)
    expect(running(cluster, 'shop_web').length).toBeGreaterThanOrEqual(6)
  }
  expect(nodesOf(cluster, 'shop_web')).toEqual(['n2', 'n2', 'n2', 'n3', 'n3', 'n3'])
  expect(agentOf(cluster, 'n1').containers.size).toBe(0)
})

test('a task with a named volume stays with its data: it is not moved when its node is drained or lost', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { db: { volumes: ['data'] } })
  run(cluster, 10_000)
  const [task] = running(cluster, 'shop_db')
  const home = task!.node!
  change(cluster, { kind: 'set-availability', node: home, availability: 'drain' })
  run(cluster, 5_000)
  expect(running(cluster, 'shop_db')).toEqual([task])
  change(cluster, { kind: 'set-availability', node: home, availability: 'active' })
  unplug(cluster, home)
  run(cluster, 30_000)
  expect([...cluster.world.tasks.keys()]).toEqual([task!.id])
  plugIn(cluster, home)
  run(cluster, 5_000)
  expect(running(cluster, 'shop_db').map((found) => found.id)).toEqual([task!.id])
})

test('a new version of a task with a named volume starts on the same node, after the old one has gone', () => {
  const cluster = aCluster(THREE)
  const update = { order: 'start-first' } as const
  deploy(cluster, { db: { volumes: ['data'], update } })
  run(cluster, 10_000)
  const home = running(cluster, 'shop_db')[0]!.node
  deploy(cluster, { db: { volumes: ['data'], update, image: 'example/db:2' } })
  for (let step = 0; step < 40; step += 1) {
    run(cluster, 250, 250)
    expect(cluster.world.tasks.size).toBeLessThanOrEqual(1)
  }
  expect(running(cluster, 'shop_db')).toMatchObject([{ node: home, version: 2 }])
})

test('a host port is never held twice on a node; a third task for it waits and says who holds it', () => {
  const cluster = aCluster(['n1', 'n2'])
  deploy(cluster, { web: { replicas: 3, ports: [aPort(8080)] } })
  run(cluster, 5_000)
  expect(nodesOf(cluster, 'shop_web')).toEqual(['n1', 'n2'])
  const [waiting] = cluster.world.tasksWaiting
  expect(waiting?.waitsFor.map((refusal) => [refusal.node, refusal.check, refusal.figures.port])).toEqual([
    ['n1', 'host-port', 8080],
    ['n2', 'host-port', 8080],
  ])
})

test('a start-first replacement that has no room beside the old task lets that one stop first', () => {
  const cluster = aCluster(['n1', 'n2'])
  const web = { replicas: 2, ports: [aPort(8080)], update: { order: 'start-first' } } as const
  deploy(cluster, { web: { ...web, ports: [...web.ports] } })
  run(cluster, 10_000)
  deploy(cluster, { web: { ...web, ports: [...web.ports], image: 'example/web:2' } })
  run(cluster, 20_000)
  expect(running(cluster, 'shop_web').map((task) => task.version)).toEqual([2, 2])
  expect(nodesOf(cluster, 'shop_web')).toEqual(['n1', 'n2'])
})

test('a global service runs once on every node, also on those that join or come back later', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { log: { global: true } })
  run(cluster, 5_000)
  expect(nodesOf(cluster, 'shop_log')).toEqual(THREE)
  change(cluster, { kind: 'set-availability', node: 'n2', availability: 'drain' })
  run(cluster, 5_000)
  expect(nodesOf(cluster, 'shop_log')).toEqual(['n1', 'n3'])
  change(cluster, { kind: 'set-availability', node: 'n2', availability: 'active' })
  unplug(cluster, 'n1')
  run(cluster, 10_000)
  expect(nodesOf(cluster, 'shop_log')).toEqual(['n2', 'n3'])
  plugIn(cluster, 'n1')
  run(cluster, 5_000)
  expect(nodesOf(cluster, 'shop_log')).toEqual(THREE)
  expect(cluster.world.tasks.size).toBe(3)
})

test('a service waits for its dependencies, and says for which', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, {
    migrate: { restart: { condition: 'none' } },
    api: { dependsOn: { migrate: 'service_completed_successfully' } },
  })
  run(cluster, 5_000)
  expect(cluster.world.services.get('shop_api')?.release).toMatchObject({
    state: 'held',
    waitsFor: [{ service: 'shop_migrate', condition: 'service_completed_successfully', now: '0 of 1 completed' }],
  })
  const [job] = running(cluster, 'shop_migrate')
  crash(cluster, job!.node!, job!.id, 'completed')
  run(cluster, 5_000)
  expect(running(cluster, 'shop_api')).toHaveLength(1)
  expect(cluster.world.services.get('shop_migrate')?.rollout.state).toBe('settled')
})

test('a global service gets its new version on a lost node only when that returns, also where its old task had ended', () => {
  const cluster = aCluster(['n1', 'n2'])
  const once = { global: true, restart: { condition: 'none' as const }, update: { order: 'start-first' as const } }
  deploy(cluster, { tick: { ...once, image: 'tick:1' } })
  run(cluster, 5_000)
  const ended = running(cluster, 'shop_tick').find(({ node }) => node === 'n2')!
  crash(cluster, 'n2', ended.id, 'completed')
  unplug(cluster, 'n2')
  run(cluster, 30_000)
  deploy(cluster, { tick: { ...once, image: 'tick:2' } })
  run(cluster, 20_000)
  expect([...cluster.world.tasksWaiting]).toEqual([])
  expect(cluster.world.tasks.has(ended.id)).toBe(true)
  plugIn(cluster, 'n2')
  run(cluster, 20_000)
  expect(running(cluster, 'shop_tick')).toMatchObject([
    { node: 'n1', version: 2 },
    { node: 'n2', version: 2 },
  ])
  expect(cluster.world.tasks.has(ended.id)).toBe(false)
})

test('a lost task that is replaced as it was, while a newer version is held, keeps its version in the books', () => {
  const cluster = aCluster(THREE)
  const update = { parallelism: 1, delayMs: 600_000, order: 'start-first' as const }
  deploy(cluster, { web: { replicas: 2, image: 'web:1', update } })
  run(cluster, 5_000)
  deploy(cluster, { web: { replicas: 2, image: 'web:2', update } })
  run(cluster, 5_000)
  const half = running(cluster, 'shop_web').find(({ version }) => version === 2)!
  const dependsOn = { job: 'service_completed_successfully' as const }
  for (const image of ['web:3', 'web:4']) {
    deploy(cluster, { job: { restart: { condition: 'none' } }, web: { replicas: 2, image, update, dependsOn } })
    run(cluster, 2_000)
  }
  unplug(cluster, half.node!)
  run(cluster, 20_000)
  expect(running(cluster, 'shop_web').map(({ version }) => version)).toEqual(expect.arrayContaining([1, 2]))
  expect([...cluster.world.services.get('shop_web')!.versions.keys()]).toContain(2)
})

test('a job that has completed is not run again: not when deployed again, not when its node is lost or removed', () => {
  const cluster = aCluster(THREE)
  const stack = { migrate: { restart: { condition: 'none' } } } as const
  deploy(cluster, stack)
  run(cluster, 5_000)
  const [job] = running(cluster, 'shop_migrate')
  crash(cluster, job!.node!, job!.id, 'completed')
  deploy(cluster, stack)
  run(cluster, 5_000)
  unplug(cluster, job!.node!)
  run(cluster, 10_000)
  change(cluster, { kind: 'remove-node', node: job!.node! })
  run(cluster, 5_000)
  expect([...cluster.world.tasks.keys()]).toEqual([job!.id])
})

test('a task that has failed for good stays failed until something is deployed', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: {} })
  run(cluster, 5_000)
  const [task] = running(cluster, 'shop_web')
  crash(cluster, task!.node!, task!.id, 'failed')
  run(cluster, 20_000)
  expect([...cluster.world.tasks.keys()]).toEqual([task!.id])
  deploy(cluster, { web: {} })
  run(cluster, 5_000)
  expect(running(cluster, 'shop_web')).toHaveLength(1)
  expect(cluster.world.tasks.size).toBe(1)
})

test('a removed node leaves; its tasks run elsewhere and its volumes bind no more', () => {
  const cluster = aCluster(THREE)
  deploy(cluster, { web: { replicas: 3 }, db: { volumes: ['data'] } })
  run(cluster, 5_000)
  const home = running(cluster, 'shop_db')[0]!.node!
  unplug(cluster, home)
  change(cluster, { kind: 'remove-node', node: home })
  run(cluster, 5_000)
  expect(running(cluster, 'shop_web')).toHaveLength(3)
  expect(running(cluster, 'shop_db')).toHaveLength(1)
})

test.each([
  ['between two replacements', { delayMs: 5_000, monitorMs: 0 }],
  ['while the last ones are watched', { monitorMs: 5_000 }],
])('a rollout does not wait for a clock that is set back %s to catch up', (_when, update) => {
  const cluster = aCluster(['n1', 'n2'])
  const services = { web: { replicas: 4, update: { ...update, parallelism: 2, order: 'start-first' as const } } }
  deploy(cluster, services)
  run(cluster, 20_000)
  deploy(cluster, { web: { ...services.web, image: 'other:1' } })
  run(cluster, 4_000)
  expect(cluster.world.services.get('shop_web')?.rollout.state).toBe('rolling')
  cluster.now -= 3_600_000
  run(cluster, 30_000)
  expect(cluster.world.services.get('shop_web')?.rollout).toMatchObject({ state: 'settled' })
  expect(running(cluster, 'shop_web').map(({ version }) => version)).toEqual([2, 2, 2, 2])
})

test('a paused rollout whose nodes are drained one after the other has one task on its way for a slot, however many are drained', () => {
  const cluster = aCluster(THREE)
  const drain = (node: string, availability: 'drain' | 'active' = 'drain') =>
    change(cluster, { kind: 'set-availability', node, availability })
  drain('n2')
  drain('n3')
  const update = { order: 'start-first' as const, monitorMs: 60_000, parallelism: 1 }
  deploy(cluster, { web: { replicas: 1, update } })
  run(cluster, 20_000)
  deploy(cluster, { web: { replicas: 1, image: 'crash:1', update } })
  run(cluster, 2_000)
  crash(cluster, 'n1', [...cluster.world.tasks.values()].find(({ version }) => version === 2)!.id)
  beat(cluster)
  expect(cluster.world.services.get('shop_web')?.rollout.state).toBe('paused')
  const moving = () =>
    [...cluster.world.tasks.values()].filter(
      ({ desired, observed }) => desired === 'running' && observed.state === 'assigned',
    ).length
  for (const [emptied, next] of [
    ['n1', 'n2'],
    ['n2', 'n3'],
  ] as const) {
    drain(next, 'active')
    drain(emptied)
    beat(cluster)
    expect(moving(), `${emptied} is drained`).toBe(1)
  }
})
