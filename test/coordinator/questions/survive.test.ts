import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admitWithRules } from '../../../coordinator/questions/survival-rule.ts'
import { brokenBy, survivalOf } from '../../../coordinator/questions/survive.ts'
import type { Change, World } from '../../../coordinator/world.ts'
import { aPort, aStackSpec, GiB, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

function aGuardedWorld(nodes: number, memoryGiB = 8): World {
  const world = aWorld({
    nodes: Array.from({ length: nodes }, (_, index) => aNode({ name: `n${index + 1}`, memoryBytes: memoryGiB * GiB })),
  })
  world.settings = { ...world.settings, survive: 'any-node' }
  return world
}

const deploy = (services: Record<string, ServiceSpecGiven>): Change => ({
  kind: 'deploy-stack',
  spec: aStackSpec('shop', services),
  prune: true,
})

describe('the rule survive=any-node', () => {
  test('refuses what the loss of one node would break, and names the node and what would not fit', () => {
    const verdict = admitWithRules(aGuardedWorld(2), deploy({ web: { replicas: 2, memoryBytes: 5 * GiB } }))
    expect(verdict).toMatchObject({ ok: false, code: 'conflict', details: { rule: 'survive', node: 'n1' } })
    expect(verdict.ok ? '' : verdict.message).toMatch(
      /if n1 were lost, a task of shop_web would not fit anywhere \(memory\)/,
    )
  })

  test('admits what would fit without any one of them', () => {
    expect(admitWithRules(aGuardedWorld(2), deploy({ web: { replicas: 2, memoryBytes: 4 * GiB } })).ok).toBe(true)
  })

  test('refuses a volume that is on one node only', () => {
    const verdict = admitWithRules(aGuardedWorld(3), deploy({ db: { volumes: ['data'] } }))
    expect(verdict.ok ? '' : verdict.message).toMatch(/shop_db would stop, since its volume data is there only/)
  })

  test('a global service is bound to each node and breaks nothing', () => {
    expect(admitWithRules(aGuardedWorld(2), deploy({ log: { global: true, memoryBytes: 7 * GiB } })).ok).toBe(true)
  })

  test('counts for scaling up too, and neither for scaling down nor for what was broken before', () => {
    const world = aGuardedWorld(2)
    world.services.set('shop_web', aService({ spec: { replicas: 2, memoryBytes: 4 * GiB } }))
    const full = aWorld({
      nodes: [...world.nodes.values()],
      services: [aService({ spec: { replicas: 3, memoryBytes: 4 * GiB } })],
      tasks: [1, 2, 3].map((slot) => aTask({ id: `shop_web.${slot}.a`, slot, node: slot === 3 ? 'n2' : 'n1' })),
    })
    full.settings = world.settings
    const scale = (replicas: number): Change => ({ kind: 'scale-service', service: 'shop_web', replicas })
    expect(admitWithRules(full, scale(4)).ok).toBe(false)
    expect(admitWithRules(full, scale(2)).ok).toBe(true)
    const other: Change = { kind: 'deploy-stack', spec: aStackSpec('tools', { tick: {} }), prune: true }
    expect(admitWithRules(full, other).ok).toBe(true)
  })

  test('is not asked where it is not set', () => {
    const world = aGuardedWorld(2)
    world.settings = { ...world.settings, survive: 'nothing' }
    expect(admitWithRules(world, deploy({ db: { volumes: ['data'] } })).ok).toBe(true)
  })
})

const given: fc.Arbitrary<ServiceSpecGiven> = fc.record({
  replicas: fc.integer({ min: 1, max: 4 }),
  memoryBytes: fc.constantFrom(0, 1, 2, 3, 5).map((size) => size * GiB),
  cpuCores: fc.constantFrom(0, 0.5, 1, 2),
  ports: fc.constantFrom([], [], [], [aPort(8080)]),
  placement: fc.constantFrom({}, {}, {}, { maxPerNode: 1 }, { policy: 'binpack' as const }),
})

test('what is proven is so: every node told to be safe breaks nothing when it is tried', () => {
  let proven = 0
  fc.assert(
    fc.property(fc.array(given, { minLength: 1, maxLength: 6 }), fc.integer({ min: 3, max: 9 }), (specs, count) => {
      const nodes = Array.from({ length: count }, (_, index) =>
        aNode({ name: `n${index}`, memoryBytes: 16 * GiB, cpuCores: 8 }),
      )
      const services = specs.map((spec, index) => aService({ shortName: `s${index}`, spec }))
      let next = 0
      const tasks = services.flatMap((service, index) =>
        Array.from({ length: specs[index]?.replicas ?? 0 }, (_, slot) =>
          aTask({
            id: `${service.name}.${slot + 1}.a`,
            service: service.name,
            slot: slot + 1,
            node: `n${next++ % count}`,
          }),
        ),
      )
      const world = aWorld({ nodes, services, tasks })
      const { safe, broken, unknown } = survivalOf(world, NOW, { triesMax: 0 })
      expect(broken).toEqual([])
      expect(safe.length + unknown.length).toBe(count)
      proven += safe.length
      for (const node of safe) expect(brokenBy(world, node, NOW), node).toEqual([])
    }),
    { numRuns: 200 },
  )
  expect(proven, 'the proof is of use').toBeGreaterThan(200)
})

test('in a fleet with some room no node has to be tried', () => {
  const nodes = Array.from({ length: 300 }, (_, index) =>
    aNode({ name: `n${index}`, memoryBytes: 64 * GiB, cpuCores: 16 }),
  )
  const services = Array.from({ length: 30 }, (_, index) =>
    aService({ shortName: `s${index}`, spec: { replicas: 100, memoryBytes: (1 + (index % 4)) * GiB, cpuCores: 0.5 } }),
  )
  let next = 0
  const tasks = services.flatMap(({ name }) =>
    Array.from({ length: 100 }, (_, slot) =>
      aTask({ id: `${name}.${slot + 1}.a`, service: name, slot: slot + 1, node: `n${next++ % 300}` }),
    ),
  )
  const { safe, unknown } = survivalOf(aWorld({ nodes, services, tasks }), NOW, { triesMax: 0 })
  expect([safe.length, unknown.length]).toEqual([300, 0])
})
