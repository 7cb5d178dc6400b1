/**
 * The Docker Engine in our words: the few verbs that Berth needs. Every request has a limit of time, and every failure is a
 * BerthError that says what was asked, of whom, and how to mend it.
 */
import type { Agent as HttpAgent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { BerthError } from '../../shared/errors.ts'
import { LABEL } from '../../shared/labels.ts'
import type { Container, Owner } from '../decide/container.ts'
import type { Reach } from '../decide/probe.ts'
import { readContainer } from './container-facts.ts'
import type { ContainerRequest } from './container-request.ts'
import { Agent, Docker, type Dockerode } from './dockerode.ts'
import { engineError, pullError, timedOut } from './engine-error.ts'
import { eachJsonLine } from './json-lines.ts'
import { enginePlace } from './place.ts'

export type EngineFacts = { version: string; apiVersion: string }
export type ListedContainer = { id: string; task: string } & Owner
/** `arch` as images say it (`arm64`); absent: not told. */
export type ImageFacts = { id: string; hasHealthcheck: boolean; arch?: string }
export type ContainerEvent = { container: string; task: string | null; action: string }

export interface Engine {
  /** For people: its socket or address. */
  readonly place: string
  /** @throws BerthError `engine-unavailable`, `engine-forbidden`, `engine-too-old`, `timed-out` */
  check(): Promise<EngineFacts>
  ping(): Promise<void>
  /**
   * Whether it takes a new connection and answers on it. One that is being stopped takes none, though it goes on answering on those
   * that are open while it ends its containers; where systemd holds its socket, a new one stays unanswered.
   */
  takesConnections(): Promise<boolean>
  /** Whether its containers end with it: not so with live restore, nor with Podman, which has no daemon over them. */
  endsContainers(): Promise<boolean>
  /** How this host reaches the ports of its containers. */
  reach(): Promise<Reach>
  /** Labels that the Engine itself was started with. */
  engineLabels(): Promise<Record<string, string>>
  /** The folder in which it keeps images and containers, on its own host. */
  dataRoot(): Promise<string>
  /** Where the log file of a container with the driver json-file will be, before it runs; null: that cannot be told. */
  logPathOf(container: string): string | null
  /** Every container with Berth's labels, of whatever cluster and node, running or not. */
  list(): Promise<ListedContainer[]>
  /** By id or name. Null: there is none, or it is not Berth's. */
  inspect(container: string): Promise<Container | null>
  /** Null: not on this host. */
  image(reference: string): Promise<ImageFacts | null>
  /** @throws BerthError `image-not-found`, or `image-unavailable` also after `stallMs` without progress */
  pull(image: string, options?: PullOptions): Promise<void>
  volumeExists(name: string): Promise<boolean>
  /** Gives its id. @throws BerthError `conflict` when the name is taken, `image-not-found`, `container-refused` */
  create(request: ContainerRequest): Promise<string>
  /** Harmless when it runs already. @throws BerthError `port-taken`, `container-refused`, `not-found` */
  start(container: string): Promise<void>
  /** Asks it to end and kills it after the grace that it was made with. Harmless when it has ended or is gone. */
  stop(container: string, graceMs: number): Promise<void>
  kill(container: string): Promise<void>
  /** With its anonymous volumes; kills it first when it runs. Harmless when it is gone. */
  remove(container: string): Promise<void>
  /** What happens to Berth's containers from `sinceMs` on. */
  events(sinceMs: number, onEvent: (event: ContainerEvent) => void, signal: AbortSignal): EventStream
  /** Raw log stream (framed unless the container has a terminal), for Engines whose log files cannot be read. */
  logs(container: string, options: LogOptions, signal: AbortSignal): Promise<Readable>
  close(): void
}

export type PullOptions = {
  platform?: string
  stallMs?: number
  signal?: AbortSignal
  onProgress?: (line: string) => void
}
export type LogOptions = { follow: boolean; tailLines?: number; sinceMs?: number }
export type EventStream = {
  /** Resolves once the Engine has taken up the subscription. */
  opened: Promise<void>
  /** Resolves or rejects when it ends, for whatever reason. */
  ended: Promise<void>
}

export const API_VERSION_MIN = '1.41'
/** The newest whose answers this code was written against. */
const API_VERSION_MAX = '1.47'
/** Bounds the connections to the Engine: pulls, stops in their grace, events, and what is quick. */
export const SOCKETS_MAX = 32
export const PULL_STALL_MS = 120_000
const QUICK_LIMIT_MS = 10_000
/** Nothing is quicker to answer than a ping; an Engine that takes longer for a new connection is overloaded or on its way out. */
const NEW_CONNECTION_LIMIT_MS = 2_000
/** Creating copies images' content into volumes; starting waits for networks. Slow disks have their time. */
const SLOW_LIMIT_MS = 120_000
/** Podman calls some of them otherwise when it is asked, one of them also when it answers. */
const PODMANS_EVENTS = ['died', 'remove']
const DOCKERS_NAME: Record<string, string> = { died: 'die', remove: 'destroy' }
const EVENTS = ['create', 'start', 'kill', 'die', 'oom', 'health_status', 'destroy', 'pause', 'unpause', 'rename']

/** Nothing is sent yet: the first call tells whether anybody listens. `host` as in DOCKER_HOST. */
export function connectEngine(options: { host?: string } = {}): Engine {
  const place = enginePlace(options.host)
  const tls = 'tls' in place ? place.tls : null
  const sockets = { keepAlive: true, maxSockets: SOCKETS_MAX, maxFreeSockets: 4 }
  const agent = tls === null ? new Agent(sockets) : new TlsAgent({ ...sockets, ...tls })
  // docker-modem prints its options, agent and all its sockets, for every request even when nobody reads it: 0.4 ms each.
  Object.defineProperty(agent, inspect.custom, { value: () => 'Agent' })
  const listensAt = 'socketPath' in place ? { socketPath: place.socketPath } : { host: place.host, port: place.port }
  const protocol = tls === null ? ('http' as const) : ('https' as const)
  const docker = new Docker(Object.assign({ agent, protocol }, listensAt, tls))
  // Node's own default would keep connections, too.
  const once = tls === null ? new Agent({ keepAlive: false }) : new TlsAgent({ keepAlive: false, ...tls })
  const anew = new Docker(Object.assign({ agent: once, protocol }, listensAt, tls))
  const remoteHost = 'isElsewhere' in place && place.isElsewhere ? place.host : null
  return new DockerEngine({ place: place.name, remoteHost }, docker, anew, agent)
}

type VersionAnswer = { Version: string; ApiVersion: string; Components?: { Name: string }[] }

class DockerEngine implements Engine {
  readonly place: string
  /** Null: it is on this machine. */
  private readonly remoteHost: string | null
  private readonly docker: Dockerode
  /** Each request on a connection of its own. */
  private readonly anew: Dockerode
  private readonly agent: HttpAgent
  /** Known after `check`. */
  private isPodman = false
  /** As it was told last. */
  private root: string | null = null

  constructor(
    where: { place: string; remoteHost: string | null },
    docker: Dockerode,
    anew: Dockerode,
    agent: HttpAgent,
  ) {
    this.place = where.place
    this.remoteHost = where.remoteHost
    this.docker = docker
    this.anew = anew
    this.agent = agent
  }

  async check(): Promise<EngineFacts> {
    const answer = await this.ask('tell its version', QUICK_LIMIT_MS, (abortSignal) =>
      this.get<VersionAnswer>('/version', abortSignal, {}, this.anew),
    )
    this.isPodman = (answer.Components ?? []).some(({ Name }) => Name.startsWith('Podman'))
    if (compareVersions(answer.ApiVersion, API_VERSION_MIN) < 0) {
      throw new BerthError(
        'engine-too-old',
        `the Docker Engine at ${this.place} is ${answer.Version} (API ${answer.ApiVersion}); Berth needs API ${API_VERSION_MIN} or newer (Docker 20.10). Upgrade docker on this host`,
      )
    }
    const newest = compareVersions(answer.ApiVersion, API_VERSION_MAX) > 0 ? API_VERSION_MAX : answer.ApiVersion
    Object.assign(this.docker.modem, { version: `v${newest}` })
    return { version: answer.Version, apiVersion: answer.ApiVersion }
  }

  async ping() {
    await this.ask('answer', QUICK_LIMIT_MS, (abortSignal) => this.get('/_ping', abortSignal))
  }

  async takesConnections() {
    try {
      await this.ask('answer', NEW_CONNECTION_LIMIT_MS, (abortSignal) => this.get('/_ping', abortSignal, {}, this.anew))
      return true
    } catch {
      return false
    }
  }

  async endsContainers() {
    return !this.isPodman && !(await this.info()).LiveRestoreEnabled
  }

  async reach(): Promise<Reach> {
    if (this.remoteHost !== null)
      return { by: 'published-port', host: this.remoteHost, why: 'the Engine is on another machine' }
    const options = (await this.info()).SecurityOptions ?? []
    const isRootless = options.some((option) => option.includes('name=rootless'))
    if (!isRootless) return { by: 'address' }
    return { by: 'published-port', host: '127.0.0.1', why: 'the Engine is rootless: its networks are its own' }
  }

  async engineLabels() {
    const labels = (await this.info()).Labels ?? []
    return Object.fromEntries(labels.map((label) => [label.split('=', 1)[0]!, label.slice(label.indexOf('=') + 1)]))
  }

  async dataRoot() {
    const { DockerRootDir: root } = await this.info()
    this.root = root ?? null
    return root ?? '/'
  }

  logPathOf(container: string) {
    if (this.root === null || this.remoteHost !== null || this.isPodman) return null
    return join(this.root, 'containers', container, `${container}-json.log`)
  }

  async list() {
    const found = await this.ask('list containers', SLOW_LIMIT_MS, (abortSignal) =>
      this.docker.listContainers({ all: true, filters: { label: [LABEL.task, LABEL.cluster] }, abortSignal }),
    )
    return found.map(({ Id, Labels }) => ({
      id: Id,
      task: Labels[LABEL.task] ?? '',
      cluster: Labels[LABEL.cluster] ?? '',
      node: Labels[LABEL.node] ?? '',
    }))
  }

  async inspect(container: string) {
    const info = await this.askUnlessGone(`inspect container ${short(container)}`, SLOW_LIMIT_MS, (abortSignal) =>
      this.docker.getContainer(container).inspect({ abortSignal }),
    )
    const found = info && readContainer(info)
    // Processes and files of another machine: here the same numbers and paths are somebody else's.
    if (found && this.remoteHost !== null) return { ...found, pid: 0, logPath: null }
    // What Podman calls json-file is a format of its own; its API tells the lines as Docker's does.
    return found && this.isPodman ? { ...found, logPath: null } : found
  }

  async image(reference: string): Promise<ImageFacts | null> {
    const info = await this.askUnlessGone(`inspect image ${reference}`, QUICK_LIMIT_MS, () =>
      this.docker.getImage(reference).inspect(),
    )
    if (!info) return null
    const check: { Test?: string[] } | undefined =
      info.Config && 'Healthcheck' in info.Config ? (info.Config.Healthcheck ?? undefined) : undefined
    const hasHealthcheck = (check?.Test?.length ?? 0) > 0 && check?.Test?.[0] !== 'NONE'
    return { id: info.Id, hasHealthcheck, ...(info.Architecture && { arch: info.Architecture }) }
  }

  async pull(image: string, { platform, stallMs = PULL_STALL_MS, signal, onProgress }: PullOptions = {}) {
    const control = new AbortController()
    const stop = () => control.abort(signal?.reason)
    signal?.addEventListener('abort', stop, { once: true })
    const stalled = () =>
      control.abort(
        new BerthError(
          'image-unavailable',
          `image ${image} cannot be fetched now: no progress for ${stallMs / 1000} s; is its registry reachable from this host?`,
        ),
      )
    let watch = setTimeout(stalled, stallMs)
    const aborted = new Promise<never>((_, reject) => {
      control.signal.addEventListener('abort', () => reject(control.signal.reason), { once: true })
    })
    aborted.catch(() => {})
    try {
      // Bounded by progress rather than by time: a large image over a thin line may take an hour.
      const stream = await Promise.race([
        this.docker.createImage({ ...imageSource(image), platform, abortSignal: control.signal }),
        aborted,
      ])
      await Promise.race([
        eachJsonLine(stream as Readable, (document) => {
          clearTimeout(watch)
          watch = setTimeout(stalled, stallMs)
          const { error, status } = document as { error?: string; status?: string }
          if (error) throw pullError(image, error)
          if (status) onProgress?.(status)
        }),
        aborted,
      ])
    } catch (error) {
      if (control.signal.aborted) throw control.signal.reason
      const known = engineError(error, this.place, `pull image ${image}`)
      if (error instanceof BerthError || known.code === 'engine-unavailable') throw known
      throw pullError(image, error)
    } finally {
      clearTimeout(watch)
      signal?.removeEventListener('abort', stop)
    }
  }

  async volumeExists(name: string) {
    const found = await this.askUnlessGone(`inspect volume ${name}`, QUICK_LIMIT_MS, (abortSignal) =>
      this.docker.getVolume(name).inspect({ abortSignal }),
    )
    return found !== null
  }

  async create({ name, platform, body }: ContainerRequest) {
    // dockerode would put the whole body into the query too, unless told what belongs where.
    const parts = { _query: platform ? { name, platform } : { name }, _body: body }
    const made = await this.ask(`create container ${name}`, SLOW_LIMIT_MS, (abortSignal) =>
      this.docker.createContainer({ ...parts, abortSignal } as Dockerode.ContainerCreateOptions),
    )
    return made.id
  }

  async start(container: string) {
    await this.askUnlessDone(`start container ${short(container)}`, SLOW_LIMIT_MS, (abortSignal) =>
      this.docker.getContainer(container).start({ abortSignal }),
    )
  }

  async stop(container: string, graceMs: number) {
    await this.askUnlessGone(`stop container ${short(container)}`, graceMs + SLOW_LIMIT_MS, (abortSignal) =>
      this.askUnlessDoneRaw(() => this.docker.getContainer(container).stop({ abortSignal })),
    )
  }

  async kill(container: string) {
    try {
      await this.askUnlessGone(`kill container ${short(container)}`, SLOW_LIMIT_MS, (abortSignal) =>
        this.docker.getContainer(container).kill({ abortSignal }),
      )
    } catch (error) {
      // It has ended already.
      if (!(error instanceof BerthError && error.code === 'conflict')) throw error
    }
  }

  async remove(container: string) {
    try {
      await this.askUnlessGone(`remove container ${short(container)}`, SLOW_LIMIT_MS, (abortSignal) =>
        this.docker
          .getContainer(container)
          .remove({ v: true, force: true, abortSignal } as Dockerode.ContainerRemoveOptions),
      )
    } catch (error) {
      // Somebody else is removing it: that is what was wanted.
      if (!(error instanceof BerthError && error.code === 'conflict' && /in progress/.test(error.message))) throw error
    }
  }

  events(sinceMs: number, onEvent: (event: ContainerEvent) => void, signal: AbortSignal): EventStream {
    // Podman knows filters of labels only with their values: there the events of strangers come too, and are of no task of ours.
    const ours = this.isPodman ? {} : { label: [LABEL.task, LABEL.cluster] }
    const filters = { type: ['container'], event: [...EVENTS, ...PODMANS_EVENTS], ...ours }
    const stream = this.docker.getEvents({
      filters: JSON.stringify(filters),
      since: sinceMs / 1000,
      abortSignal: signal,
    })
    const fail = (error: unknown) => {
      throw engineError(error, this.place, 'tell its events')
    }
    const ended = stream
      .then((events) => eachJsonLine(events as Readable, (document) => onEvent(readEvent(document))))
      .catch(fail)
    ended.catch(() => {})
    const opened = stream.then(() => {}, fail)
    opened.catch(() => {})
    return { opened, ended }
  }

  async logs(container: string, { follow, tailLines, sinceMs }: LogOptions, signal: AbortSignal) {
    const tail = tailLines ?? 'all'
    const options = { stdout: true, stderr: true, timestamps: true, follow, tail, since: (sinceMs ?? 0) / 1000 }
    // dockerode's own verb gives a stream only to those who follow.
    return this.ask(`read logs of container ${short(container)}`, SLOW_LIMIT_MS, () =>
      this.get<Readable>(`/containers/${container}/logs?`, signal, { options, isStream: true }),
    )
  }

  close() {
    this.agent.destroy()
  }

  private info() {
    return this.ask('describe itself', QUICK_LIMIT_MS, (abortSignal) =>
      this.get<{
        Labels?: string[] | null
        DockerRootDir?: string
        LiveRestoreEnabled?: boolean
        SecurityOptions?: string[] | null
      }>('/info', abortSignal),
    )
  }

  private get<T>(path: string, abortSignal: AbortSignal, options: object = {}, docker = this.docker): Promise<T> {
    const request = { path, method: 'GET', statusCodes: { 200: true as const }, abortSignal, ...options }
    return new Promise((resolve, reject) => {
      docker.modem.dial(request, (error, answer) => (error ? reject(error) : resolve(answer as T)))
    })
  }

  /** One request within its limit. The race is for answers that break off half way: dockerode would wait for ever. */
  private async ask<T>(act: string, limitMs: number, request: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    const control = new AbortController()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(timedOut(this.place, act, limitMs))
        control.abort()
      }, limitMs)
    })
    try {
      return await Promise.race([request(control.signal), late])
    } catch (error) {
      throw engineError(error, this.place, act)
    } finally {
      clearTimeout(timer)
    }
  }

  private async askUnlessGone<T>(act: string, limitMs: number, request: (abortSignal: AbortSignal) => Promise<T>) {
    try {
      return await this.ask(act, limitMs, request)
    } catch (error) {
      if (error instanceof BerthError && error.details.statusCode === 404) return null
      throw error
    }
  }

  private askUnlessDone<T>(act: string, limitMs: number, request: (abortSignal: AbortSignal) => Promise<T>) {
    return this.ask(act, limitMs, (abortSignal) => this.askUnlessDoneRaw(() => request(abortSignal)))
  }

  /** 304: it was so already. */
  private async askUnlessDoneRaw<T>(request: () => Promise<T>): Promise<T | null> {
    try {
      return await request()
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 304) return null
      throw error
    }
  }
}

function readEvent(document: unknown): ContainerEvent {
  const { Action, Actor } = document as { Action: string; Actor: { ID: string; Attributes?: Record<string, string> } }
  return { container: Actor.ID, task: Actor.Attributes?.[LABEL.task] ?? null, action: DOCKERS_NAME[Action] ?? Action }
}

/** Without a tag `latest` is meant; with none named the Engine would fetch every tag there is. */
export function imageSource(image: string): { fromImage: string; tag: string } {
  const at = image.indexOf('@')
  if (at >= 0) return { fromImage: image.slice(0, at), tag: image.slice(at + 1) }
  const colon = image.lastIndexOf(':')
  if (colon <= image.lastIndexOf('/')) return { fromImage: image, tag: 'latest' }
  return { fromImage: image.slice(0, colon), tag: image.slice(colon + 1) }
}

/** Negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA - majorB || minorA - minorB
}

function short(container: string): string {
  return /^[0-9a-f]{64}$/.test(container) ? container.slice(0, 12) : container
}
