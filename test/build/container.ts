/** Assigned tasks, containers and pictures of them for tests of the agent: what does not matter is filled in. */
import type { Container, Owner } from '../../agent/decide/container.ts'
import { NOTHING_REMEMBERED, type TaskMemory } from '../../agent/decide/memory.ts'
import type { TaskPicture } from '../../agent/decide/next-steps.ts'
import type { TaskSpec } from '../../shared/spec.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import { aTaskSpec } from './spec.ts'

export const OWNER: Owner = { cluster: 'c1', node: 'web-1' }
export const SPEC_HASH = 'spec-1'

export function anAssignedTask(given: Partial<AssignedTask> = {}): AssignedTask {
  return {
    id: 'shop_api.1.a',
    stack: 'shop',
    service: 'shop_api',
    slot: 1,
    spec: SPEC_HASH,
    desired: 'running',
    ...given,
  }
}

/** Runs since `1_000` unless told otherwise. */
export function aContainer(given: Partial<Container> = {}): Container {
  return {
    id: 'c0ffee',
    name: 'shop_api.1.a',
    ...OWNER,
    task: 'shop_api.1.a',
    spec: SPEC_HASH,
    createdForAttempt: 1,
    state: 'running',
    startedAt: 1_000,
    finishedAt: null,
    exitCode: null,
    oomKilled: false,
    error: null,
    health: 'none',
    healthyAt: null,
    healthMessage: null,
    imageId: 'sha256:1',
    pid: 100,
    ports: [],
    logPath: null,
    memoryBytesLimit: null,
    ...given,
  }
}

/** Ran from 1_000 to `endedAt`. */
export function anEndedContainer(exitCode: number, endedAt: number, given: Partial<Container> = {}): Container {
  return aContainer({ state: 'exited', exitCode, finishedAt: endedAt, pid: 0, ...given })
}

export type PictureGiven = {
  assigned?: Partial<AssignedTask> | null
  spec?: TaskSpec | null
  containers?: Container[]
  memory?: Partial<TaskMemory>
}

export function aPicture({ assigned = {}, spec = aTaskSpec(), containers = [], memory }: PictureGiven): TaskPicture {
  const task = assigned === null ? null : anAssignedTask(assigned)
  return {
    task: task?.id ?? containers[0]?.task ?? 'shop_api.1.a',
    assigned: task,
    spec: task ? spec : null,
    containers,
    memory: { ...NOTHING_REMEMBERED, ...memory },
  }
}
