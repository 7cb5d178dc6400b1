import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { refusalWords } from '../../../coordinator/api/refusal-words.ts'
import { refusalOf } from '../../../coordinator/decide/checks/all.ts'
import { meets } from '../../../coordinator/decide/checks/constraint.ts'
import { genericNeed } from '../../../coordinator/decide/generic-need.ts'
import { pictureOf } from '../../../coordinator/decide/picture.ts'
import { reluctance } from '../../../coordinator/decide/reluctance.ts'
import type { Refusal, Service, Task } from '../../../coordinator/world.ts'
import type { Affinity, Constraint, Toleration } from '../../../shared/spec.ts'
import { aContainerSpec, anAffinity, GiB, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, aService, aTask, aWorld, type NodeGiven } from '../../build/world.ts'

type Given = { nodes: NodeGiven[]; spec?: ServiceSpecGiven; others?: Service[]; tasks?: Task[] }

function asked({ nodes, spec = {}, others = [], tasks = [] }: Given) {
  const service = aService({ spec })
  const members = nodes.map((node, index) => aNode({ name: `n${index + 1}`, ...node }))
  const picture = pictureOf(aWorld({ nodes: members, services: [service, ...others], tasks }))
  const version = service.versions.get(1)!
  return { picture, request: { task: 't', service, version, slot: 9, onlyNode: null, waitsFor: [] } }
}

function refusals(given: Given): (Refusal | null)[] {
  const { picture, request } = asked(given)
  return [...picture.values()].map((seen) => refusalOf(request, seen))
}

function words(given: Given): (string | null)[] {
  return refusals(given).map((refusal) => refusal && refusalWords(refusal))
}

describe('a reservation', () => {
  test('may use what a node overcommits, and not what it keeps back for itself', () => {
    const nodes = [
      { cpuCores: 2, memoryBytes: 2 * GiB },
      { cpuCores: 2, memoryBytes: 2 * GiB, overcommit: { cpu: 2, memory: 2 } },
      { cpuCores: 4, memoryBytes: 4 * GiB, reserve: { cpuCores: 1.5 } },
      { cpuCores: 4, memoryBytes: 4 * GiB, reserve: { memoryBytes: 2 * GiB } },
    ]
    expect(words({ nodes, spec: { cpuCores: 3, memoryBytes: 3 * GiB } })).toEqual([
      'cpu: needs 3 CPU, 2 CPU free of promise',
      null,
      'cpu: needs 3 CPU, 2.5 CPU free of promise',
      'memory: needs 3.0 GiB, 2.0 GiB free of promise',
    ])
  })

  test('of disk counts what other tasks were promised; a node that has not told its disk has none', () => {
    const other = aService({ shortName: 'db', spec: { diskBytes: 30 * GiB } })
    const nodes = [{ diskBytes: 50 * GiB }, { diskBytes: 50 * GiB }, {}]
    const tasks = [aTask({ service: other.name })]
    expect(refusals({ nodes, spec: { diskBytes: 25 * GiB }, others: [other], tasks })).toEqual([
      { node: 'n1', check: 'disk', figures: { neededBytes: 25 * GiB, freeBytes: 20 * GiB } },
      null,
      { node: 'n3', check: 'disk', figures: { neededBytes: 25 * GiB, freeBytes: 0 } },
    ])
  })

  test('of a countable thing is refused where too few are left, and where there never was one', () => {
    const other = aService({ shortName: 'db', spec: { generic: { gpu: 1 } } })
    const nodes: NodeGiven[] = [{ generic: { gpu: 2 } }, { generic: { gpu: 2 } }, { generic: { fpga: 2 } }]
    const tasks = [aTask({ service: other.name })]
    expect(words({ nodes, spec: { generic: { gpu: 2 } }, others: [other], tasks })).toEqual([
      'generic: needs 2 gpu, 1 of 2 free of promise',
      null,
      'generic: needs 2 gpu, it has none',
    ])
  })
})

describe('devices', () => {
  test('are counted as the resource of their first capability; all of them want a node that has some and no other task on them', () => {
    const other = aService({ shortName: 'db', spec: { generic: { gpu: 1 } } })
    const spec = { container: { deviceRequests: [{ count: -1, capabilities: ['gpu', 'compute'] }] } }
    const tasks = [aTask({ service: other.name })]
    expect(
      words({ nodes: [{ generic: { gpu: 2 } }, { generic: { gpu: 2 } }, {}], spec, others: [other], tasks }),
    ).toEqual(['generic: needs 2 gpu, 1 of 2 free of promise', null, 'generic: needs 1 gpu, it has none'])
  })

  test('all of them being promised, none is left for others', () => {
    const other = aService({
      shortName: 'db',
      spec: { container: { deviceRequests: [{ count: -1, capabilities: ['gpu'] }] } },
    })
    const spec = { generic: { gpu: 1 } }
    const given = { nodes: [{ generic: { gpu: 2 } }], spec, others: [other], tasks: [aTask({ service: other.name })] }
    expect(words(given)).toEqual(['generic: needs 1 gpu, 0 of 2 free of promise'])
  })

  test('said also as a generic resource are not counted twice: the greater counts', () => {
    const need = (generic: Record<string, number>, ...requests: { count?: number; deviceIds?: string[] }[]) => {
      const resources = { reservation: { cpuCores: 0, memoryBytes: 0, generic }, limit: {} }
      const deviceRequests = requests.map((request) => ({ ...request, capabilities: ['gpu'] }))
      return Object.fromEntries(genericNeed(aContainerSpec({ resources, deviceRequests })))
    }
    expect(need({ gpu: 2 }, { count: 1 })).toEqual({ gpu: 2 })
    expect(need({ gpu: 1, fpga: 1 }, { count: 1 }, { deviceIds: ['0', '3'] })).toEqual({ gpu: 3, fpga: 1 })
    expect(need({ gpu: 1 }, { count: -1 }, { count: 1 })).toEqual({ gpu: 'all' })
    expect(need({ gpu: 0 })).toEqual({})
  })
})

describe('a constraint', () => {
  const constraint = (text: Partial<Constraint>): Constraint => ({
    attribute: 'node.labels.x',
    operator: '==',
    value: '',
    ...text,
  })
  const holds = (operator: Constraint['operator'], value: string | string[], has: (string | null)[]) =>
    has.filter((each) =>
      meets(constraint({ operator, ...(typeof value === 'string' ? { value } : { values: value }) }), each),
    )

  test('holds for the values that its operator means; a node without the attribute meets only what is negative', () => {
    const labels = ['a', 'b', '', null]
    expect(holds('==', 'a', labels)).toEqual(['a'])
    expect(holds('!=', 'a', labels)).toEqual(['b', '', null])
    expect(holds('in', ['a', 'c'], labels)).toEqual(['a'])
    expect(holds('not-in', ['a', 'c'], labels)).toEqual(['b', '', null])
    expect(holds('exists', '', labels)).toEqual(['a', 'b', ''])
    expect(holds('not-exists', '', labels)).toEqual([null])
  })

  test('compares numbers as numbers; what is none is neither less nor more', () => {
    const labels = ['2', '3', '3.0', '10', '-4', 'x', '', null]
    expect(holds('<', '3', labels)).toEqual(['2', '-4'])
    expect(holds('<=', '3', labels)).toEqual(['2', '3', '3.0', '-4'])
    expect(holds('>', '3', labels)).toEqual(['10'])
    expect(holds('>=', '3', labels)).toEqual(['3', '3.0', '10'])
  })

  test('and its opposite are never both met, and one is', () => {
    const opposites = [
      ['==', '!='],
      ['in', 'not-in'],
      ['exists', 'not-exists'],
    ] as const
    const label = fc.option(fc.constantFrom('', 'a', 'b', '1', '2'))
    fc.assert(
      fc.property(fc.constantFrom(...opposites), fc.constantFrom('a', '1', ''), label, ([one, other], value, has) => {
        const given = { value, values: [value, 'z'] }
        expect(meets(constraint({ operator: one, ...given }), has)).toBe(
          !meets(constraint({ operator: other, ...given }), has),
        )
      }),
    )
  })

  test('an Engine’s x86_64 is among amd64 and arm64', () => {
    const wanted = constraint({ attribute: 'node.platform.arch', operator: 'in', values: ['amd64', 'arm64'] })
    expect([meets(wanted, 'x86_64'), meets(wanted, 'riscv64')]).toEqual([true, false])
  })

  test('that is not met is told with what the node has', () => {
    const told = (given: Partial<Constraint>) =>
      words({ nodes: [{ agentLabels: { x: '2' } }, {}], spec: { placement: { constraints: [constraint(given)] } } })
    expect(told({ operator: 'in', values: ['a', 'b'] })).toEqual([
      'constraint: node.labels.x in a, b, it has 2',
      'constraint: node.labels.x in a, b, it has none',
    ])
    expect(told({ operator: 'not-exists' })).toEqual(['constraint: node.labels.x not exists, it has 2', null])
    expect(told({ operator: '>=', value: '3' })[0]).toBe('constraint: node.labels.x >= 3, it has 2')
  })
})

describe('a taint', () => {
  const told = (taints: string[], tolerations: Toleration[]) =>
    words({ nodes: [{ taints }], spec: { placement: { tolerations } } })[0]

  test('keeps tasks away that do not tolerate it, by its key, and where said by its value and effect', () => {
    const no = 'taint: it is tainted gpu=yes:no-schedule, which is not tolerated'
    expect(told(['gpu=yes:no-schedule'], [])).toBe(no)
    expect(told(['gpu=yes:no-schedule'], [{ key: 'fpga', operator: 'exists' }])).toBe(no)
    expect(told(['gpu=yes:no-schedule'], [{ key: 'gpu', operator: '==', value: 'no' }])).toBe(no)
    expect(told(['gpu=yes:no-schedule'], [{ key: 'gpu', operator: 'exists', effect: 'no-execute' }])).toBe(no)
    expect(told(['gpu=yes:no-schedule'], [{ key: 'gpu', operator: 'exists' }])).toBe(null)
    expect(told(['gpu=yes:no-schedule'], [{ key: 'gpu', operator: '==', value: 'yes' }])).toBe(null)
    expect(told(['gpu:no-execute'], [{ key: 'gpu', operator: '==', effect: 'no-execute' }])).toBe(null)
  })

  test('each of a node’s taints wants a toleration, but for one that only prefers to be left alone', () => {
    const tolerations: Toleration[] = [{ key: 'gpu', operator: 'exists' }]
    expect(told(['gpu:no-schedule', 'slow:no-schedule'], tolerations)).toMatch('slow:no-schedule')
    expect(told(['gpu:no-schedule', 'slow:prefer-no-schedule'], tolerations)).toBe(null)
  })
})

describe('affinity', () => {
  const wish = (given: Partial<Affinity>) => anAffinity('db', { over: 'node.labels.zone', ...given })
  const db = aService({ shortName: 'db' })
  const zones = [{ agentLabels: { zone: 'a' } }, { agentLabels: { zone: 'a' } }, { agentLabels: { zone: 'b' } }, {}]
  const given = (affinity: Affinity[], tasks: Task[] = [aTask({ service: db.name })], others = [db]) => ({
    nodes: zones,
    spec: { placement: { affinity } },
    others,
    tasks,
  })

  test('wants a place where a task of the service is; all nodes of one value of the attribute are one place', () => {
    expect(words(given([wish({})]))).toEqual([
      null,
      null,
      'affinity: wants to be near shop_db, which has no task where node.labels.zone is b',
      'affinity: wants to be near shop_db, and it has no node.labels.zone',
    ])
  })

  test('over the node’s name wants the very node', () => {
    expect(words(given([wish({ over: 'node.name' })]))[1]).toBe(
      'affinity: wants to be near shop_db, which has no task there',
    )
  })

  test('does not count a neighbour that has ended, or is told to stop', () => {
    const near = (task: Parameters<typeof aTask>[0]) =>
      refusals(given([wish({})], [aTask({ service: db.name, ...task })]))[0]?.check
    expect(near({ state: 'completed' })).toBe('affinity')
    expect(near({ desired: 'stopped' })).toBe('affinity')
    expect(near({ state: 'starting' })).toBe(undefined)
  })

  test('names a service of another stack by its full name, and one of its own stack first', () => {
    const theirs = aService({ stack: 'data', shortName: 'db' })
    const tasks = [aTask({ service: theirs.name, node: 'n3' }), aTask({ service: db.name, node: 'n1' })]
    const places = (service: string) =>
      words(given([wish({ service, over: 'node.name' })], tasks, [db, theirs])).map((no) => no === null)
    expect(places('data_db')).toEqual([false, false, true, false])
    expect(places('db')).toEqual([true, false, false, false])
  })

  test('to its own service lets the first task go anywhere, and binds the others to it', () => {
    const own = wish({ service: 'web' })
    expect(words(given([own], []))).toEqual([null, null, null, expect.stringContaining('has no node.labels.zone')])
    expect(words(given([own], [aTask({ node: 'n3' })])).map((no) => no === null)).toEqual([false, false, true, false])
  })

  test('turned round keeps away from the place; a node without the attribute shares no place', () => {
    expect(words(given([wish({ anti: true })]))).toEqual([
      'affinity: is kept away from shop_db, which has 1 task where node.labels.zone is a',
      'affinity: is kept away from shop_db, which has 1 task where node.labels.zone is a',
      null,
      null,
    ])
  })

  test('turned round counts a neighbour until its container is gone', () => {
    const stopping = aTask({ service: db.name, desired: 'stopped' })
    expect(refusals(given([wish({ anti: true })], [stopping]))[0]?.check).toBe('affinity')
  })

  test('turned round binds both: a service is kept away from one that wants none of it near', () => {
    const shy = aService({
      shortName: 'shy',
      spec: { placement: { affinity: [wish({ service: 'web', anti: true })] } },
    })
    const tasks = [aTask({ service: shy.name, node: 'n3' })]
    expect(words(given([], tasks, [shy]))).toEqual([
      null,
      null,
      'affinity: shop_shy wants it away, and has 1 task where node.labels.zone is b',
      null,
    ])
  })

  test('that is not required forbids nothing', () => {
    const wishes = [wish({ required: false }), wish({ required: false, anti: true, service: 'web' })]
    expect(refusals(given(wishes, []))).toEqual([null, null, null, null])
  })
})

test('what only speaks against a node is counted: taints that prefer to be left alone, affinities that are not required', () => {
  const db = aService({ shortName: 'db' })
  const near = { service: 'db', over: 'node.name', anti: false, required: false }
  const away = { service: 'db', over: 'node.labels.zone', anti: true, required: false }
  const tolerations: Toleration[] = [{ key: 'old', operator: 'exists' }]
  const { picture, request } = asked({
    nodes: [
      { agentLabels: { zone: 'a' } },
      { agentLabels: { zone: 'a' }, taints: ['slow:prefer-no-schedule', 'old:prefer-no-schedule'] },
      {},
    ],
    spec: { placement: { affinity: [near, away], tolerations } },
    others: [db],
    tasks: [aTask({ service: db.name })],
  })
  expect([...picture.values()].map((seen) => reluctance(request, seen))).toEqual([1, 3, 1])
})
