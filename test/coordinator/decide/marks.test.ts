import { expect, test } from 'vitest'
import { isMarked, marksOf } from '../../../coordinator/decide/marks.ts'
import type { Node, Observation, Task } from '../../../coordinator/world.ts'
import type { TaskObservation } from '../../../shared/wire/up.ts'
import { connectedBy } from '../../build/wire.ts'
import { aHostLoad, aNode, anEngine, anInventory, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const COUNT = 50

/** So many nodes with a task each, all of one service, as they are after a start of the coordinator. */
function afterStart(node: Partial<Node> = {}) {
  const names = Array.from({ length: COUNT }, (_, index) => `n${index + 1}`)
  const tasks = names.map((name, index) => aTask({ id: `shop_web.${index + 1}.a`, slot: index + 1, node: name }))
  const nodes = names.map((name) => aNode({ name, connection: null, fullyObserved: false, engine: null, ...node }))
  return { world: aWorld({ nodes, tasks, services: [aService()] }), nodes, tasks }
}

function hello(node: string, given: { labels?: Record<string, string>; cpuCores?: number } = {}): Observation {
  const { labels = {}, cpuCores = 4 } = given
  const inventory = anInventory({ ...aNode({ name: node }).inventory!, cpuCores })
  return connectedBy({ node, inventory, labels, revision: 1 })
}

function everything(node: string, tasks: TaskObservation[]): Observation {
  return { kind: 'tasks', node, full: true, revision: 1, engine: anEngine(), tasks, gone: [] }
}

function seen({ id, observed }: Task, given: Partial<TaskObservation> = {}): TaskObservation {
  return { task: id, spec: 'x', attempt: observed.attempt, state: observed.state, since: observed.since, ...given }
}

const marked = (world: ReturnType<typeof aWorld>, observation: Observation) => marksOf(world, { at: NOW, observation })

test('a fleet that comes back as it was, with everything it runs, gives nothing to look at', () => {
  const { world, nodes, tasks } = afterStart()
  for (const [index, { name }] of nodes.entries()) {
    expect(isMarked(marked(world, hello(name)))).toBe(false)
    expect(isMarked(marked(world, everything(name, [seen(tasks[index]!)])))).toBe(false)
  }
})

test('a heartbeat of a node that is ready gives nothing to look at', () => {
  const { world } = afterStart()
  const beat: Observation = { kind: 'heartbeat', node: 'n1', revision: 1, load: aHostLoad(), containers: [] }
  expect(isMarked(marked(world, beat))).toBe(false)
})

test.each<[string, (task: Task) => Observation]>([
  ['a task went on', (task) => everything('n1', [seen(task, { attempt: 2, state: 'starting' })])],
  ['a task became unhealthy', (task) => everything('n1', [seen(task, { health: 'unhealthy' })])],
  ['a task is missing from all that it runs', () => everything('n1', [])],
])('its service is looked at when %s', (_what, observation) => {
  const { world, tasks } = afterStart()
  expect([...marked(world, observation(tasks[0]!)).services]).toEqual(['shop_web'])
})

test.each<[string, Observation]>([
  ['with other labels', hello('n1', { labels: { disk: 'ssd' } })],
  ['with other cores', hello('n1', { cpuCores: 8 })],
])('a node that comes back %s is looked at', (_what, observation) => {
  const { world } = afterStart()
  expect([...marked(world, observation).nodes]).toEqual(['n1'])
})

test('whoever waits for room is looked at when a node went away, and no task that has its place', () => {
  const { world } = afterStart()
  const away: Observation = { kind: 'disconnected', node: 'n1', instance: 'i', why: 'closed', goodbye: false }
  expect(marked(world, away)).toMatchObject({ all: false, room: true, services: new Set(), nodes: new Set() })
})

test('whoever waits is looked at when a node is heard again: until then it takes no task, and nobody may be stopped', () => {
  const { world } = afterStart()
  world.tasksWaiting.add(aTask({ id: 'shop_web.51.a', slot: 51, node: null }))
  expect(marked(world, hello('n1'))).toMatchObject({ waiting: true, services: new Set(), nodes: new Set() })
})

test('what an agent has lost count of is news in all that it tells, and not in a word between', () => {
  const { world, tasks } = afterStart()
  tasks[0]!.observed.attempt = 3
  const earlier = seen(tasks[0]!, { attempt: 1 })
  expect([...marked(world, everything('n1', [earlier])).services]).toEqual(['shop_web'])
  const between: Observation = { ...everything('n1', [earlier]), full: false } as Observation
  expect(isMarked(marked(world, between))).toBe(false)
})

test('what had ended and begins anew has its whole node looked at: it takes its room again', () => {
  const { world, tasks } = afterStart()
  tasks[0]!.observed.state = 'failed'
  const again = seen(tasks[0]!, { attempt: tasks[0]!.observed.attempt + 1, state: 'running' })
  expect([...marked(world, everything('n1', [again])).nodes]).toEqual(['n1'])
})

test('an Engine that was down already when its agent came back is told by all that runs there', () => {
  const { world, nodes, tasks } = afterStart()
  nodes[0]!.engine = { state: 'down' }
  const down = { ...everything('n1', [seen(tasks[0]!)]), engine: { state: 'down' } } as Observation
  expect(marked(world, down).room).toBe(true)
})

test('the tasks of a node are looked at when it is lost, and when it is back, not when it is away for a moment', () => {
  const { world, nodes } = afterStart()
  const becomes = (status: Node['status']) => [
    ...marksOf(world, { at: NOW, decision: { kind: 'set-node-status', node: 'n1', status } }).nodes,
  ]
  expect(becomes({ name: 'disconnected', since: NOW, why: 'closed' })).toEqual([])
  expect(becomes({ name: 'lost', since: NOW, why: 'silent' })).toEqual(['n1'])
  nodes[0]!.status = { name: 'lost', since: NOW, why: 'silent' }
  expect(becomes({ name: 'ready', since: NOW })).toEqual(['n1'])
})
