import { expect, test } from 'vitest'
import { lineOf, quantile, textOf } from '../../bench/report.ts'

test('a line says what was measured, what beside it, the ratio to the first, and whether the goal holds', () => {
  expect(
    lineOf('deploy-one', {
      metric: 'request to running, median',
      value: 112.34,
      unit: 'ms',
      beside: { raw: 100, swarm: 300 },
      goal: { atMostTimes: 1, of: 'raw', plus: 15 },
    }),
  ).toEqual({
    bench: 'deploy-one',
    metric: 'request to running, median',
    value: 112,
    unit: 'ms',
    beside: { raw: 100, swarm: 300 },
    ratio: 1.12,
    goal: '≤ raw + 15 ms',
    holds: true,
  })
})

test('a goal is judged by the figure that was measured, not by the rounded one', () => {
  expect(lineOf('b', { metric: 'm', value: 5.0001, unit: 'ms', goal: { atMost: 5 } })).toMatchObject({
    value: 5,
    holds: false,
  })
  expect(lineOf('b', { metric: 'm', value: 5, unit: 'ms', goal: { atLeast: 5 } }).holds).toBe(true)
})

test('without a goal nothing holds or fails, without a peer there is no ratio', () => {
  expect(lineOf('b', { metric: 'm', value: 1, unit: 'count' })).toMatchObject({ goal: null, holds: null, ratio: null })
})

test('a goal that compares with what was not measured is an error', () => {
  expect(() => lineOf('b', { metric: 'm', value: 1, unit: 'ms', goal: { atMostTimes: 2, of: 'raw' } })).toThrow('raw')
})

test('people are told in words when a goal does not hold', () => {
  expect(textOf(lineOf('b', { metric: 'm', value: 9, unit: 'ms', goal: { atMost: 5 } }))).toContain('DOES NOT HOLD')
})

test('quantiles are values that were measured', () => {
  expect(quantile([3, 1, 2], 0.5)).toBe(2)
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2)
  expect(quantile([1, 2, 3, 4], 0.99)).toBe(4)
  expect(() => quantile([], 0.5)).toThrow('no values')
})
