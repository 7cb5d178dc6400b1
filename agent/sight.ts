/**
 * What the Engine shows of our containers, kept in the tasks' records: the whole list after a gap, and from then on a look at
 * each container that its events tell of.
 */
import { BerthError } from '../shared/errors.ts'
import { belongsTo, type Container, type Owner, unreadableContainer } from './decide/container.ts'
import type { EngineStops } from './decide/engine-stop.ts'
import { afterLook } from './decide/memory.ts'
import type { ContainerEvent, Engine, ListedContainer } from './docker/engine.ts'
import { engineStops } from './docker/engine-error.ts'
import { Lane } from './lane.ts'
import { isEngineAway } from './perform.ts'
import { recordIn, type TaskRecord } from './task-record.ts'

export type SightNeeds = {
  engine: Engine
  owner: () => Owner
  records: Map<string, TaskRecord>
  /** How many containers are looked at at once. */
  width: number
  keepMemory: (record: TaskRecord) => void
  /** When the Engine and the host were away. */
  stops: () => EngineStops
  /** Something happened to the record's containers. */
  marked: (record: TaskRecord) => void
  notice: (code: string, message: string, task?: string) => void
}

/** One look a second: for as long as an Engine may have a bad moment. */
const UNREADABLE_LOOKS_MAX = 30

export class Sight {
  private readonly needs: SightNeeds
  private readonly looks: Lane
  /** While the list is being read: the latest that events told of each container, since the list may be older. */
  private meanwhile: Map<string, ContainerEvent> | null = null
  private saidForeign = false
  /** How often in a row containers could not be described. */
  private readonly unreadable = new Map<string, number>()

  constructor(needs: SightNeeds) {
    this.needs = needs
    this.looks = new Lane(needs.width)
  }

  /** The list takes the place of all that was known. @throws BerthError when the Engine is away or cannot list */
  async readAll(): Promise<void> {
    const { engine, owner, records, marked } = this.needs
    const meanwhile = new Map<string, ContainerEvent>()
    this.meanwhile = meanwhile
    try {
      const known = new Map([...records.values()].flatMap((record) => [...record.containers]))
      const listed = await engine.list()
      const ours = listed.filter((each) => belongsTo(owner(), each))
      this.sayForeign(listed.length - ours.length)
      const found = await Promise.all(ours.map((each) => this.inspect(each)))
      for (const record of records.values()) {
        record.lookAt.clear()
        for (const [id, container] of record.containers) {
          // Made, started or ended by a step under way since the list was asked for: what it says may be older.
          if (known.get(id) === container) record.containers.delete(id)
          else record.lookAt.add(id)
        }
      }
      for (const container of found) {
        if (!container) continue
        const record = recordIn(records, container.task)
        if (!record.lookAt.has(container.id)) this.sawOrNot(record, container)
      }
      for (const record of records.values()) marked(record)
    } finally {
      this.meanwhile = null
      for (const event of meanwhile.values()) this.told(event)
    }
  }

  /** Takes note of an event; the look comes with the next beat. */
  told(event: ContainerEvent): void {
    this.meanwhile?.set(event.container, event)
    const { container, task, action } = event
    const known = task === null ? undefined : this.needs.records.get(task)
    // A step under way makes it. Or one of an agent that was killed while the Engine was slow: its container comes late.
    if (action === 'create' && known?.operation) return
    const record = known ?? (action === 'create' && task !== null ? recordIn(this.needs.records, task) : undefined)
    if (!record) return
    // Our own hand is known by the step under way.
    if (action === 'kill') record.killed ||= record.operation?.kind !== 'stop' && record.operation?.kind !== 'remove'
    // Events tell of strangers with the same task's name as well; only a look tells whose a new one is.
    if (action === 'destroy') record.containers.delete(container)
    // A step under way may still write down what it saw before; a look after it puts that right.
    if (action === 'destroy' && !record.operation) record.lookAt.delete(container)
    else record.lookAt.add(container)
    this.needs.marked(record)
  }

  /** Looks at those of the record's containers that something happened to. */
  async look(record: TaskRecord): Promise<void> {
    const ids = [...record.lookAt]
    record.lookAt.clear()
    if (record.killed) await this.findOutWhoKilled(record)
    for (const id of ids) {
      const known = record.containers.get(id) ?? { id, task: record.id, ...this.needs.owner() }
      const container = await this.inspect(known)
      if (container && container.task === record.id) this.sawOrNot(record, container)
      else record.containers.delete(id)
    }
  }

  /**
   * An Engine that is being stopped kills its containers first, and goes on answering meanwhile. How they end then says nothing
   * about their tasks, so nothing more is believed of it. @throws BerthError when it stops
   */
  private async findOutWhoKilled(record: TaskRecord): Promise<void> {
    record.killed = false
    if (await this.needs.engine.takesConnections()) return
    throw engineStops(this.needs.engine.place)
  }

  /**
   * One container that the Engine cannot describe must not hide all others, and is not gone for that: it is looked at again. One
   * that cannot be described time and again counts as not there, and its task meets the same answer when its container is to
   * be made.
   */
  private async inspect(known: ListedContainer | Container): Promise<Container | null> {
    const { id } = known
    try {
      const container = await this.looks.run(() => this.needs.engine.inspect(id))
      this.unreadable.delete(id)
      return container
    } catch (error) {
      if (isEngineAway(error) || !(error instanceof BerthError) || error.code === 'timed-out') throw error
      const times = (this.unreadable.get(id) ?? 0) + 1
      if (times === 1) this.needs.notice('container-unreadable', error.message, known.task)
      if (times > UNREADABLE_LOOKS_MAX) {
        this.unreadable.delete(id)
        return null
      }
      this.unreadable.set(id, times)
      return { ...unreadableContainer(known), ...known, state: 'unreadable' }
    }
  }

  private sawOrNot(record: TaskRecord, container: Container): void {
    if (container.state === 'unreadable') record.containers.set(container.id, container)
    else this.saw(record, container)
  }

  private saw(record: TaskRecord, container: Container): void {
    if (!belongsTo(this.needs.owner(), container)) return
    record.containers.set(container.id, container)
    const isWanted = record.assigned?.spec === container.spec && record.assigned.desired === 'running'
    const policy = isWanted ? (record.spec?.restart ?? null) : null
    record.memory = afterLook(record.memory, container, policy, this.needs.stops())
    this.needs.keepMemory(record)
  }

  private sayForeign(count: number): void {
    if (count === 0 || this.saidForeign) return
    this.saidForeign = true
    this.needs.notice(
      'foreign-containers',
      `${count} containers on this Engine belong to another cluster or node of Berth; they are left alone`,
    )
  }
}
