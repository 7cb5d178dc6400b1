import { describe, expect, test } from 'vitest'
import { refusalWords } from '../../../coordinator/api/refusal-words.ts'
import { admit } from '../../../coordinator/decide/admit.ts'
import { loadWorld } from '../../../coordinator/store/records.ts'
import type { Change } from '../../../coordinator/world.ts'
import {
  aCluster,
  agentOf,
  beat,
  type Cluster,
  change,
  connect,
  disconnect,
  join,
  refusePlatform,
  run,
  running,
} from '../../build/cluster.ts'
import { anAffinity, aStackSpec, type ServiceSpecGiven } from '../../build/spec.ts'
import { aTaint } from '../../build/world.ts'

function ask(cluster: Cluster, asked: Change): void {
  const admission = admit(cluster.world, asked)
  if (!admission.ok) throw new Error(admission.message)
  change(cluster, asked)
  run(cluster, 20_000)
}

function deploy(cluster: Cluster, services: Record<string, ServiceSpecGiven>, stack = 's'): void {
  ask(cluster, { kind: 'deploy-stack', spec: aStackSpec(stack, services), prune: true })
}

function taint(cluster: Cluster, node: string, ...taints: string[]): void {
  ask(cluster, { kind: 'taint-node', node, set: taints.map(aTaint), remove: [] })
}

function placesOf(cluster: Cluster, service: string): string[] {
  return running(cluster, service)
    .map(({ node }) => node!)
    .sort()
}

function waitsOf({ world }: Cluster, service: string): string[] {
  const waiting = [...(world.tasksByService.get(service) ?? [])].filter((task) => task.node === null)
  return [...new Set(waiting.flatMap((task) => task.waitsFor.map(refusalWords)))].sort()
}

describe('a tainted node', () => {
  test('takes nothing new and keeps what it has: no-schedule', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { web: { replicas: 2 } })
    taint(cluster, 'n1', 'gpu:no-schedule')
    expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n2'])
    ask(cluster, { kind: 'scale-service', service: 's_web', replicas: 4 })
    expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n2', 'n2', 'n2'])
  })

  test('is emptied of what does not tolerate it, new ones first: no-execute', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, {
      web: { replicas: 2 },
      tough: { replicas: 2, placement: { tolerations: [{ key: 'gpu', operator: 'exists' }] } },
    })
    taint(cluster, 'n1', 'gpu:no-execute')
    expect(placesOf(cluster, 's_web')).toEqual(['n2', 'n2'])
    expect(placesOf(cluster, 's_tough')).toEqual(['n1', 'n2'])
    const stops = cluster.decided.filter((decision) => decision.kind === 'stop-task')
    expect(stops).toMatchObject([{ why: expect.stringMatching(/^replaced by s_web\.[12]\./) }])
    const made = cluster.decided.filter((decision) => decision.kind === 'create-task')
    expect(made.at(-1)?.why).toBe('n1 is tainted gpu:no-execute')
  })

  test('keeps a task that it is to be emptied of as long as no other node takes it', () => {
    const cluster = aCluster(['n1'])
    deploy(cluster, { web: {} })
    taint(cluster, 'n1', 'gpu:no-execute')
    expect(placesOf(cluster, 's_web')).toEqual(['n1'])
    expect(waitsOf(cluster, 's_web')).toEqual(['taint: it is tainted gpu:no-execute, which is not tolerated'])
  })

  test('keeps the task of a global service as it is, and gets none of its next version: no-schedule', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { log: { global: true } })
    taint(cluster, 'n1', 'gpu:no-schedule')
    expect(placesOf(cluster, 's_log')).toEqual(['n1', 'n2'])
    deploy(cluster, { log: { global: true, image: 'example/log:2' } })
    expect(placesOf(cluster, 's_log')).toEqual(['n2'])
    ask(cluster, { kind: 'taint-node', node: 'n1', set: [], remove: [{ key: 'gpu' }] })
    expect(placesOf(cluster, 's_log')).toEqual(['n1', 'n2'])
  })

  test('is not one of a global service’s nodes: no-execute', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { log: { global: true } })
    taint(cluster, 'n1', 'gpu:no-execute')
    expect(placesOf(cluster, 's_log')).toEqual(['n2'])
    expect(waitsOf(cluster, 's_log')).toEqual([])
  })

  test('is taken last, and taken all the same when no other has room: prefer-no-schedule', () => {
    const cluster = aCluster(['n1', 'n2'], { cpuCores: 2 })
    taint(cluster, 'n1', 'slow:prefer-no-schedule')
    deploy(cluster, { web: { replicas: 3, cpuCores: 1 } })
    expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n2', 'n2'])
  })
})

describe('affinity', () => {
  test('finds its neighbour in whatever order the two are placed', () => {
    const cluster = aCluster(['n1', 'n2', 'n3'])
    deploy(cluster, { api: { replicas: 3, placement: { affinity: [anAffinity('db')] } }, db: {} })
    const [home] = placesOf(cluster, 's_db')
    expect(placesOf(cluster, 's_api')).toEqual([home, home, home])
  })

  test('waits for a neighbour that is not there yet, and says so', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { api: { placement: { affinity: [anAffinity('data_db')] } } })
    expect(waitsOf(cluster, 's_api')).toEqual(['affinity: wants to be near data_db, which has no task there'])
    deploy(cluster, { db: {} }, 'data')
    expect(placesOf(cluster, 's_api')).toEqual(placesOf(cluster, 'data_db'))
  })

  test('to its own service keeps all tasks of it in one place', () => {
    const cluster = aCluster(['n1', 'n2', 'n3', 'n4'])
    for (const [node, zone] of Object.entries({ n1: 'a', n2: 'b', n3: 'a', n4: 'b' })) {
      ask(cluster, { kind: 'label-node', node, set: { zone }, remove: [] })
    }
    deploy(cluster, {
      web: { replicas: 4, placement: { affinity: [anAffinity('web', { over: 'node.labels.zone' })] } },
    })
    expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n1', 'n3', 'n3'])
  })

  test('turned round keeps tasks of a service apart, and the rest waits', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { web: { replicas: 3, placement: { affinity: [anAffinity('web', { anti: true })] } } })
    expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n2'])
    expect(waitsOf(cluster, 's_web')).toEqual(['affinity: is kept away from s_web, which has 1 task there'])
  })

  test('turned round lets a service in once the one that kept it away no longer does', () => {
    const cluster = aCluster(['n1'])
    deploy(cluster, { shy: { placement: { affinity: [anAffinity('b_web', { anti: true })] } } }, 'a')
    deploy(cluster, { web: {} }, 'b')
    expect(waitsOf(cluster, 'b_web')).toEqual(['affinity: a_shy wants it away, and has 1 task there'])
    deploy(cluster, { shy: {} }, 'a')
    expect(placesOf(cluster, 'b_web')).toEqual(['n1'])
  })

  test('replaces a task beside which the next version may not be: the old one stops first', () => {
    const cluster = aCluster(['n1'])
    const placement = { affinity: [anAffinity('web', { anti: true })] }
    deploy(cluster, { web: { placement, update: { order: 'start-first' } } })
    deploy(cluster, { web: { placement, update: { order: 'start-first' }, image: 'example/web:2' } })
    expect(running(cluster, 's_web').map(({ version }) => version)).toEqual([2])
  })
})

describe('an image that is not made for a host', () => {
  /** Hosts whose name begins with "arm" cannot have the image. */
  function runOn(cluster: Cluster, forMs: number): void {
    for (let passed = 0; passed < forMs; passed += 500) {
      run(cluster, 500)
      for (const task of [...cluster.world.tasks.values()]) {
        const isRefused = task.node?.startsWith('arm') && task.desired === 'running'
        if (isRefused && task.observed.state !== 'assigned') refusePlatform(cluster, task.node!, task.id)
      }
      beat(cluster)
    }
  }
  function ofTwoKinds(names: string[]): Cluster {
    const cluster = aCluster(names)
    for (const name of names) {
      agentOf(cluster, name).inventory.arch = name.startsWith('arm') ? 'aarch64' : 'x86_64'
      disconnect(cluster, name)
      connect(cluster, name)
    }
    return cluster
  }

  test('is tried once on that platform: its tasks go to hosts of another, and the rollout takes no harm', () => {
    const cluster = ofTwoKinds(['arm1', 'arm2', 'n1'])
    change(cluster, { kind: 'deploy-stack', spec: aStackSpec('s', { web: { replicas: 3 } }), prune: true })
    runOn(cluster, 20_000)
    expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n1', 'n1'])
    expect(cluster.world.services.get('s_web')?.rollout).toMatchObject({ state: 'settled' })
    expect(cluster.world.services.get('s_web')?.versions.get(1)?.refusedPlatforms).toEqual(['linux/arm64'])
    change(cluster, { kind: 'set-availability', node: 'n1', availability: 'drain' })
    runOn(cluster, 5_000)
    expect(waitsOf(cluster, 's_web')).toEqual([
      'availability: it is being drained',
      'platform: the image is not made for linux/arm64',
    ])
  })

  test('stays where it is when there is no other platform, and moves when a host of one joins', () => {
    const cluster = ofTwoKinds(['arm1'])
    change(cluster, { kind: 'deploy-stack', spec: aStackSpec('s', { web: {} }), prune: true })
    runOn(cluster, 5_000)
    expect([...cluster.world.tasks.values()].map(({ node, observed }) => [node, observed.state])).toEqual([
      ['arm1', 'restarting'],
    ])
    join(cluster, 'n1')
    runOn(cluster, 10_000)
    expect(placesOf(cluster, 's_web')).toEqual(['n1'])
  })

  test('is what the store remembers, and a next version tries anew', () => {
    const cluster = ofTwoKinds(['arm1', 'n1'])
    change(cluster, { kind: 'deploy-stack', spec: aStackSpec('s', { web: { replicas: 2 } }), prune: true })
    runOn(cluster, 10_000)
    const loaded = loadWorld(cluster.stored.values(), 'berth-test')
    expect(loaded.services.get('s_web')?.versions.get(1)?.refusedPlatforms).toEqual(['linux/arm64'])
    const spec = aStackSpec('s', { web: { replicas: 2, image: 'example/web:2' } })
    change(cluster, { kind: 'deploy-stack', spec, prune: true })
    run(cluster, 30_000)
    expect(placesOf(cluster, 's_web')).toEqual(['arm1', 'n1'])
  })
})

test('a node that is set to promise less keeps what it has promised, and takes more once it may', () => {
  const cluster = aCluster(['n1'], { cpuCores: 2 })
  deploy(cluster, { web: { replicas: 2, cpuCores: 1 } })
  ask(cluster, { kind: 'set-node', node: 'n1', reserve: { cpuCores: 1 }, overcommit: {} })
  expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n1'])
  ask(cluster, { kind: 'scale-service', service: 's_web', replicas: 3 })
  expect(waitsOf(cluster, 's_web')).toEqual(['cpu: needs 1 CPU, 0 CPU free of promise'])
  ask(cluster, { kind: 'set-node', node: 'n1', reserve: {}, overcommit: { cpu: 2 } })
  expect(placesOf(cluster, 's_web')).toEqual(['n1', 'n1', 'n1'])
})
