import { expect, test } from 'vitest'
import type { Beat } from '../../../coordinator/decide/beat.ts'
import { judgeFinished } from '../../../coordinator/decide/rollout.ts'
import { defaultSettings } from '../../../coordinator/decide/settings.ts'
import type { Unit } from '../../../coordinator/decide/units.ts'
import { anObserved, aService, aTask, aWorld, NOW } from '../../build/world.ts'

function beatAt(now: number): Beat {
  return {
    ...{ world: aWorld(), now, settings: defaultSettings(now), decisions: [], wakeAt: null, nextTaskNumber: 1 },
    ...{ statuses: new Map(), services: new Map(), created: new Map(), preempted: new Map(), makeRoom: new Map() },
    ...{ ended: new Set(), forgotten: new Set(), requests: [] },
  }
}

function upSince(slot: number, since: number): Unit {
  const task = aTask({ slot, createdAt: NOW, observed: anObserved({ state: 'running', since }), firstUpAt: since })
  return { slot, onlyNode: null, fresh: [task], stale: [], stopping: [], away: [] }
}

test('a rollout whose tasks are watched asks once to be looked at: when the last of them has been', () => {
  const service = aService({ rollout: { state: 'rolling', version: 1, from: null, startedAt: NOW, failures: [] } })
  const units = [700, 900, 300, 800].map((ms, index) => upSince(index + 1, NOW + ms))
  const beat = beatAt(NOW + 1_000)
  expect(judgeFinished(beat, service, units).rollout.state).toBe('rolling')
  const watchedUntil = NOW + 900 + 2_000
  expect(beat.wakeAt).toBe(watchedUntil)
  expect(judgeFinished(beatAt(watchedUntil - 1), service, units).rollout.state).toBe('rolling')
  expect(judgeFinished(beatAt(watchedUntil), service, units).rollout.state).toBe('settled')
})

test('while one of its tasks is not up, time alone ends no rollout', () => {
  const service = aService({ rollout: { state: 'rolling', version: 1, from: null, startedAt: NOW, failures: [] } })
  const starting = aTask({ slot: 2, createdAt: NOW, observed: anObserved({ state: 'starting', since: NOW }) })
  const units = [upSince(1, NOW), { ...upSince(2, NOW), fresh: [starting] }]
  const beat = beatAt(NOW + 1_000)
  expect(judgeFinished(beat, service, units).rollout.state).toBe('rolling')
  expect(beat.wakeAt).toBeNull()
})
