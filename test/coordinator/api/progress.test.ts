import { describe, expect, test } from 'vitest'
import { serviceProgress, stackProgress } from '../../../coordinator/api/progress.ts'
import type { Rollout, Service, Task } from '../../../coordinator/world.ts'
import { anObserved, aService, aTask, aVersion, aWorld, NOW, versionMap } from '../../build/world.ts'

const rolling: Rollout = { state: 'rolling', version: 1, from: null, startedAt: NOW, failures: [] }

function stageOf(service: Service, tasks: Task[]) {
  return serviceProgress(aWorld({ services: [service], tasks }), service).stage
}
function outcomeOf(services: Service[], tasks: Task[]) {
  return stackProgress(aWorld({ services, tasks }), 'shop')?.outcome
}

describe('a service is up', () => {
  test('when its rollout is settled and every wanted task runs', () => {
    const service = aService({ spec: { replicas: 2 } })
    expect(stageOf(service, [aTask({ slot: 1 }), aTask({ slot: 2 })])).toBe('up')
    expect(stageOf(service, [aTask({ slot: 1 })])).toBe('going')
    expect(stageOf(service, [])).toBe('going')
  })

  test('only when its tasks are healthy, where they have a test', () => {
    expect(stageOf(aService(), [aTask({ health: 'healthy' })])).toBe('up')
    expect(stageOf(aService(), [aTask({ health: 'starting' })])).toBe('going')
    expect(stageOf(aService(), [aTask({ health: 'unhealthy' })])).toBe('going')
  })

  test('not while its rollout is watched, though all its tasks run', () => {
    expect(stageOf(aService({ rollout: rolling }), [aTask()])).toBe('going')
  })

  test('not by tasks of another version, unless they are of the same task spec', () => {
    const versions = versionMap(aVersion(1, { image: 'web:1' }), aVersion(2, { image: 'web:2' }))
    expect(stageOf(aService({ version: 2, versions }), [aTask({ version: 1 })])).toBe('going')
    const same = versionMap(aVersion(1, { replicas: 2 }), aVersion(2, { replicas: 1 }))
    expect(stageOf(aService({ version: 2, versions: same }), [aTask({ version: 1 })])).toBe('up')
  })

  test('with nothing running, when it is wanted with no tasks', () => {
    expect(stageOf(aService({ spec: { replicas: 0 } }), [])).toBe('up')
  })

  test('not when the version that is wanted is one that the loop has not looked at', () => {
    const service = aService({ version: 2, rollout: { state: 'settled', version: 1, finishedAt: NOW } })
    expect(stageOf(service, [aTask({ version: 2 })])).toBe('going')
  })
})

describe('a service that is not up', () => {
  test('is done when it is meant to end and its tasks have completed', () => {
    const job = aService({ spec: { restart: { condition: 'on-failure' } } })
    expect(stageOf(job, [aTask({ state: 'completed' })])).toBe('done')
  })

  test('has failed when a task has ended for good and nothing else moves', () => {
    const job = aService({ spec: { restart: { condition: 'none' } }, rollout: rolling })
    const failed = aTask({ observed: { state: 'failed', exitCode: 3 } })
    expect(stageOf(job, [failed])).toBe('failed')
    const { failures } = serviceProgress(aWorld({ services: [job], tasks: [failed] }), job)
    expect(failures).toEqual([{ task: failed.id, name: 'shop_web.1', node: 'n1', why: 'exited 3' }])
  })

  test('has failed when its image is not to be had twice, though its agent tries on; one try may be bad luck', () => {
    const refused = (attempt: number, code: string) =>
      aTask({ observed: { state: 'restarting', attempt, error: { code, message: 'image nope:1 cannot be had' } } })
    const service = aService({ rollout: rolling })
    expect(stageOf(service, [refused(1, 'image-not-found')])).toBe('going')
    expect(stageOf(service, [refused(2, 'image-not-found')])).toBe('failed')
    expect(stageOf(service, [refused(2, 'container-refused')])).toBe('failed')
    // A registry that is away comes back; so does a port.
    expect(stageOf(service, [refused(5, 'image-unavailable')])).toBe('going')
    expect(stageOf(service, [refused(5, 'port-taken')])).toBe('going')
  })

  test('is going on while a rollback is what its failure will be answered with', () => {
    const versions = versionMap(aVersion(1), aVersion(2, { image: 'web:2', update: { failureAction: 'rollback' } }))
    const service = aService({ version: 2, versions, rollout: { ...rolling, version: 2, from: 1 } })
    expect(stageOf(service, [aTask({ version: 2, observed: { state: 'failed', exitCode: 1 } })])).toBe('going')
  })

  test('waits when all that it lacks are tasks without a node, and says why for each node', () => {
    const figures = { neededBytes: 4 * 2 ** 30, freeBytes: 2 ** 30 }
    const refusal = (node: string) => ({ node, check: 'memory' as const, figures })
    const tasks = [aTask(), aTask({ slot: 2, node: null, waitsFor: [refusal('n1'), refusal('n2')] })]
    const service = aService({ spec: { replicas: 2 } })
    const progress = serviceProgress(aWorld({ services: [service], tasks }), service)
    expect(progress.stage).toBe('waiting')
    expect(progress.waits).toEqual([
      { check: 'memory', message: 'memory: needs 4.0 GiB, 1.0 GiB free of promise', nodes: ['n1', 'n2'], figures },
    ])
  })

  test('is held by its dependencies, and fails with them', () => {
    const web = aService({
      shortName: 'web',
      release: {
        version: 1,
        state: 'held',
        waitsFor: [{ service: 'shop_api', condition: 'service_healthy', now: 'starting' }],
      },
    })
    const api = aService({ shortName: 'api', rollout: rolling })
    const starting = aTask({ service: 'shop_api', health: 'starting' })
    const world = aWorld({ services: [web, api], tasks: [starting] })
    expect(serviceProgress(world, web).stage).toBe('held')
    const broken = aService({ ...api, rollout: { ...rolling, state: 'paused', why: '2 of 3 failed' } as Rollout })
    const after = serviceProgress(aWorld({ services: [web, broken], tasks: [starting] }), web)
    expect([after.stage, after.why]).toEqual(['failed', 'waits for shop_api, which failed'])
  })
})

describe('a rollback', () => {
  const versions = versionMap(aVersion(6), aVersion(7, { image: 'web:7' }))
  const rolledBack = (finishedAt: number): Rollout => ({
    state: 'rolled-back',
    version: 6,
    failed: 7,
    finishedAt,
    why: '2 of 20 failed',
    failures: [],
  })

  test('is the outcome of the deployment that it ended', () => {
    const service = aService({ version: 6, versions, rollout: rolledBack(NOW) })
    expect(outcomeOf([service], [aTask({ version: 6 })])).toBe('rolled-back')
  })

  test('names the tasks that failed as they were called, though nothing is left of them', () => {
    const failure = (task: string) => ({ task, node: 'n1', at: NOW, why: 'exited 3' })
    const rollout = { ...rolledBack(NOW), failures: [failure('shop_web.2.1z'), failure('shop_web.0.a')] } as Rollout
    const service = aService({ version: 6, versions, rollout })
    const { failures } = serviceProgress(aWorld({ services: [service], tasks: [] }), service)
    expect(failures.map(({ name }) => name)).toEqual(['shop_web.2', 'shop_web@n1'])
  })

  test('is old news to a later deployment of what runs', () => {
    const service = aService({ version: 6, versions, rollout: rolledBack(NOW - 120_000) })
    expect(outcomeOf([service], [aTask({ version: 6 })])).toBe('up')
  })
})

describe('a stack', () => {
  const up = aService({ shortName: 'web' })
  const upTask = aTask()
  const failed = aService({ shortName: 'job', rollout: { ...rolling, state: 'paused', why: 'x' } as Rollout })

  test('is up when all its services are, whatever is being pruned', () => {
    const pruned = aService({ shortName: 'old', removing: true })
    expect(outcomeOf([up], [upTask])).toBe('up')
    expect(outcomeOf([up, pruned], [upTask, aTask({ service: 'shop_old' })])).toBe('up')
  })

  test('has failed only when nothing else moves; what waits for a node does not count as moving', () => {
    const moving = aService({ shortName: 'slow', rollout: rolling })
    const pulling = aTask({ service: 'shop_slow', observed: anObserved({ state: 'pulling' }) })
    expect(outcomeOf([up, failed], [upTask])).toBe('failed')
    expect(outcomeOf([up, failed, moving], [upTask, pulling])).toBe('going')
    const waiting = aTask({
      service: 'shop_slow',
      node: null,
      waitsFor: [{ node: null, check: 'no-nodes', figures: {} }],
    })
    expect(outcomeOf([up, failed, moving], [upTask, waiting])).toBe('failed')
    expect(outcomeOf([up, moving], [upTask, waiting])).toBe('going')
  })

  test('is gone when nothing of it is left', () => {
    expect(stackProgress(aWorld(), 'shop')).toBeNull()
    expect(outcomeOf([aService({ removing: true })], [])).toBe('going')
  })
})
