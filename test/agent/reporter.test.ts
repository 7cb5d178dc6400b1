import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { PASSING_STATE_DELAY_MS, Reporter } from '../../agent/reporter.ts'
import { newRecord, type TaskRecord } from '../../agent/task-record.ts'
import { systemClock } from '../../shared/clock.ts'
import { aContainer, anAssignedTask } from '../build/container.ts'
import { aTaskSpec } from '../build/spec.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function aReporter() {
  const told: string[] = []
  const reporter = new Reporter({ state: 'up' }, systemClock)
  reporter.sees()
  reporter.onChange(({ tasks }) => told.push(tasks.map(({ task, state }) => `${task} ${state}`).join(', ')))
  return { reporter, told }
}

function aRecord(id: string): TaskRecord {
  return { ...newRecord(id), assigned: anAssignedTask({ id }), spec: aTaskSpec() }
}

function begins(reporter: Reporter, record: TaskRecord): void {
  record.activity = 'starting'
  reporter.mark(record)
}

function runs(reporter: Reporter, record: TaskRecord): void {
  record.activity = null
  record.containers.set('c', aContainer({ task: record.id }))
  reporter.mark(record)
}

test('a start that is soon over is told once, as running', async () => {
  const { reporter, told } = aReporter()
  const record = aRecord('a')
  begins(reporter, record)
  await vi.advanceTimersByTimeAsync(PASSING_STATE_DELAY_MS - 1)
  runs(reporter, record)
  await vi.advanceTimersByTimeAsync(2 * PASSING_STATE_DELAY_MS)
  expect(told).toEqual(['a running'])
})

test('a start that lasts is told once it has lasted, and those that began later are not told with it', async () => {
  const { reporter, told } = aReporter()
  const [slow, later] = [aRecord('slow'), aRecord('later')]
  begins(reporter, slow)
  await vi.advanceTimersByTimeAsync(PASSING_STATE_DELAY_MS - 1)
  begins(reporter, later)
  await vi.advanceTimersByTimeAsync(1)
  expect(told).toEqual(['slow starting'])
  await vi.advanceTimersByTimeAsync(PASSING_STATE_DELAY_MS)
  expect(told).toEqual(['slow starting', 'later starting'])
})

test('what has settled is told at once, whatever else is on its way', async () => {
  const { reporter, told } = aReporter()
  const [slow, quick] = [aRecord('slow'), aRecord('quick')]
  begins(reporter, slow)
  runs(reporter, quick)
  await vi.advanceTimersByTimeAsync(0)
  expect(told).toEqual(['quick running'])
})

test('before the Engine has shown its containers nothing is told of tasks: what is remembered may be long over', async () => {
  const told: string[] = []
  const reporter = new Reporter({ state: 'down' }, systemClock)
  reporter.onChange(({ tasks }) => told.push(...tasks.map(({ state }) => state)))
  const record = aRecord('a')
  record.memory = { ...record.memory, attempt: 2 }
  reporter.mark(record)
  await vi.advanceTimersByTimeAsync(2 * PASSING_STATE_DELAY_MS)
  expect(reporter.all([record]).tasks).toEqual([])
  runs(reporter, record)
  reporter.sees()
  await vi.advanceTimersByTimeAsync(0)
  expect(told).toEqual(['running'])
})
