import fc from 'fast-check'
import { expect, test } from 'vitest'
import { belongsTo, type Container } from '../../../agent/decide/container.ts'
import {
  afterFailedAttempt,
  afterLook,
  afterStart,
  beginAttempt,
  NOTHING_REMEMBERED,
  type TaskMemory,
} from '../../../agent/decide/memory.ts'
import { endedForGood, nextSteps, type Step, type TaskPicture } from '../../../agent/decide/next-steps.ts'
import { observe } from '../../../agent/decide/observe.ts'
import { compareProgress } from '../../../shared/task-state.ts'
import type { TaskObservation } from '../../../shared/wire/up.ts'
import { aContainer, anAssignedTask, OWNER } from '../../build/container.ts'
import { aTaskSpec } from '../../build/spec.ts'

/** Rounds in which every task must have come to rest; a task needs at most a stop, a removal per container, a pull and a launch. */
const ROUNDS_MAX = 40

/** An Engine of the mind: does what steps say, at once. */
class ModelEngine {
  now = 1_000_000
  nextId = 0
  readonly containers: Map<string, Container>
  readonly images: Set<string>
  readonly memories = new Map<string, TaskMemory>()
  readonly touched = new Set<string>()
  readonly assigned: Map<string, { desired: 'running' | 'stopped'; spec: string }>

  constructor(state: World) {
    this.containers = new Map(state.containers.map((each, index) => [`id${index}`, { ...each, id: `id${index}` }]))
    this.images = new Set(state.imageIsThere ? ['example/web:1'] : [])
    this.assigned = new Map(state.tasks.map((task) => [task.id, task]))
  }

  pictures(): TaskPicture[] {
    const ids = new Set([...this.assigned.keys(), ...[...this.containers.values()].map((each) => each.task)])
    return [...ids].map((task) => {
      const wanted = this.assigned.get(task)
      const containers = [...this.containers.values()].filter((each) => each.task === task)
      const spec = wanted ? aTaskSpec({ restart: { condition: 'on-failure', maxAttempts: 3 } }) : null
      let memory = this.memories.get(task) ?? NOTHING_REMEMBERED
      for (const each of containers)
        if (belongsTo(OWNER, each))
          memory = afterLook(memory, each, wanted?.spec === each.spec ? (spec?.restart ?? null) : null)
      this.memories.set(task, memory)
      return { task, assigned: wanted ? anAssignedTask({ id: task, ...wanted }) : null, spec, containers, memory }
    })
  }

  steps(): Step[] {
    return nextSteps(this.pictures(), OWNER, this.now)
  }

  do(step: Step): void {
    const memory = this.memories.get(step.task) ?? NOTHING_REMEMBERED
    if ('container' in step) this.touched.add(step.container)
    switch (step.kind) {
      case 'wait':
        this.now = Math.max(this.now, step.until)
        // What was being removed is gone by then.
        for (const each of this.containers.values()) if (each.state === 'removing') this.containers.delete(each.id)
        return
      case 'pull':
        this.images.add(step.image)
        this.memories.set(step.task, { ...beginAttempt(memory), image: 'ready' })
        return
      case 'launch': {
        const begun = beginAttempt(memory)
        if (!this.images.has(step.spec.container.image)) {
          this.memories.set(step.task, { ...begun, image: 'missing' })
          return
        }
        const id = `new${this.nextId++}`
        const made = {
          id,
          task: step.task,
          spec: step.assigned.spec,
          createdForAttempt: begun.attempt,
          startedAt: this.now,
        }
        this.containers.set(id, aContainer(made))
        this.memories.set(step.task, afterStart(begun))
        return
      }
      case 'start':
        this.update(step.container, { state: 'running', startedAt: this.now, finishedAt: null, exitCode: null })
        this.memories.set(step.task, afterStart(beginAttempt(memory)))
        return
      case 'stop':
        this.update(step.container, { state: 'exited', startedAt: 1, finishedAt: this.now, exitCode: 143 })
        return
      case 'remove':
        this.containers.delete(step.container)
    }
  }

  private update(id: string, change: Partial<Container>): void {
    const container = this.containers.get(id)
    if (container) this.containers.set(id, { ...container, ...change })
  }
}

type World = {
  tasks: { id: string; desired: 'running' | 'stopped'; spec: string }[]
  containers: Container[]
  imageIsThere: boolean
}

const taskId = fc.constantFrom('a', 'b', 'c', 'd')
const specHash = fc.constantFrom('old', 'new')
const container = fc
  .record({
    task: taskId,
    spec: specHash,
    cluster: fc.constantFrom('c1', 'c1', 'c1', 'c2'),
    node: fc.constantFrom('web-1', 'web-1', 'web-1', 'web-2'),
    state: fc.constantFrom<Container['state']>('created', 'running', 'exited', 'removing', 'broken'),
    startedAt: fc.integer({ min: 1, max: 900_000 }),
    exitCode: fc.constantFrom(0, 1, 137),
    createdForAttempt: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ exitCode, startedAt, ...rest }) =>
    aContainer({
      ...rest,
      startedAt: rest.state === 'created' ? null : startedAt,
      ...(rest.state === 'exited' && { finishedAt: startedAt + 100, exitCode, pid: 0 }),
    }),
  )
const world: fc.Arbitrary<World> = fc.record({
  tasks: fc.uniqueArray(fc.record({ id: taskId, desired: fc.constantFrom('running', 'stopped'), spec: specHash }), {
    selector: (task) => task.id,
  }),
  containers: fc.array(container, { maxLength: 8 }),
  imageIsThere: fc.boolean(),
})

function converge(engine: ModelEngine): void {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const steps = engine.steps()
    if (steps.length === 0) return
    for (const step of steps) engine.do(step)
  }
  throw new Error(`still something to do after ${ROUNDS_MAX} rounds: ${JSON.stringify(engine.steps())}`)
}

test('from any state of the Engine the steps lead to exactly the assignment, and then to nothing more', () => {
  fc.assert(
    fc.property(world, (state) => {
      const engine = new ModelEngine(state)
      converge(engine)
      expect(engine.steps()).toEqual([])
      const ours = [...engine.containers.values()].filter((each) => belongsTo(OWNER, each))
      for (const each of ours) {
        expect(engine.assigned.get(each.task)).toMatchObject({ desired: 'running', spec: each.spec })
        expect(ours.filter(({ task }) => task === each.task)).toHaveLength(1)
      }
      for (const picture of engine.pictures()) {
        if (picture.assigned?.desired !== 'running') continue
        const own = picture.containers.find((each) => belongsTo(OWNER, each)) ?? null
        expect(own?.state === 'running' || endedForGood(own, picture.spec!, picture.memory)).toBe(true)
      }
    }),
  )
})

test('containers of other clusters and nodes appear in no step and stay as they were', () => {
  fc.assert(
    fc.property(world, (state) => {
      const engine = new ModelEngine(state)
      const foreign = [...engine.containers.values()].filter((each) => !belongsTo(OWNER, each))
      converge(engine)
      for (const each of foreign) {
        expect(engine.touched.has(each.id)).toBe(false)
        // The model lets what is being removed disappear by itself.
        if (each.state !== 'removing') expect(engine.containers.get(each.id)).toEqual(each)
      }
    }),
  )
})

test('doing every step twice leads to the same end as doing it once', () => {
  fc.assert(
    fc.property(world, (state) => {
      const ends = [1, 2].map((times) => {
        const engine = new ModelEngine(state)
        for (let round = 0; round < ROUNDS_MAX; round++) {
          for (const step of engine.steps()) {
            // A launch twice meets the name that is taken, and adopts it: once.
            for (let time = 0; time < (step.kind === 'launch' ? 1 : times); time++) engine.do(step)
          }
        }
        return [...engine.containers.values()].map((each) => `${each.task} ${each.spec} ${each.state}`).sort()
      })
      expect(ends[1]).toEqual(ends[0])
    }),
  )
})

test('what is observed of a task never goes back, whatever its container does', () => {
  const event = fc.constantFrom('ends', 'dies', 'fails to start', 'is removed', 'time passes', 'is to stop')
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), fc.boolean(), (events, imageIsThere) => {
      const engine = new ModelEngine({
        tasks: [{ id: 'a', desired: 'running', spec: 'new' }],
        containers: [],
        imageIsThere,
      })
      let told: TaskObservation | null = null
      const tell = () => {
        const next = observe(engine.pictures()[0]!, null, told, engine.now)
        if (next && told) expect(compareProgress(told, next)).toBeLessThanOrEqual(0)
        told = next
      }
      for (const each of events) {
        happen(engine, each)
        tell()
        for (const step of engine.steps()) engine.do(step)
        tell()
      }
    }),
  )
})

function happen(engine: ModelEngine, event: string): void {
  engine.now += event === 'time passes' ? 100_000 : 50
  const own = [...engine.containers.values()][0]
  const memory = engine.memories.get('a')
  if (event === 'is to stop') engine.assigned.set('a', { desired: 'stopped', spec: 'new' })
  if (event === 'is removed' && own) engine.containers.delete(own.id)
  if ((event === 'ends' || event === 'dies') && own?.state === 'running') {
    const exitCode = event === 'ends' ? 0 : 1
    engine.containers.set(own.id, { ...own, state: 'exited', exitCode, finishedAt: engine.now, pid: 0 })
  }
  const isDue = engine.steps().some(({ kind }) => kind === 'start' || kind === 'launch')
  if (event === 'fails to start' && memory && isDue) {
    const error = { code: 'port-taken', message: 'port 80 is taken' }
    engine.memories.set('a', afterFailedAttempt(beginAttempt(memory), error, aTaskSpec().restart, engine.now))
  }
}
