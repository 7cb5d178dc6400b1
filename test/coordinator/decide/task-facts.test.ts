import { describe, expect, test } from 'vitest'
import { hasMadeGood, isPreempted, troubleOf } from '../../../coordinator/decide/task-facts.ts'
import { aTask } from '../../build/world.ts'

const INTERRUPTED = { code: 'engine-stopped', message: 'ended because its Engine or its host stopped' }
const troubleWith = (
  observed: Parameters<typeof aTask>[0] extends infer G ? (G extends { observed?: infer O } ? O : never) : never,
) => troubleOf(aTask({ node: 'a', observed }))?.why ?? null

test('an end and a restart are trouble', () => {
  expect(troubleWith({ state: 'restarting', exitCode: 3 })).toBe('exited 3')
  expect(troubleWith({ state: 'running', attempt: 2 })).toBe('had to be restarted (attempt 2)')
})

test('what its Engine or host did to a task is no trouble of the task, neither at its end nor in its next attempts', () => {
  expect(troubleWith({ state: 'restarting', exitCode: 137, attempt: 1, interruptions: 1, error: INTERRUPTED })).toBe(
    null,
  )
  expect(troubleWith({ state: 'starting', attempt: 2, interruptions: 1 })).toBe(null)
  expect(troubleWith({ state: 'running', attempt: 3, interruptions: 2 })).toBe(null)
})

test('its own ends stay trouble beside interruptions', () => {
  expect(troubleWith({ state: 'restarting', attempt: 2, interruptions: 1, exitCode: 1 })).toBe('exited 1')
  expect(troubleWith({ state: 'running', attempt: 3, interruptions: 1 })).toBe('had to be restarted (attempt 3)')
  expect(troubleWith({ state: 'restarting', attempt: 2, interruptions: 1, error: INTERRUPTED })).toMatch(/restarted/)
})

test('a job that its Engine stopped and that is never restarted has failed', () => {
  expect(troubleWith({ state: 'failed', attempt: 1, interruptions: 1, error: INTERRUPTED })).toBe(
    'failed: ended because its Engine or its host stopped',
  )
})

describe('the loss of one that was preempted', () => {
  const preempted = {
    task: 't1',
    by: 't9',
    priority: 25,
    byPriority: 75,
    lacked: { node: 'n1', check: 'cpu', figures: {} },
  } as const

  test('lasts from when it is told to stop until the one in its place has been up', () => {
    expect(isPreempted(aTask({ id: 't1', preempted, desired: 'stopped' }))).toBe(true)
    expect(isPreempted(aTask({ id: 't2', preempted, node: null, firstUpAt: null }))).toBe(true)
    expect(isPreempted(aTask({ id: 't2', preempted, state: 'starting', firstUpAt: null }))).toBe(true)
    expect(isPreempted(aTask({ id: 't2', preempted }))).toBe(false)
  })

  test('does not come back when a rollout stops the one in its place', () => {
    const replaced = aTask({ id: 't2', preempted, desired: 'stopped' })
    expect(isPreempted(replaced)).toBe(false)
    expect(hasMadeGood(replaced)).toBe(true)
    expect(hasMadeGood(aTask({ id: 't2', preempted, desired: 'stopped', firstUpAt: null }))).toBe(false)
  })
})
