import { Check } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { page } from '../../../coordinator/api/paging.ts'
import { fieldsError } from '../../../coordinator/api/problem-answers.ts'
import { refusalWords } from '../../../coordinator/api/refusal-words.ts'
import { viewStack } from '../../../coordinator/api/view-service.ts'
import { viewStatus } from '../../../coordinator/api/view-status.ts'
import { findTask, viewTask } from '../../../coordinator/api/view-task.ts'
import { StatusDocument } from '../../../shared/api.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const facts = { version: '0.1.0', url: 'https://10.0.0.5:23784', startedAt: NOW - 5000, storeBytes: 1024 }

describe('the status of the cluster', () => {
  test('sums what is used and promised, and names what an operator should look at', () => {
    const world = aWorld({
      nodes: [
        aNode({ name: 'a' }),
        aNode({ name: 'b', status: { name: 'lost', since: NOW - 240_000, why: 'silent' } }),
      ],
      services: [aService({ spec: { replicas: 3, cpuCores: 0.5 } })],
      tasks: [
        aTask({ node: 'a', slot: 1 }),
        aTask({ node: 'a', slot: 2, observed: { state: 'restarting', exitCode: 137, oomKilled: true, attempt: 4 } }),
        aTask({ node: null, slot: 3, waitsFor: [{ node: 'b', check: 'liveness', figures: { quietMs: 9 } }] }),
      ],
    })
    const status = viewStatus(world, facts, NOW)
    expect(Check(StatusDocument, status)).toBe(true)
    expect(status.totals).toMatchObject({
      nodes: { total: 2, ready: 1, drained: 0, notReady: 1 },
      cpuCores: 8,
      cpuCoresPromised: 1,
      tasks: { running: 1, waiting: 1, restarting: 1 },
    })
    expect(status.problems.map(({ message }) => message)).toEqual([
      'node b is lost since 4 min: silent',
      '1 of 3 tasks of shop_web wait for a node: liveness: quietMs 9 (b); since 8 min',
      'shop_web.2 on a exited 137 (out of memory), attempt 4',
    ])
  })

  test("looks at a service's tasks once, whatever is told of them, and says of a stack what the stack says of itself", () => {
    const world = aWorld({
      services: [aService({ shortName: 'web', spec: { replicas: 2 } }), aService({ shortName: 'db' })],
      tasks: [
        aTask({ service: 'shop_web', slot: 1 }),
        aTask({ service: 'shop_web', slot: 2, state: 'starting' }),
        aTask({ service: 'shop_db', slot: 1 }),
      ],
      nodes: [aNode({ name: 'n1' })],
    })
    const alone = [...world.stacks.values()].map((stack) => viewStack(world, stack))
    const looks = new Map<string, number>()
    const ofService = world.tasksByService
    world.tasksByService = new Map(ofService)
    world.tasksByService.get = (service) => {
      looks.set(service, (looks.get(service) ?? 0) + 1)
      return ofService.get(service)
    }
    expect(viewStatus(world, facts, NOW).stacks).toEqual(alone)
    expect(looks).toEqual(
      new Map([
        ['shop_web', 1],
        ['shop_db', 1],
      ]),
    )
  })

  test('of an empty cluster has no problems', () => {
    const status = viewStatus(aWorld(), facts, NOW)
    expect(Check(StatusDocument, status)).toBe(true)
    expect(status.problems).toEqual([])
  })
})

describe('a task', () => {
  test('is found by its id and by the name people see; of two in a slot the wanted one', () => {
    const old = aTask({ id: 'x.1', desired: 'stopped', createdAt: NOW })
    const wanted = aTask({ id: 'x.2', createdAt: NOW - 1000 })
    const world = aWorld({ services: [aService()], tasks: [old, wanted] })
    expect(findTask(world, 'x.1')).toBe(old)
    expect(findTask(world, 'shop_web.1')).toBe(wanted)
    expect(findTask(world, 'shop_web.2')).toBeNull()
  })

  test('of a global service is called by its node', () => {
    const task = aTask({ slot: 0, node: 'n2' })
    expect(viewTask(aWorld({ services: [aService()], tasks: [task] }), task).name).toBe('shop_web@n2')
  })
})

test('a refusal is a sentence with its figures; figures that no sentence knows are listed', () => {
  const words = (check: Parameters<typeof refusalWords>[0]['check'], figures: Record<string, string | number | null>) =>
    refusalWords({ node: 'a', check, figures })
  expect(words('constraint', { attribute: 'node.labels.disk', operator: '==', value: 'ssd', has: null })).toBe(
    'constraint: node.labels.disk == ssd, it has none',
  )
  expect(words('host-port', { port: 80, heldBy: 'shop_web.1' })).toBe('host-port: 80 is taken by shop_web.1')
  expect(words('platform', { wanted: 'linux/arm64' })).toBe('platform: wanted linux/arm64')
})

test('a page ends at its limit and names where the next begins', () => {
  const items = ['c', 'a', 'b'].map((name) => ({ name }))
  const first = page(
    items,
    { limit: 2 },
    (item) => item.name,
    (item) => item.name,
  )
  expect(first).toEqual({ items: ['a', 'b'], next: 'b' })
  expect(
    page(
      items,
      { limit: 2, after: 'b' },
      (item) => item.name,
      (item) => item.name,
    ),
  ).toEqual({ items: ['c'], next: null })
})

test('an error about a field in another place than the body says where', () => {
  const error = fieldsError([{ keyword: 'type', instancePath: '/a~1b/0', message: 'must be string' }], 'params')
  expect(error.message).toBe('params: a/b.0 must be string')
  const word = (allowedValue: string) => ({ keyword: 'const', instancePath: '/how', params: { allowedValue } })
  expect(fieldsError([word('mean'), word('max')], 'querystring').message).toBe(
    'querystring: how must be one of "mean", "max"',
  )
  expect(fieldsError([word('mean')]).message).toBe('how must be "mean"')
})
