/**
 * A Docker Engine in virtual time: containers that start, become healthy, end and are removed; calls that take their time,
 * fail, hang, or are cut off by the Engine's end, before or after they took effect. Its containers are what really runs.
 */
import type { Container } from '../../agent/decide/container.ts'
import type { ContainerRequest } from '../../agent/docker/container-request.ts'
import type { ContainerEvent, Engine, EventStream } from '../../agent/docker/engine.ts'
import { clash } from '../../coordinator/decide/checks/host-port.ts'
import { BerthError, type ErrorCode } from '../../shared/errors.ts'
import { LABEL } from '../../shared/labels.ts'
import type { Port } from '../../shared/spec.ts'
import type { Chance } from './chance.ts'
import { EPOCH_MS, type Life, type WallClock } from './life.ts'
import type { Entry, Timeline } from './timeline.ts'
import { type Behaviour, behaviourOf, canBePulled } from './workload.ts'

export type VirtualContainer = {
  seen: Container
  image: string
  /** Of Berth's labels; empty for a stranger. */
  service: string
  bindings: Port[]
  graceMs: number
  hasHealthcheck: boolean
  behaviour: Behaviour
  /** An Engine that was killed while it started a container may refuse it for ever. */
  isBroken: boolean
  /** True time of its latest start. */
  startedAtMs: number
  starts: number
  /** An operator started it, whatever the books say. */
  isByHand: boolean
  next: Entry[]
  whenEnded: (() => void)[]
}

/** What those who watch the Engine are told. */
/** One run of a container that somebody waits for the end of. */
type Run = { isOver: boolean; whenOver(): void }

export type EngineWatch = {
  /** Before a call of the agent has its effect. */
  acts(act: 'start' | 'stop' | 'kill' | 'remove', container: VirtualContainer, by: Life): void
  /** A container runs from now on. */
  started(container: VirtualContainer): void
  ended(container: VirtualContainer, why: string): void
  /** A start was refused since another running container has the port. */
  portTaken(container: VirtualContainer, holder: VirtualContainer): void
}

const QUICK_LIMIT_MS = 10_000
const SLOW_LIMIT_MS = 120_000
const EVENTS_KEPT = 256

export class VirtualEngine {
  readonly host: string
  readonly containers = new Map<string, VirtualContainer>()
  isUp = true
  private hangsUntil = 0
  /** Calls that take their effect when it goes on. */
  private hung: (() => void)[] = []
  /** Of calls that change something, and of those that only look. */
  failsWith: { acts: number; looks: number } = { acts: 0, looks: 0 }
  callMs: readonly [number, number] = [1, 60]
  registryIsUp = true
  /** Containers outlive their Engine (live-restore). */
  keeps = false
  private readonly timeline: Timeline
  private readonly wall: WallClock
  private readonly chance: Chance
  private readonly watch: EngineWatch
  /** Tasks whose containers an operator ever started. */
  readonly startedByHand = new Set<string>()
  private readonly images = new Map<string, string>()
  private readonly streams = new Set<{
    life: Life
    tell(event: ContainerEvent): void
    end(error: Error | null): void
  }>()
  private history: { at: number; event: ContainerEvent }[] = []
  /** Of its process; calls of an earlier one are cut off. */
  private generation = 0
  private made = 0
  private readonly whenCrashed: (() => void)[] = []

  constructor(host: string, timeline: Timeline, wall: WallClock, chance: Chance, watch: EngineWatch) {
    this.host = host
    this.timeline = timeline
    this.wall = wall
    this.chance = chance
    this.watch = watch
  }

  running(): VirtualContainer[] {
    return [...this.containers.values()].filter(({ seen }) => seen.state === 'running')
  }

  // ------------------------------------------------------------------ what happens to it

  /** The process ends. Containers go on without it. */
  crash(): void {
    if (!this.isUp) return
    this.isUp = false
    this.generation++
    this.goOn()
    for (const container of this.containers.values()) {
      if (container.seen.state === 'created' && this.chance.happens(0.1)) container.isBroken = true
    }
    for (const stream of [...this.streams]) stream.end(this.away())
    for (const tell of this.whenCrashed.splice(0)) tell()
  }

  /** An Engine without live-restore ends the containers that it finds running. */
  boot(): void {
    if (this.isUp) return
    this.isUp = true
    this.history = []
    if (!this.keeps) for (const container of this.running()) this.end(container, 137, 'its Engine was started')
  }

  /** The host goes off: everything on it ends at once. */
  loseHost(): void {
    this.crash()
    for (const container of this.running()) this.end(container, 255, 'its host ended')
  }

  hang(ms: number): void {
    this.hangsUntil = Math.max(this.hangsUntil, this.timeline.now + ms)
    this.timeline.at(this.hangsUntil, () => this.timeline.now >= this.hangsUntil && this.goOn())
  }

  goOn(): void {
    this.hangsUntil = 0
    for (const takeEffect of this.hung.splice(0)) takeEffect()
  }

  dropEvents(): void {
    for (const stream of [...this.streams]) stream.end(null)
  }

  /** By an operator's hand. */
  async byHand(act: 'kill' | 'remove' | 'start', id: string): Promise<void> {
    const container = this.containers.get(id)
    if (!container || !this.isUp) return
    if (act === 'start') {
      if (container.seen.state !== 'exited') return
      this.startedByHand.add(container.seen.task)
      this.tryStart(container, true)
    } else {
      if (container.seen.state === 'running') this.end(container, 137, `docker ${act} by an operator`)
      if (act === 'remove') this.takeAway(container)
    }
  }

  /** A container that has nothing to do with this cluster, running. */
  addStranger(name: string, given: Partial<Container>, bindings: Port[]): void {
    const container = this.newContainer(name, { cluster: '', node: '', task: '', spec: '', ...given })
    container.bindings = bindings
    this.tryStart(container)
  }

  // ------------------------------------------------------------------ its interface

  /** As one agent's process sees it. */
  engineFor(life: Life): Engine {
    const quick = <T>(act: string, work: () => T) => this.call(life, act, QUICK_LIMIT_MS, 'looks', work)
    const look = <T>(act: string, work: () => T) => this.call(life, act, SLOW_LIMIT_MS, 'looks', work)
    const change = <T>(act: string, work: () => T) => this.call(life, act, SLOW_LIMIT_MS, 'acts', work)
    return {
      place: `unix:///${this.host}/docker.sock`,
      check: () => quick('tell its version', () => ({ version: '28.0.0', apiVersion: '1.47' })),
      ping: () => quick('answer', () => {}),
      engineLabels: () => quick('tell its labels', () => ({})),
      dataRoot: async () => '/',
      logPathOf: () => null,
      reach: async () => ({ by: 'address' }),
      takesConnections: () => quick('answer on a new connection', () => true).catch(() => false),
      endsContainers: () => quick('tell what becomes of containers', () => !this.keeps),
      list: () =>
        look('list containers', () =>
          [...this.containers.values()]
            .filter(({ seen }) => seen.task !== '' && seen.cluster !== '')
            .map(({ seen: { id, task, cluster, node } }) => ({ id, task, cluster, node })),
        ),
      inspect: (id) => look(`inspect container ${id}`, () => this.find(id)),
      image: (reference) =>
        quick(`inspect image ${reference}`, () => {
          const id = this.images.get(reference)
          return id === undefined
            ? null
            : { id, hasHealthcheck: behaviourOf(reference, this.chance).healthyAfterMs !== null }
        }),
      pull: (image) => this.pull(life, image),
      volumeExists: () => quick('inspect volume', () => true),
      create: (request) => change(`create container ${request.name}`, () => this.create(request)),
      start: (id) => change(`start container ${id}`, () => this.start(id, life)),
      stop: (id, graceMs) => this.stop(life, id, graceMs),
      kill: (id) =>
        change(`kill container ${id}`, () => {
          const container = this.containers.get(id)
          if (container?.seen.state !== 'running') return
          this.watch.acts('kill', container, life)
          this.end(container, 137, 'killed by its agent')
        }),
      remove: (id) => change(`remove container ${id}`, () => this.remove(id, life)),
      events: (sinceMs, onEvent, signal) => this.events(life, sinceMs, onEvent, signal),
      logs: () => Promise.reject(new Error('no logs here')),
      close() {},
    }
  }

  /**
   * A call and its answer. The call may be lost with the process that made it, and the Engine may end before or after the
   * effect; a call that is given up after its limit may still take effect later.
   */
  private call<T>(life: Life, act: string, limitMs: number, kind: 'acts' | 'looks', work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!life.may()) return
      if (!this.isUp) {
        life.take(this.timeline.now + 0.3, () => reject(this.away()))
        return
      }
      const { generation } = this
      let isOver = false
      const settle = (moment: number, tell: () => void) => {
        if (isOver) return
        isOver = true
        this.timeline.cancel(limit)
        life.take(moment, tell)
      }
      const limit = this.timeline.after(limitMs, () =>
        settle(this.timeline.now, () => reject(timedOut(this.host, act, limitMs))),
      )
      const takeEffect = () => {
        if (this.generation !== generation) return settle(this.timeline.now, () => reject(this.away()))
        if (this.timeline.now < this.hangsUntil) {
          this.hung.push(takeEffect)
          return
        }
        let tell: () => void
        try {
          if (this.chance.happens(this.failsWith[kind])) throw failed('container-refused', `could not ${act}: 500`)
          const value = work()
          tell = () => resolve(value)
        } catch (error) {
          tell = () => reject(error)
        }
        const answerAt = this.timeline.now + this.chance.skewed(0.2, this.callMs[1] / 4)
        this.timeline.at(answerAt, () =>
          settle(answerAt, this.generation === generation ? tell : () => reject(this.away())),
        )
      }
      this.timeline.after(this.chance.skewed(...this.callMs), takeEffect)
    })
  }

  private away(): BerthError {
    return failed('engine-unavailable', `the Docker Engine at ${this.host} does not answer (ECONNREFUSED)`)
  }

  // ------------------------------------------------------------------ containers

  private find(idOrName: string): Container | null {
    const found =
      this.containers.get(idOrName) ?? [...this.containers.values()].find(({ seen }) => seen.name === idOrName)
    return found && found.seen.task !== '' ? { ...found.seen } : null
  }

  private create({ name, body }: ContainerRequest): string {
    if ([...this.containers.values()].some(({ seen }) => seen.name === name)) {
      throw failed('conflict', `the container name "${name}" is in use`)
    }
    const image = String(body.Image)
    if (!this.images.has(image)) throw failed('image-not-found', `no such image: ${image}`)
    const labels = body.Labels as Record<string, string>
    const container = this.newContainer(name, {
      cluster: labels[LABEL.cluster] ?? '',
      node: labels[LABEL.node] ?? '',
      task: labels[LABEL.task] ?? '',
      spec: labels[LABEL.spec] ?? '',
      createdForAttempt: Number(labels[LABEL.attempt]),
    })
    container.image = image
    container.service = labels[LABEL.service] ?? ''
    container.graceMs = Number(body.StopTimeout) * 1000
    container.bindings = bindingsOf(body)
    container.behaviour = behaviourOf(image, this.chance)
    container.hasHealthcheck = container.behaviour.healthyAfterMs !== null
    container.seen.imageId = this.images.get(image) ?? null
    container.seen.ports = container.bindings.map(({ containerPort, hostPort, protocol }) => ({
      containerPort,
      hostPort: hostPort ?? 0,
      protocol,
    }))
    this.tell('create', container)
    return container.seen.id
  }

  private newContainer(name: string, given: Partial<Container>): VirtualContainer {
    const id = `${this.host}-${(++this.made).toString().padStart(4, '0')}`
    const seen: Container = {
      ...{ id, name, cluster: '', node: '', task: '', spec: '', createdForAttempt: 0, state: 'created' },
      ...{ startedAt: null, finishedAt: null, exitCode: null, oomKilled: false, error: null, health: 'none' },
      ...{
        healthyAt: null,
        healthMessage: null,
        imageId: null,
        pid: 0,
        ports: [],
        logPath: null,
        memoryBytesLimit: null,
      },
      ...given,
    }
    const container: VirtualContainer = {
      seen,
      image: '',
      service: '',
      bindings: [],
      graceMs: 10_000,
      hasHealthcheck: false,
      behaviour: behaviourOf('', this.chance),
      isBroken: false,
      startedAtMs: 0,
      starts: 0,
      isByHand: false,
      next: [],
      whenEnded: [],
    }
    this.containers.set(id, container)
    return container
  }

  private start(id: string, life: Life): void {
    const container = this.containers.get(id)
    if (!container) throw failed('not-found', `no such container: ${id}`)
    if (container.seen.state === 'running') return
    if (container.seen.state === 'removing') throw failed('conflict', `container ${id} is marked for removal`)
    this.watch.acts('start', container, life)
    if (container.isBroken) throw failed('container-refused', `container ${id}: already exists`)
    const holder = this.tryStart(container)
    if (!holder) return
    this.watch.portTaken(container, holder)
    throw failed('port-taken', `could not start ${id}: a port is already allocated to ${holder.seen.name}`)
  }

  /** Null: it runs. Otherwise who has one of its ports. */
  private tryStart(container: VirtualContainer, isByHand = false): VirtualContainer | null {
    for (const other of this.running()) {
      if (other.bindings.some((held) => container.bindings.some((wanted) => clash(held, wanted)))) return other
    }
    const { seen, behaviour } = container
    Object.assign(seen, {
      state: 'running',
      startedAt: this.wallNow(),
      finishedAt: null,
      exitCode: null,
      pid: 1000 + this.made,
      health: container.hasHealthcheck ? 'starting' : 'none',
      healthyAt: null,
    })
    container.startedAtMs = this.timeline.now
    container.starts++
    container.isByHand = isByHand
    this.tell('start', container)
    if (behaviour.livesMs !== null) {
      this.later(container, behaviour.livesMs, () => this.end(container, behaviour.exitCode, 'it ended by itself'))
    }
    if (behaviour.healthyAfterMs !== null) {
      this.later(container, behaviour.healthyAfterMs, () => {
        seen.health = 'healthy'
        seen.healthyAt = this.wallNow()
        this.tell('health_status: healthy', container)
      })
      if (behaviour.sickAfterMs !== null) {
        this.later(container, behaviour.healthyAfterMs + behaviour.sickAfterMs, () => {
          seen.health = 'unhealthy'
          this.tell('health_status: unhealthy', container)
        })
      }
    }
    this.watch.started(container)
    return null
  }

  private end(container: VirtualContainer, exitCode: number, why: string): void {
    const { seen } = container
    if (seen.state !== 'running') return
    for (const entry of container.next.splice(0)) this.timeline.cancel(entry)
    Object.assign(seen, { state: 'exited', exitCode, finishedAt: this.wallNow(), pid: 0 })
    this.tell('die', container)
    for (const tell of container.whenEnded.splice(0)) tell()
    this.watch.ended(container, why)
  }

  /** As the Engine's: answers when the run that was asked to end has ended, whatever became of the container since. */
  private stop(life: Life, id: string, graceMs: number): Promise<void> {
    const act = `stop container ${id}`
    const limitMs = graceMs + SLOW_LIMIT_MS
    const asked = this.call(life, act, limitMs, 'acts', () => {
      const container = this.containers.get(id)
      if (container?.seen.state !== 'running') return null
      this.watch.acts('stop', container, life)
      const takesMs = Math.min(container.behaviour.stopMs, container.graceMs)
      const exitCode = container.behaviour.stopMs > container.graceMs ? 137 : 0
      const run: Run = { isOver: false, whenOver: () => {} }
      container.whenEnded.push(() => {
        run.isOver = true
        run.whenOver()
      })
      this.later(container, takesMs, () => this.end(container, exitCode, 'stopped by its agent'))
      return run
    })
    return asked.then((run) => (run ? this.untilOver(life, run, act, limitMs) : undefined))
  }

  private untilOver(life: Life, run: Run, act: string, limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (run.isOver) {
        life.take(this.timeline.now, resolve)
        return
      }
      const limit = this.timeline.after(limitMs, () =>
        life.take(this.timeline.now, () => reject(timedOut(this.host, act, limitMs))),
      )
      run.whenOver = () => {
        this.timeline.cancel(limit)
        life.take(this.timeline.now + 0.5, resolve)
      }
      this.whenCrashed.push(() => life.take(this.timeline.now + 0.5, () => reject(this.away())))
    })
  }

  private remove(id: string, life: Life): void {
    const container = this.containers.get(id)
    if (!container) return
    this.watch.acts('remove', container, life)
    this.end(container, 137, 'removed by its agent')
    this.takeAway(container)
  }

  private takeAway(container: VirtualContainer): void {
    const { seen } = container
    if (this.chance.happens(0.9)) {
      this.gone(container)
      return
    }
    // A slow disk: it shows as being removed for a while.
    seen.state = 'removing'
    this.timeline.after(this.chance.skewed(10, 3_000), () => this.gone(container))
  }

  private gone(container: VirtualContainer): void {
    if (!this.containers.delete(container.seen.id)) return
    this.tell('destroy', container)
  }

  private later(container: VirtualContainer, ms: number, then: () => void): void {
    container.next.push(this.timeline.after(ms, then))
  }

  private wallNow(): number {
    return Math.floor(EPOCH_MS + this.timeline.now + this.wall.offsetMs)
  }

  // ------------------------------------------------------------------ images and events

  private async pull(life: Life, image: string): Promise<void> {
    const takesMs = this.chance.skewed(20, 8_000)
    await this.call(life, `pull image ${image}`, SLOW_LIMIT_MS, 'looks', () => {})
    const { generation } = this
    await new Promise<void>((resolve, reject) => {
      this.timeline.after(this.registryIsUp ? takesMs : 1_000, () => {
        const isCut = this.generation !== generation
        if (!isCut && this.registryIsUp && canBePulled(image)) this.images.set(image, `sha256:${image}`)
        life.take(this.timeline.now, () => {
          if (isCut) reject(this.away())
          else if (!this.registryIsUp) reject(failed('image-unavailable', `image ${image} cannot be fetched now`))
          else if (!canBePulled(image)) reject(failed('image-not-found', `image ${image} cannot be had`))
          else resolve()
        })
      })
    })
  }

  private tell(action: string, { seen }: VirtualContainer): void {
    if (!this.isUp || seen.task === '') return
    const event: ContainerEvent = { container: seen.id, task: seen.task, action }
    this.history.push({ at: this.wallNow(), event })
    if (this.history.length > EVENTS_KEPT) this.history.shift()
    for (const stream of this.streams) stream.tell(event)
  }

  private events(
    life: Life,
    sinceMs: number,
    onEvent: (event: ContainerEvent) => void,
    signal: AbortSignal,
  ): EventStream {
    const ended = Promise.withResolvers<void>()
    ended.promise.catch(() => {})
    let arrivesAt = 0
    const tell = (event: ContainerEvent) => {
      arrivesAt = Math.max(arrivesAt, this.timeline.now + this.chance.skewed(0.2, 30))
      life.take(arrivesAt, () => {
        if (!signal.aborted && this.streams.has(stream)) onEvent(event)
      })
    }
    const stream = {
      life,
      tell,
      end: (error: Error | null) => {
        this.streams.delete(stream)
        life.take(this.timeline.now + 0.5, () => (error ? ended.reject(error) : ended.resolve()))
      },
    }
    const opened = this.call(life, 'tell its events', SLOW_LIMIT_MS, 'looks', () => {
      if (signal.aborted) return
      this.streams.add(stream)
      for (const { at, event } of this.history) if (at >= sinceMs) tell(event)
    })
    opened.catch((error) => ended.reject(error))
    signal.addEventListener('abort', () => stream.end(null), { once: true })
    life.onEnd(() => this.streams.delete(stream))
    return { opened, ended: ended.promise }
  }
}

function bindingsOf(body: Record<string, unknown>): Port[] {
  const bindings = (body.HostConfig as { PortBindings?: Record<string, { HostIp?: string; HostPort?: string }[]> })
    .PortBindings
  return Object.entries(bindings ?? {}).flatMap(([key, hosts]) => {
    const [containerPort, protocol] = key.split('/')
    return hosts
      .filter(({ HostPort }) => HostPort)
      .map(({ HostIp, HostPort }) => ({
        containerPort: Number(containerPort),
        hostPort: Number(HostPort),
        protocol: (protocol ?? 'tcp') as Port['protocol'],
        ...(HostIp && { hostIp: HostIp }),
      }))
  })
}

function failed(code: ErrorCode, message: string): BerthError {
  return new BerthError(code, message)
}

function timedOut(host: string, act: string, limitMs: number): BerthError {
  return failed('timed-out', `the Docker Engine at ${host} did not ${act} within ${limitMs / 1000} s`)
}
