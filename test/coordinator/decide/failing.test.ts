import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { viewWhy } from '../../../coordinator/api/view-why.ts'
import { eventsOf } from '../../../coordinator/decide/events.ts'
import { FAILURES_ALONE_MIN, GIVEN_UP_MAX, GIVEN_UP_MS, whyItStays } from '../../../coordinator/decide/failing.ts'
import { worldFigures } from '../../../coordinator/metrics/world-metrics.ts'
import { loadWorld } from '../../../coordinator/store/records.ts'
import {
  aCluster,
  beat,
  type Cluster,
  change,
  connect,
  failAtOnce,
  join,
  restartCoordinator,
  run,
  running,
  work,
} from '../../build/cluster.ts'
import { aStackSpec, type ServiceSpecGiven } from '../../build/spec.ts'

const MINUTE = 60_000

function deploy(cluster: Cluster, given: ServiceSpecGiven): void {
  change(cluster, { kind: 'deploy-stack', spec: aStackSpec('s', { web: given }), prune: true })
  beat(cluster)
}

/** Lets time pass; what runs on a bad node ends half a second after its start. `onBeat` sees the world after each half second. */
function runOn(cluster: Cluster, forMs: number, isBad: (node: string) => boolean, onBeat: () => void = () => {}): void {
  for (let passed = 0; passed < forMs; passed += 500) {
    run(cluster, 500)
    for (const task of [...cluster.world.tasks.values()]) {
      if (task.node !== null && task.desired === 'running' && isBad(task.node)) failAtOnce(cluster, task.node, task.id)
    }
    beat(cluster)
    onBeat()
  }
}

const everywhere = () => true
const placesOf = (cluster: Cluster) =>
  running(cluster, 's_web')
    .map(({ node }) => node)
    .sort()
const failingOf = ({ world }: Cluster) => world.services.get('s_web')?.versions.get(1)?.failing
const givenUp = (cluster: Cluster) => failingOf(cluster)?.nodes.map(({ node }) => node)
/** How many tasks have been placed so far. */
const placements = ({ decided }: Cluster) => decided.filter(({ kind }) => kind === 'place-task').length
const STOP_FIRST = { update: { order: 'stop-first' } } as const
const START_FIRST = { update: { order: 'start-first' } } as const

describe('a node that keeps failing a service', () => {
  test('gives away what fails there, once its like does well elsewhere', () => {
    const cluster = aCluster(['n1', 'n2', 'n3'])
    deploy(cluster, { replicas: 3, ...STOP_FIRST })
    runOn(cluster, 2 * MINUTE, (node) => node === 'n1')
    expect(givenUp(cluster)).toEqual(['n1'])
    expect(placesOf(cluster)).not.toContain('n1')
    expect(placesOf(cluster)).toHaveLength(3)
    expect(placements(cluster)).toBe(4)
    expect(cluster.world.services.get('s_web')?.rollout.state).toBe('settled')
  })

  test('gives away one that is alone and never did well there, after more failures', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { replicas: 1 })
    const [first] = placesOf(cluster)
    runOn(cluster, 2 * MINUTE, (node) => node === (first ?? 'n1'))
    expect(failingOf(cluster)?.nodes).toMatchObject([
      { node: first ?? 'n1', failures: FAILURES_ALONE_MIN, why: 'exited 1' },
    ])
    expect(placesOf(cluster)).toEqual([(first ?? 'n1') === 'n1' ? 'n2' : 'n1'])
  })

  test('keeps what does well there, and what it gives away comes not back before its time', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { replicas: 2 })
    runOn(cluster, MINUTE, (node) => node === 'n1')
    expect(placesOf(cluster)).toEqual(['n2', 'n2'])
    change(cluster, { kind: 'set-availability', node: 'n2', availability: 'drain' })
    runOn(cluster, 5_000, () => false)
    // Nobody is left to stand in for it: then it is better than nothing.
    expect(placesOf(cluster)).toEqual(['n1', 'n1'])
  })

  test('is tried again after a while', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { replicas: 2 })
    runOn(cluster, MINUTE, (node) => node === 'n1')
    expect(givenUp(cluster)).toEqual(['n1'])
    runOn(cluster, GIVEN_UP_MS, () => false)
    expect(failingOf(cluster)).toBe(undefined)
  })

  test('is what the store remembers, and a next version tries anew', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { replicas: 2 })
    runOn(cluster, MINUTE, (node) => node === 'n1')
    const loaded = loadWorld(cluster.stored.values(), 'berth-test')
    expect(loaded.services.get('s_web')?.versions.get(1)?.failing).toEqual(failingOf(cluster))
    expect([...loaded.servicesFailing]).toEqual(['s_web'])
    deploy(cluster, { replicas: 2, image: 'example/web:2' })
    run(cluster, MINUTE)
    expect(placesOf(cluster)).toEqual(['n1', 'n2'])
  })

  test('is not left while nothing else has room: with a stop-first order the task goes on failing rather than wait', () => {
    const cluster = aCluster(['n1', 'n2'], { cpuCores: 1 })
    deploy(cluster, { replicas: 2, cpuCores: 1, ...STOP_FIRST })
    runOn(cluster, 2 * MINUTE, (node) => node === 'n1')
    expect(givenUp(cluster)).toEqual(['n1'])
    expect([...cluster.world.tasks.values()].map(({ node, desired }) => [node, desired]).sort()).toEqual([
      ['n1', 'running'],
      ['n2', 'running'],
    ])
    join(cluster, 'n3', { cpuCores: 1 })
    runOn(cluster, 2 * MINUTE, (node) => node === 'n1')
    expect(placesOf(cluster)).toEqual(['n2', 'n3'])
  })
})

describe('a stop-first service', () => {
  test('never has two tasks of one slot at once', () => {
    const cluster = aCluster(['n1', 'n2', 'n3'])
    deploy(cluster, { replicas: 3, ...STOP_FIRST })
    runOn(
      cluster,
      MINUTE,
      (node) => node === 'n2',
      () => {
        const slots = [...cluster.world.tasks.values()]
          .filter(({ observed, node }) => node !== null && observed.state !== 'stopped')
          .map(({ slot }) => slot)
        expect(new Set(slots).size).toBe(slots.length)
      },
    )
    expect(givenUp(cluster)).toEqual(['n2'])
  })
})

describe('a stop-first service that a node keeps failing', () => {
  test('moves as soon as another node is heard of again after a start of the coordinator', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { replicas: 1, ...STOP_FIRST })
    run(cluster, MINUTE)
    expect(cluster.world.servicesInMotion.size).toBe(0)
    const [bad] = placesOf(cluster)
    // Its agent counts on while nobody listens.
    restartCoordinator(cluster)
    const task = [...cluster.world.tasks.keys()][0]!
    for (let failure = 0; failure < FAILURES_ALONE_MIN; failure++) {
      // Pulling, starting, running.
      for (let step = 0; step < 3; step++) work(cluster, bad!)
      failAtOnce(cluster, bad!, task)
    }
    connect(cluster, bad!)
    beat(cluster)
    expect(givenUp(cluster)).toEqual([bad])
    expect(cluster.world.tasks.get(task)?.desired).toBe('running')
    connect(cluster, bad === 'n1' ? 'n2' : 'n1')
    beat(cluster)
    expect(cluster.world.tasks.get(task)?.desired).toBe('stopped')
  })

  test('moves its tasks one at a time', () => {
    const cluster = aCluster(['n1', 'n2', 'n3'])
    deploy(cluster, { replicas: 6, ...STOP_FIRST })
    let most = 0
    runOn(
      cluster,
      2 * MINUTE,
      (node) => node === 'n1',
      () => {
        const wanted = [...cluster.world.tasks.values()].filter(({ desired }) => desired === 'running')
        most = Math.max(most, 6 - wanted.length)
      },
    )
    expect(givenUp(cluster)).toEqual(['n1'])
    expect(placesOf(cluster)).toHaveLength(6)
    expect(most).toBe(1)
  })
})

describe('it is not the node', () => {
  test('where the same version fails on two nodes and does well on none', () => {
    const cluster = aCluster(['n1', 'n2', 'n3', 'n4'])
    deploy(cluster, { replicas: 2 })
    runOn(cluster, 5 * MINUTE, everywhere)
    expect(placements(cluster)).toBe(2)
    const [task] = cluster.world.tasksByService.get('s_web')!
    const service = cluster.world.services.get('s_web')!
    const judged = { world: cluster.world, now: cluster.now, statuses: new Map() }
    expect(whyItStays(judged, service, task!)).toMatch(/its like fails on n\d as well, and does well nowhere/)
  })

  test('where a task of the same version does well there', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { replicas: 4 })
    runOn(cluster, MINUTE, () => false)
    const victim = [...cluster.world.tasks.values()].find(({ node }) => node === 'n1')!.id
    for (let second = 0; second < 60; second += 1) {
      run(cluster, 1000)
      failAtOnce(cluster, 'n1', victim)
      beat(cluster)
    }
    expect(failingOf(cluster)).toBe(undefined)
    expect(cluster.world.tasks.get(victim)?.desired).toBe('running')
  })

  test('where one that is alone did well there for long', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { replicas: 1 })
    runOn(cluster, 10 * MINUTE, () => false)
    runOn(cluster, 5 * MINUTE, everywhere)
    expect(placements(cluster)).toBe(1)
  })

  test('while a version replaces another: the rollout has its own rule', () => {
    const cluster = aCluster(['n1', 'n2', 'n3'])
    const update = { order: 'start-first', failureAction: 'pause' } as const
    deploy(cluster, { replicas: 3, update })
    runOn(cluster, MINUTE, () => false)
    deploy(cluster, { replicas: 3, update, image: 'example/web:2' })
    runOn(cluster, 5 * MINUTE, (node) => node === 'n1')
    const service = cluster.world.services.get('s_web')!
    expect(service.rollout.state).toBe('paused')
    expect(cluster.world.servicesFailing.size).toBe(0)
    const task = [...cluster.world.tasksFailing].find(({ version }) => version === 2)
    const judged = { world: cluster.world, now: cluster.now, statuses: new Map() }
    expect(whyItStays(judged, service, task!)).toMatch(/rollout/)
  })

  test('of a global service, or of what is never started again', () => {
    const cluster = aCluster(['n1', 'n2'])
    deploy(cluster, { global: true })
    runOn(cluster, 2 * MINUTE, (node) => node === 'n1')
    expect(failingOf(cluster)).toBe(undefined)
    deploy(cluster, { replicas: 2, restart: { condition: 'none' } })
    runOn(cluster, 2 * MINUTE, (node) => node === 'n1')
    expect(cluster.world.servicesFailing.size).toBe(0)
  })
})

test('whether another node may take it is told from the first word on, and not that it will be tried where none may', () => {
  const wordsOn = (nodes: string[]) => {
    const cluster = aCluster(nodes)
    deploy(cluster, { replicas: 1 })
    const told = new Set<string | null>()
    runOn(cluster, 2 * MINUTE, everywhere, () => {
      const service = cluster.world.services.get('s_web')!
      for (const task of cluster.world.tasks.values())
        told.add(whyItStays({ ...cluster, statuses: new Map() }, service, task))
    })
    return [...told].filter((why) => why !== null)
  }
  expect(wordsOn(['n1'])).toEqual(['no other node may take it'])
  expect(wordsOn(['n1', 'n2'])[0]).toBe(
    `it failed 3 times in a row; after ${FAILURES_ALONE_MIN} it is tried on another node`,
  )
})

test('what fails everywhere is tried on so many nodes and no more, says so, and stays', () => {
  const cluster = aCluster(['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8'])
  deploy(cluster, { replicas: 1 })
  runOn(cluster, 60 * MINUTE, everywhere)
  expect(placements(cluster)).toBe(1 + GIVEN_UP_MAX)
  expect(failingOf(cluster)?.stays).toBe(`it was tried on ${1 + GIVEN_UP_MAX} nodes, and did well on none`)
  expect(worldFigures(cluster.world, cluster.now)).toMatchObject({ servicesStaying: 1 })
  // What it needs is there at last.
  runOn(cluster, MINUTE, () => false)
  expect(worldFigures(cluster.world, cluster.now)).toMatchObject({ servicesStaying: 0 })
  expect(placements(cluster)).toBe(1 + GIVEN_UP_MAX)
})

test('what fails on all nodes there are is tried on each once in a while, and no more', () => {
  const cluster = aCluster(['n1', 'n2'])
  deploy(cluster, { replicas: 1 })
  runOn(cluster, 60 * MINUTE, everywhere)
  expect(placements(cluster)).toBeLessThanOrEqual(1 + GIVEN_UP_MAX)
  expect(failingOf(cluster)?.stays).toBeDefined()
})

test('whatever nodes are bad, tasks end up on good ones, and nothing moves any more', () => {
  const nodes = ['n1', 'n2', 'n3', 'n4', 'n5']
  fc.assert(
    fc.property(
      fc.subarray(nodes),
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom(STOP_FIRST, START_FIRST),
      (bad, replicas, order) => {
        const cluster = aCluster(nodes)
        deploy(cluster, { replicas, ...order })
        runOn(cluster, 15 * MINUTE, (node) => bad.includes(node))
        const moved = placements(cluster) - replicas
        runOn(cluster, 5 * MINUTE, (node) => bad.includes(node))
        const tasks = [...cluster.world.tasks.values()].filter(({ desired }) => desired === 'running')
        expect(tasks).toHaveLength(replicas)
        // Each move costs a node that was given up, or is one of a task that was there when it was.
        expect(moved).toBeLessThanOrEqual(replicas * (GIVEN_UP_MAX + 1))
        expect(placements(cluster) - replicas).toBeLessThanOrEqual(replicas * (GIVEN_UP_MAX + 1))
        const isSure = bad.length <= 1 && replicas > 1
        if (isSure) expect(tasks.filter(({ node }) => bad.includes(node ?? ''))).toEqual([])
      },
    ),
    { numRuns: 8 },
  )
})

test('it is told: in events as it happens, by why for the service and the task, and in figures', () => {
  const cluster = aCluster(['n1', 'n2', 'n3'], { cpuCores: 1 })
  const told: string[] = []
  cluster.recorder = {
    value: (value, world) => told.push(...eventsOf(world, value).map(({ kind, message }) => `${kind}: ${message}`)),
    beat: () => {},
    lost: () => {},
  }
  deploy(cluster, { replicas: 3, cpuCores: 1, ...STOP_FIRST })
  runOn(cluster, MINUTE, (node) => node === 'n1')
  const failed = [...cluster.world.tasks.values()].find(({ node }) => node === 'n1')!
  const history = { list: () => [], oldest: () => null, onEvent: () => () => {} }
  const why = (name: string) => viewWhy(cluster.world, history, name, cluster.now).reasons.map(({ message }) => message)
  expect(told.filter((line) => line.startsWith('node-failing'))).toEqual([
    expect.stringMatching(
      /^node-failing: n1 keeps failing s_web: s_web\.\d\.\d failed there \d times in a row \(exited 1\); what fails there goes elsewhere, and none comes there for 10 min$/,
    ),
  ])
  expect(why('s_web')).toContainEqual(
    expect.stringMatching(
      /^n1 gets none of its tasks for another \d+ min: s_web\.\d\.\d failed there \d times in a row/,
    ),
  )
  expect(why(failed.id)).toContain('n1 keeps failing it: it goes to another node as soon as one takes it')
  expect(worldFigures(cluster.world, cluster.now)).toMatchObject({ nodesFailing: 1, servicesStaying: 0 })
  runOn(cluster, GIVEN_UP_MS, (node) => node === 'n1')
  expect(told).toContain('node-failing-ended: n1 may take tasks of s_web again')
})
