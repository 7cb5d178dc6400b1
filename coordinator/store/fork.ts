/**
 * A World to try things on. It begins as the one it was taken from and costs next to nothing to take: a thing is copied only
 * when somebody takes it out, so that `apply` may write to it and the original never notices. It is good for as long as the
 * original stays as it is, that is until the next await.
 *
 * What comes out of a map of the fork (by `get` or by walking it) is the fork's own copy. The sets of tasks in the indexes are
 * walked far more often than written to and give the original of a task that nobody has taken out yet: who writes to a task
 * takes it from `world.tasks` first. Values within (specs, observed, rollouts, statuses) are shared: they are replaced, never changed.
 */
import { copyLoadHistory } from '../decide/load-history.ts'
import { copyServiceUsage } from '../decide/service-usage.ts'
import type { Node, Service, Task, TaskId, World } from '../world.ts'

export function forkWorld(world: World): World {
  const tasks = new ForkedMap(world.tasks, (task) => ({ ...task }))
  const index = <Key>(sets: Map<Key, Set<Task>>) => new ForkedMap(sets, (set) => new ForkedTaskSet(set, tasks))
  return {
    ...world,
    nodes: new ForkedMap(world.nodes, copyNode),
    stacks: new ForkedMap(world.stacks, (stack) => ({ ...stack })),
    services: new ForkedMap(world.services, copyService),
    tasks,
    tasksByService: index(world.tasksByService),
    tasksByNode: index(world.tasksByNode),
    tasksWaiting: new ForkedTaskSet(world.tasksWaiting, tasks),
    tasksStopping: new ForkedTaskSet(world.tasksStopping, tasks),
    tasksFailing: new ForkedTaskSet(world.tasksFailing, tasks),
    servicesInMotion: new Set(world.servicesInMotion),
    servicesFailing: new Set(world.servicesFailing),
    tally: undefined,
    usageByService: new ForkedMap(world.usageByService, copyServiceUsage),
  }
}

function copyNode(node: Node): Node {
  return {
    ...node,
    heard: { ...node.heard },
    containerLoads: new ForkedMap(node.containerLoads, (load) => load),
    loadHistory: copyLoadHistory(node.loadHistory),
  }
}

function copyService(service: Service): Service {
  return { ...service, versions: new Map(service.versions), homes: new Map(service.homes) }
}

/** A Map over another one, which it never changes; in the order that a Map with the same past would have. */
export class ForkedMap<Key, Value> extends Map<Key, Value> {
  readonly #base: ReadonlyMap<Key, Value>
  readonly #copy: (value: Value) => Value
  /** Of what the base has: the copies that were taken out, and what is gone. Then what it has not. */
  readonly #copies = new Map<Key, Value>()
  readonly #gone = new Set<Key>()
  readonly #added = new Map<Key, Value>()

  constructor(base: ReadonlyMap<Key, Value>, copy: (value: Value) => Value) {
    super()
    this.#base = base
    this.#copy = copy
  }

  override get(key: Key): Value | undefined {
    const own = this.#copies.get(key)
    if (own !== undefined) return own
    const original = this.#base.get(key)
    return original === undefined || this.#gone.has(key) ? this.#added.get(key) : this.#takeOut(key, original)
  }

  /** Of what the base has: as it is now, not to be written to. Nothing is copied. */
  now(key: Key, original: Value): Value {
    return this.#copies.size === 0 ? original : (this.#copies.get(key) ?? original)
  }

  /** What the base has under the key, whatever became of it. */
  original(key: Key): Value | undefined {
    return this.#base.get(key)
  }

  override has(key: Key): boolean {
    return this.#added.has(key) || this.#isFromBase(key)
  }

  override set(key: Key, value: Value): this {
    if (this.#isFromBase(key)) this.#copies.set(key, value)
    else this.#added.set(key, value)
    return this
  }

  override delete(key: Key): boolean {
    if (this.#added.delete(key)) return true
    if (!this.#isFromBase(key)) return false
    this.#copies.delete(key)
    this.#gone.add(key)
    return true
  }

  override clear(): void {
    for (const key of [...this.keys()]) this.delete(key)
  }

  override get size(): number {
    return this.#base.size - this.#gone.size + this.#added.size
  }

  override *entries(): MapIterator<[Key, Value]> {
    for (const [key, value] of this.#base) {
      if (!this.#gone.has(key)) yield [key, this.#copies.get(key) ?? this.#takeOut(key, value)]
    }
    yield* this.#added
  }

  override *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value
  }

  override *keys(): MapIterator<Key> {
    for (const key of this.#base.keys()) if (!this.#gone.has(key)) yield key
    yield* this.#added.keys()
  }

  override [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries()
  }

  override forEach(callback: (value: Value, key: Key, map: Map<Key, Value>) => void, self?: unknown): void {
    for (const [key, value] of this.entries()) callback.call(self, value, key, this)
  }

  #isFromBase(key: Key): boolean {
    return this.#base.has(key) && !this.#gone.has(key)
  }

  #takeOut(key: Key, value: Value): Value {
    const own = this.#copy(value)
    this.#copies.set(key, own)
    return own
  }
}

/** A set of tasks over another one, which it never changes. Walking it gives each task as it is in the fork now. */
class ForkedTaskSet extends Set<Task> {
  readonly #base: ReadonlySet<Task>
  readonly #tasks: ForkedMap<TaskId, Task>
  /** Originals. */
  readonly #gone = new Set<Task>()
  readonly #added = new Set<Task>()

  constructor(base: ReadonlySet<Task>, tasks: ForkedMap<TaskId, Task>) {
    super()
    this.#base = base
    this.#tasks = tasks
  }

  override has(task: Task): boolean {
    return this.#added.has(task) || this.#isFromBase(task)
  }

  override add(task: Task): this {
    if (!this.#isFromBase(task)) this.#added.add(task)
    return this
  }

  override delete(task: Task): boolean {
    if (this.#added.delete(task)) return true
    if (!this.#isFromBase(task)) return false
    this.#gone.add(this.#originalOf(task))
    return true
  }

  override clear(): void {
    for (const task of [...this.values()]) this.delete(task)
  }

  override get size(): number {
    return this.#base.size - this.#gone.size + this.#added.size
  }

  override *values(): SetIterator<Task> {
    for (const task of this.#base) if (!this.#gone.has(task)) yield this.#tasks.now(task.id, task)
    yield* this.#added
  }

  override keys(): SetIterator<Task> {
    return this.values()
  }

  override *entries(): SetIterator<[Task, Task]> {
    for (const task of this.values()) yield [task, task]
  }

  override [Symbol.iterator](): SetIterator<Task> {
    return this.values()
  }

  override forEach(callback: (task: Task, again: Task, set: Set<Task>) => void, self?: unknown): void {
    for (const task of this.values()) callback.call(self, task, task, this)
  }

  #originalOf(task: Task): Task {
    return this.#tasks.original(task.id) ?? task
  }

  #isFromBase(task: Task): boolean {
    const original = this.#originalOf(task)
    return this.#base.has(original) && !this.#gone.has(original)
  }
}
