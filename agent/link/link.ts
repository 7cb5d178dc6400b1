/** The connection to the coordinator, for as long as the agent runs: has an identity, connects, loses it, comes back. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { parseJoinToken } from '../../shared/join-token.ts'
import type { Log } from '../../shared/log.ts'
import type { Link, LoadMeter, LogShipper, LogTail, ReadInventory, Supervisor } from '../parts.ts'
import { type ConnectionEnd, holdConnection } from './connection.ts'
import type { Identity } from './identity.ts'
import { FIRST_LINK_STATE, type LinkEvent, type LinkState, nextLinkState } from './link-state.ts'
import { Outbox } from './outbox.ts'
import { OUTSIDE, type Outside } from './outside.ts'
import { hasExpired } from './renewal.ts'
import { LINK_TIMES, type LinkTimes } from './times.ts'

export type LinkOptions = {
  /** `https://HOST:PORT` */
  coordinator: string
  node: string
  /** The identity is kept in a folder of this one. */
  dataDir: string
  labels: Record<string, string>
  agentVersion: string
  /** Read when a join is due: at the first start, and when the certificate ended while the host was off. Null: there is none. */
  joinToken: () => string | null
  /** For tests; see LINK_TIMES. */
  times?: Partial<LinkTimes>
}

export type LinkNeeds = {
  options: LinkOptions
  supervisor: Supervisor
  logTail: LogTail
  logShipper?: LogShipper
  loadMeter: LoadMeter
  inventory: ReadInventory
  log: Log
  clock: Clock
  /** In [0, 1). */
  random: () => number
  /** Of this start of the agent: no two starts have the same. */
  instance?: string
  /** For simulations. */
  outside?: Outside
  /** Told once it is known who this host is: at the start, or when it has joined; and again after joining anew. */
  onIdentity?: (identity: Identity) => void
}

export type RunningLink = Link & { readonly state: LinkState }

export function createLink(needs: LinkNeeds): RunningLink {
  const { options, supervisor, log, clock, random, outside = OUTSIDE } = needs
  const times = { ...LINK_TIMES, ...options.times }
  const outbox = new Outbox()
  const { instance = randomUUID() } = needs
  let state: LinkState = FIRST_LINK_STATE
  let identity: Identity | null = null

  const step = (event: LinkEvent) => {
    state = nextLinkState(state, event, clock.now(), random())
  }

  /** @throws BerthError what a first join cannot get over: a wrong token, a taken name, another cluster */
  async function run(signal: AbortSignal): Promise<void> {
    const stopListening = listen()
    try {
      identity = await outside.loadIdentity(options.dataDir)
      checkCluster(identity, options)
      if (hasIdentity(identity)) needs.onIdentity?.(identity)
      while (!signal.aborted) {
        step(await attempt(signal))
        await pause(signal)
      }
    } finally {
      stopListening()
      step({ kind: 'stop', why: 'the agent stops' })
    }
  }

  /** From having an identity to having lost the connection. */
  async function attempt(signal: AbortSignal): Promise<LinkEvent> {
    step({ kind: 'connect' })
    const known = hasIdentity(identity) ? identity : await join()
    if ('kind' in known) return known
    const end = await hold(known, signal)
    if (!hasEnded(known, end)) return end
    const renewed = await join()
    return 'kind' in renewed ? renewed : hold(renewed, signal)
  }

  /** One of another name is of no use: the host was given a new one. */
  function hasIdentity(known: Identity | null): known is Identity {
    return known?.node === options.node
  }

  /**
   * The coordinator is asked before the host joins anew: by this host's clock alone, which may be hours off, a certificate only
   * seems to have ended; and one that is refused while it holds was refused on purpose.
   */
  function hasEnded(known: Identity, end: ConnectionEnd): boolean {
    return end.kind === 'refused' && end.code === 'certificate-mismatch' && hasExpired(known, clock.now())
  }

  async function hold(known: Identity, signal: AbortSignal): Promise<ConnectionEnd> {
    const end = await holdConnection({
      ...needs,
      outside,
      identity: known,
      instance,
      outbox,
      times,
      signal,
      welcomed: () => {
        step({ kind: 'welcomed' })
        log.info({ coordinator: options.coordinator, cluster: known.cluster }, `connected to ${options.coordinator}`)
      },
      renewed: (renewed) => {
        identity = renewed
        outside.fetchTicket(options.coordinator, renewed)
      },
    })
    if (!hasEnded(known, end)) say(end)
    return end
  }

  /** A new certificate; an event when there is none to be had now. */
  async function join(): Promise<Identity | LinkEvent> {
    const token = options.joinToken()
    if (token === null) return withoutToken()
    try {
      identity = await outside.joinCluster({ ...options, token, now: clock.now })
      log.info(
        { node: identity.node, cluster: identity.cluster },
        `joined cluster ${identity.cluster} as ${identity.node}`,
      )
      needs.onIdentity?.(identity)
      return identity
    } catch (error) {
      return joinFailed(error)
    }
  }

  function withoutToken(): LinkEvent {
    if (identity === null) {
      throw new BerthError('unauthorized', `this host has joined no cluster: start the agent with ${JOIN_COMMAND}`)
    }
    const reason =
      identity.node === options.node
        ? `the certificate of ${identity.node} ended at ${new Date(identity.validUntil).toISOString()} while the agent was away`
        : `this host joined as ${identity.node} and is now called ${options.node}`
    const why = `${reason}: join again with ${JOIN_COMMAND}`
    log.error({ code: 'certificate-mismatch' }, why)
    return { kind: 'refused', why, retry: false }
  }

  function joinFailed(error: unknown): LinkEvent {
    if (!(error instanceof BerthError)) throw error
    const passing = PASSING_CODES.has(error.code)
    // Somebody is watching a first join; on a later one nobody is, and the containers go on whatever comes of it.
    if (identity === null && !passing) throw error
    log.warn({ code: error.code }, `could not join: ${error.message}`)
    return { kind: 'refused', why: error.message, retry: passing }
  }

  function say(end: ConnectionEnd): void {
    if (end.kind === 'refused') log.error({ code: end.code }, `the coordinator refused this agent: ${end.why}`)
    else if (state.name === 'open' || (state.name === 'greeting' && isTelling(state.attempt))) {
      log.warn(
        { coordinator: options.coordinator },
        `no connection to ${options.coordinator}: ${end.why}; containers go on`,
      )
    }
  }

  async function pause(signal: AbortSignal): Promise<void> {
    if (state.name !== 'waiting') return
    const waitMs = state.until - clock.now()
    if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => undefined)
  }

  function listen(): () => void {
    const stopChanges = supervisor.onChange((change) => outbox.putChange(change))
    const stopNotices = supervisor.onNotice((notice) => {
      outbox.putNotice({ kind: 'notice', at: clock.now(), ...notice })
    })
    return () => {
      stopChanges()
      stopNotices()
    }
  }

  return {
    run,
    get state() {
      return state
    },
  }
}

const JOIN_COMMAND = '`berth agent --join-file FILE` (`berth token join` on the coordinator prints the token)'

/** What may be otherwise in a moment, without anybody doing anything here. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  'unreachable',
  'timed-out',
  'too-many-requests',
  'disk-full',
  'internal',
])

/** A coordinator that is away for long is worth a line now and then, not one every attempt. */
function isTelling(attempt: number): boolean {
  return (attempt & (attempt - 1)) === 0
}

/** A host that has joined one cluster does not silently stay there when it is told to join another. */
function checkCluster(identity: Identity | null, { joinToken, dataDir }: LinkOptions): void {
  const token = identity === null ? null : joinToken()
  if (identity === null || token === null || parseJoinToken(token).caPin === identity.caPin) return
  throw new BerthError(
    'wrong-cluster',
    `this host belongs to cluster ${identity.cluster} and the join token is of another: remove ${dataDir}/identity to leave the first`,
  )
}
