import { expect, test } from 'vitest'
import { incidentLines, showIncident } from '../../cli/commands/incident.ts'
import type { Output } from '../../cli/output.ts'
import type { IncidentDocument } from '../../shared/api.ts'

const AT = '2026-11-27T03:00:10.000Z'

function anIncident(given: Partial<IncidentDocument> = {}): IncidentDocument {
  return {
    ...{ number: 7, kind: 'exit', at: AT, lastAt: AT, count: 1, reason: 'exited with code 137' },
    ...{ service: 'shop_web', node: 'n1', task: 'shop_web.1.a', taskName: 'shop_web.1' },
    ending: { attempt: 4, exitCode: 137, signal: 'SIGKILL', oomKilled: false, error: null },
    healthMessage: null,
    container: { id: 'c0ffee', image: 'web:2', imageId: null, version: 2, upSince: '2026-11-27T02:00:00.000Z' },
    placement: {
      ...{ task: 'shop_web.1', node: 'n1', at: AT, policy: 'binpack', considered: 3, fitting: 2, asOf: 'placement' },
      candidates: [{ node: 'n1', isChosen: true, refusal: null, score: { tasksOfService: 1 } }],
    },
    tasks: { names: [], count: 0 },
    occurrences: [],
    samples: [{ at: '2026-11-27T03:00:09.000Z', cpuCoresUsed: 1.5, memoryBytesUsed: 2 ** 20, cpuThrottledShare: 0.25 }],
    lines: {
      ...{
        state: 'kept',
        task: 'shop_web.1.a',
        until: AT,
        missing: 'n1 was away: what it had not sent yet is missing',
      },
      kept: [{ at: AT, source: 'stderr', text: 'last words' }],
    },
    ...given,
  }
}

const plain: Output['paint'] = (_style, text) => text
const shown = (given: Partial<IncidentDocument> = {}) => incidentLines(anIncident(given), plain, 100).join('\n')

test('an incident says what happened first, then why it was there, then what it printed and what may be missing', () => {
  const text = shown()
  expect(text).toMatch(
    /^incident 7: shop_web\.1 on n1 exited with code 137 \(SIGKILL\)\n {2}2026-11-27 03:00:10, once\n/,
  )
  const places = ['attempt 4', '1 s before', 'why shop_web.1 was on n1', 'was away', '! last words'].map((words) =>
    text.indexOf(words),
  )
  expect(places.every((place) => place > 0)).toBe(true)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
})

test('of a crash loop it says how often and until when, and the latest times', () => {
  const again = {
    at: AT,
    kind: 'exit' as const,
    task: 'shop_web.1.a',
    node: 'n1',
    attempt: 9,
    exitCode: 1,
    reason: 'exited',
  }
  const text = shown({ count: 40, lastAt: '2026-11-27T04:00:10.000Z', occurrences: Array(20).fill(again) })
  expect(text).toContain('40 times until 2026-11-27 04:00:10')
  expect(text).toContain('the last 8 of 40 times')
})

test('a lost node names its tasks and has no lines', () => {
  const text = shown({
    ...{ kind: 'node-lost', reason: 'was lost: quiet', service: null, task: null, taskName: null },
    ...{ ending: null, container: null, placement: null },
    tasks: { names: ['a', 'b', 'c', 'd', 'e', 'f'], count: 30 },
    lines: { state: 'none', task: null, until: null, missing: null, kept: [] },
  })
  expect(text).toMatch(/^incident 7: n1 was lost: quiet\n/)
  expect(text).toContain('30 tasks: a, b, c, d, e and 25 more')
  expect(text).not.toContain('lines')
})

test('of a minute in steps of a second it shows the last few, and of those before one in ten', () => {
  const sample = { cpuCoresUsed: 1.5, memoryBytesUsed: 2 ** 20, cpuThrottledShare: 0 }
  const samples = Array.from({ length: 60 }, (_, index) => {
    return { ...sample, at: new Date(Date.parse(AT) - (60 - index) * 1000).toISOString() }
  })
  const text = shown({ samples })
  expect(text).toContain('load before (60 samples, 1 s apart; --json has all)')
  const before = [...text.matchAll(/(\d+) s before/g)].map(([, seconds]) => Number(seconds))
  expect(before).toEqual([51, 41, 31, 21, 11, 6, 5, 4, 3, 2, 1])
  expect(shown()).toContain('load before (1 sample)')
})

test('what is no number is refused before anybody is asked', async () => {
  const context = { out: {} as Output, json: false, env: {} }
  for (const id of ['web', '0', '-1', '1.5']) {
    await expect(showIncident(context, id)).rejects.toMatchObject({ code: 'invalid-request' })
  }
})
