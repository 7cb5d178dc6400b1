import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { refusalOf } from '../../../coordinator/decide/checks/all.ts'
import { meets } from '../../../coordinator/decide/checks/constraint.ts'
import { pictureOf } from '../../../coordinator/decide/picture.ts'
import { countRefusals } from '../../../coordinator/decide/refusal-counts.ts'
import { smallestChanges } from '../../../coordinator/decide/smallest-change.ts'
import { requestOf } from '../../../coordinator/questions/why.ts'
import type { Node } from '../../../coordinator/world.ts'
import type { Constraint } from '../../../shared/spec.ts'
import { aPort, GiB, MiB, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, aService, aTask, aWorld } from '../../build/world.ts'

function changesFor(spec: ServiceSpecGiven, nodes: Node[], others: Parameters<typeof aTask>[0][] = []) {
  const waiting = aTask({ id: 'shop_web.9.z', slot: 9, node: null })
  const world = aWorld({ nodes, services: [aService({ spec })], tasks: [waiting, ...others.map(aTask)] })
  return smallestChanges(requestOf(world, waiting)!, pictureOf(world).values())
}

const ssd = { constraints: [{ attribute: 'node.labels.disk', operator: '==' as const, value: 'ssd' }] }

describe('the smallest change that would let a task run', () => {
  test('is the least cut of its reservation, or the label that one more node lacks', () => {
    const nodes = [
      aNode({ name: 'n1', memoryBytes: 8 * GiB }),
      aNode({ name: 'n2', memoryBytes: 8 * GiB }),
      aNode({ name: 'n3', memoryBytes: 1.2 * GiB, operatorLabels: { disk: 'ssd' } }),
    ]
    expect(changesFor({ memoryBytes: 4 * GiB, placement: ssd }, nodes)).toEqual([
      { node: 'n1', relaxations: [{ kind: 'label-node', label: 'disk', value: 'ssd' }] },
      {
        node: 'n3',
        relaxations: [{ kind: 'reserve-less', resource: 'memory', needed: 4 * GiB, to: Math.floor(1.2 * GiB) }],
      },
    ])
  })

  test('of many nodes the one that needs the least cut counts', () => {
    const nodes = [1, 3, 2].map((size) => aNode({ name: `n${size}`, memoryBytes: size * GiB }))
    expect(changesFor({ memoryBytes: 4 * GiB }, nodes)).toEqual([
      { node: 'n3', relaxations: [{ kind: 'reserve-less', resource: 'memory', needed: 4 * GiB, to: 3 * GiB }] },
    ])
  })

  test('may take two changes, where one alone would not do', () => {
    const found = changesFor({ cpuCores: 8, memoryBytes: 16 * GiB }, [aNode({ cpuCores: 4, memoryBytes: 8 * GiB })])
    expect(found.map(({ relaxations }) => relaxations.map(({ kind }) => kind))).toEqual([
      ['reserve-less', 'reserve-less'],
    ])
  })

  test.each([
    [
      'a taint may be tolerated',
      {},
      { taints: [{ key: 'gpu', value: '', effect: 'no-schedule' as const }] },
      'tolerate-taint',
    ],
    [
      'a wish to be near another service may be given up',
      { placement: { affinity: [{ service: 'db', over: 'node.name', anti: false, required: true }] } },
      {},
      'drop-affinity',
    ],
    ['a drained node may be activated', {}, { availability: 'drain' as const }, 'activate-node'],
    [
      'a lost node may come back',
      {},
      { status: { name: 'lost' as const, since: 0, why: '' }, connection: null },
      'bring-back-node',
    ],
    ['another platform may be given up', { container: { platform: 'linux/arm64' } }, {}, 'drop-platform'],
    [
      'a constraint that no label can meet may be given up',
      { placement: { constraints: [{ attribute: 'node.hostname', operator: '==' as const, value: 'x' }] } },
      {},
      'drop-constraint',
    ],
  ])('%s', (_what, spec, node, kind) => {
    expect(changesFor(spec, [aNode(node)]).map(({ relaxations }) => relaxations.map((each) => each.kind))).toEqual([
      [kind],
    ])
  })

  test.each([
    ['==', { value: '3' }, '3'],
    ['in', { values: ['4', '5'] }, '4'],
    ['exists', {}, 'true'],
    ['>=', { value: '3' }, '3'],
    ['<=', { value: '1' }, '1'],
    ['>', { value: '3' }, '4'],
    ['<', { value: '2' }, '1'],
  ] as const)('a label is given a value with which %s is met', (operator, wanted, value) => {
    const constraints = [{ attribute: 'node.labels.gen', operator, value: '', ...wanted } as Constraint]
    const operatorLabels: Record<string, string> = operator === 'exists' ? {} : { gen: '2' }
    const [change] = changesFor({ placement: { constraints } }, [aNode({ operatorLabels })])
    expect(change?.relaxations).toEqual([{ kind: 'label-node', label: 'gen', value }])
    expect(meets(constraints[0]!, value)).toBe(true)
  })

  test.each(['!=', 'not-in', 'not-exists'] as const)('a label is taken away for %s', (operator) => {
    const constraint = { attribute: 'node.labels.gen', operator, value: '2', values: ['2'] } as Constraint
    const node = aNode({ operatorLabels: { gen: '2' } })
    const [change] = changesFor({ placement: { constraints: [constraint] } }, [node])
    expect(change?.relaxations).toEqual([{ kind: 'unlabel-node', label: 'gen' }])
    expect(meets(constraint, null)).toBe(true)
  })

  test('a task that stands in the way of a host port is named', () => {
    const [change] = changesFor({ ports: [aPort(8080)] }, [aNode()], [{ id: 'shop_web.1.a' }])
    expect(change?.relaxations).toEqual([{ kind: 'free-port', port: 8080, protocol: 'tcp', heldBy: 'shop_web.1.a' }])
  })

  test('a limit per node is raised by one', () => {
    const [change] = changesFor({ placement: { maxPerNode: 1 } }, [aNode()], [{ id: 'shop_web.1.a' }])
    expect(change?.relaxations).toEqual([{ kind: 'allow-per-node', max: 2 }])
  })

  test('a reservation is not cut down to next to nothing', () => {
    expect(changesFor({ memoryBytes: 4 * GiB }, [aNode({ memoryBytes: 10 * MiB })])).toEqual([])
  })

  test('what does not have what it is told does not fit before, and fits after', () => {
    const size = fc.integer({ min: 1, max: 8 })
    const label = fc.constantFrom({}, { disk: 'ssd' }, { disk: 'hdd' })
    const node = fc.record({ memory: size, cpu: size, labels: label, drained: fc.boolean() })
    fc.assert(
      fc.property(fc.array(node, { minLength: 1, maxLength: 6 }), size, size, (given, cpuCores, memory) => {
        const nodes = given.map(({ memory: has, cpu, labels, drained }, index) =>
          aNode({
            name: `n${index}`,
            cpuCores: cpu,
            memoryBytes: has * GiB,
            operatorLabels: labels as Record<string, string>,
            availability: drained ? 'drain' : 'active',
          }),
        )
        const waiting = aTask({ node: null })
        const spec = { cpuCores, memoryBytes: memory * GiB, placement: ssd }
        const world = aWorld({ nodes, services: [aService({ spec })], tasks: [waiting] })
        const request = requestOf(world, waiting)!
        for (const { node: name, relaxations } of smallestChanges(request, pictureOf(world).values())) {
          expect(refusalOf(request, pictureOf(world).get(name)!)).not.toBeNull()
          const changed = nodes.map((each) => {
            if (each.name !== name) return each
            const operatorLabels = { ...each.operatorLabels }
            const copy = { ...each, operatorLabels }
            for (const each of relaxations) {
              if (each.kind === 'label-node') operatorLabels[each.label] = each.value
              if (each.kind === 'activate-node') copy.availability = 'active'
            }
            return copy
          })
          const less = { ...spec }
          for (const each of relaxations) {
            if (each.kind !== 'reserve-less') continue
            if (each.resource === 'cpu') less.cpuCores = each.to
            else less.memoryBytes = each.to
          }
          const after = aWorld({ nodes: changed, services: [aService({ spec: less })], tasks: [waiting] })
          expect(refusalOf(requestOf(after, waiting)!, pictureOf(after).get(name)!)).toBeNull()
        }
      }),
    )
  })
})

test('refusals are counted by check, with how much the nodes fall short at least and at most', () => {
  const constraint = { attribute: 'node.labels.zone', operator: '==', value: 'b' }
  expect(
    countRefusals([
      { node: 'n3', check: 'memory', figures: { neededBytes: GiB, freeBytes: GiB - 900 * MiB } },
      { node: 'n1', check: 'memory', figures: { neededBytes: GiB, freeBytes: GiB - 128 * MiB } },
      { node: 'n2', check: 'constraint', figures: { ...constraint, has: 'a' } },
      { node: 'n4', check: 'memory', figures: { neededBytes: GiB, freeBytes: GiB - 200 * MiB } },
    ]),
  ).toEqual([
    {
      check: 'memory',
      subject: '',
      count: 3,
      nodes: ['n1', 'n3', 'n4'],
      shortBy: { min: 128 * MiB, max: 900 * MiB, unit: 'bytes' },
      figures: { neededBytes: GiB, freeBytes: GiB - 128 * MiB },
    },
    {
      check: 'constraint',
      subject: 'node.labels.zone==b',
      count: 1,
      nodes: ['n2'],
      shortBy: null,
      figures: { ...constraint, has: 'a' },
    },
  ])
})
