import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide } from '../../../coordinator/decide/decide.ts'
import { newMarks } from '../../../coordinator/decide/marks.ts'
import { pictureOf } from '../../../coordinator/decide/picture.ts'
import { defaultSettings } from '../../../coordinator/decide/settings.ts'
import { apply, emptyWorld } from '../../../coordinator/store/apply.ts'
import { ForkedMap, forkWorld } from '../../../coordinator/store/fork.ts'
import type { Task, World, WorldValue } from '../../../coordinator/world.ts'
import { aCluster, beat, change, run } from '../../build/cluster.ts'
import { aStackSpec } from '../../build/spec.ts'
import { anEngine, NOW } from '../../build/world.ts'

/** Everything in it, in its order, as text. */
function printed(value: unknown): string {
  return JSON.stringify(value, (_key, member) => {
    if (member instanceof Map) return { map: [...member] }
    if (member instanceof Set) return { set: [...member] }
    return member
  })
}

/** Throws when anybody writes to a node, a service or a task. */
function frozen(world: World): World {
  for (const things of [world.nodes, world.services, world.tasks, world.stacks]) {
    for (const thing of things.values()) {
      Object.freeze(thing)
      if ('heard' in thing) Object.freeze(thing.heard)
    }
  }
  return world
}

function aBusyWorld(): World {
  const cluster = aCluster(['n1', 'n2', 'n3'])
  const spec = aStackSpec('s', {
    web: { replicas: 5, cpuCores: 0.5, update: { parallelism: 2 } },
    db: { volumes: ['data'] },
    log: { global: true },
    big: { replicas: 4, cpuCores: 3 },
  })
  change(cluster, { kind: 'deploy-stack', spec, prune: true })
  beat(cluster)
  run(cluster, 3_000)
  return cluster.world
}

const node = fc.constantFrom('n1', 'n2', 'n3')
const value: fc.Arbitrary<(world: World) => WorldValue[]> = fc.oneof(
  fc
    .integer({ min: 0, max: 7 })
    .map((replicas) => () => [{ at: NOW, change: { kind: 'scale-service' as const, service: 's_web', replicas } }]),
  fc.constantFrom('a', 'b').map((image) => () => [
    {
      at: NOW,
      change: {
        kind: 'deploy-stack' as const,
        spec: aStackSpec('s', { web: { image, replicas: 3 }, new: {} }),
        prune: true,
      },
    },
  ]),
  fc.constant(() => [{ at: NOW, change: { kind: 'remove-stack' as const, stack: 's' } }]),
  fc.constant(() => [{ at: NOW, change: { kind: 'rollback-service' as const, service: 's_web' } }]),
  fc.constant(() => [
    { at: NOW, change: { kind: 'set-cluster' as const, settings: { survive: 'any-node' as const } } },
  ]),
  node.map((name) => () => [
    { at: NOW, change: { kind: 'set-availability' as const, node: name, availability: 'drain' as const } },
  ]),
  node.map((name) => () => [
    { at: NOW, change: { kind: 'label-node' as const, node: name, set: { zone: 'a' }, remove: [] } },
  ]),
  node.map((name) => () => [
    {
      at: NOW,
      decision: {
        kind: 'set-node-status' as const,
        node: name,
        status: { name: 'lost' as const, since: NOW, why: 'x' },
      },
    },
  ]),
  node.map((name) => () => [{ at: NOW, change: { kind: 'remove-node' as const, node: name } }]),
  node.map((name) => (world: World) => [
    {
      at: NOW,
      observation: {
        kind: 'tasks' as const,
        node: name,
        full: true,
        revision: 1,
        engine: anEngine(),
        tasks: [...(world.tasksByNode.get(name) ?? [])]
          .slice(1)
          .map(({ id }) => ({ task: id, spec: '', attempt: 2, state: 'running' as const, since: NOW })),
        gone: [],
      },
    },
  ]),
  fc.constant((world: World) =>
    decide(world, { ...newMarks(), all: true }, NOW, defaultSettings(NOW)).decisions.map((decision) => ({
      at: NOW,
      decision,
    })),
  ),
)

test('what happens in a fork is what would happen in the world itself, and the world does not notice', () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 12 }), (acts) => {
      const world = aBusyWorld()
      // A fork is asked by nobody who needs a tally: it has none.
      const deed = { ...structuredClone(world), tally: undefined }
      const before = printed(world)
      const fork = forkWorld(frozen(world))
      for (const act of acts) {
        const values = act(deed)
        expect(printed(act(fork)), 'the same is decided').toBe(printed(values))
        for (const each of values) {
          apply(deed, each)
          apply(fork, each)
        }
        expect(printed(fork)).toBe(printed(deed))
        expect([...pictureOf(fork).keys()]).toEqual([...pictureOf(deed).keys()])
      }
      expect(printed(world)).toBe(before)
    }),
    { numRuns: 150 },
  )
})

test('a fork of a fork leaves the first one as it is', () => {
  const first = forkWorld(aBusyWorld())
  apply(first, { at: NOW, change: { kind: 'scale-service', service: 's_web', replicas: 9 } })
  const before = printed(first)
  const second = forkWorld(first)
  apply(second, { at: NOW, change: { kind: 'remove-stack', stack: 's' } })
  expect(printed(first)).toBe(before)
  expect(printed(second)).not.toBe(before)
})

test('every part of a World that can change in place is one that the fork knows of', () => {
  const changeable = Object.entries(emptyWorld('x')).filter(([, part]) => part instanceof Map || part instanceof Set)
  const fork = forkWorld(emptyWorld('x'))
  for (const [name, part] of changeable) {
    expect(fork[name as keyof World], `${name} is the fork's own: see coordinator/store/fork.ts`).not.toBe(part)
  }
  const own = changeable
    .map(([name]) => name)
    .filter((name) => (fork[name as keyof World] as object).constructor !== Map)
  expect(own).toEqual(changeable.map(([name]) => name))
})

test('a map over another keeps the order that a map with the same past has', () => {
  const step = fc.tuple(fc.constantFrom('set', 'delete', 'get'), fc.constantFrom('a', 'b', 'c', 'd', 'e'))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const start = () => new Map(['a', 'b', 'c'].map((key) => [key, { value: 0 }]))
      const plain = start()
      const base = start()
      const forked = new ForkedMap(base, (each) => ({ ...each }))
      for (const [index, [what, key]] of steps.entries()) {
        for (const map of [plain, forked]) {
          if (what === 'set') map.set(key, { value: index })
          else if (what === 'delete') map.delete(key)
          else {
            const found = map.get(key)
            if (found) found.value += 100
          }
        }
        expect([...forked]).toEqual([...plain])
        expect([...forked.values()]).toEqual([...plain.values()])
        expect([...forked.keys()]).toEqual([...plain.keys()])
        expect([forked.size, forked.has(key)]).toEqual([plain.size, plain.has(key)])
      }
      expect(base).toEqual(start())
    }),
  )
})

test('a task that nobody has taken out is not copied', () => {
  const world = aBusyWorld()
  const fork = forkWorld(world)
  const [first] = world.tasks.values()
  const [seen] = fork.tasksByService.get((first as Task).service) ?? []
  expect(seen).toBe(first)
  const own = fork.tasks.get((first as Task).id)
  expect(own).not.toBe(first)
  expect([...(fork.tasksByService.get((first as Task).service) ?? [])][0]).toBe(own)
})
