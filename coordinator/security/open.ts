/** The coordinator's security, from its folder: made at the first start, completed after a crash, renewed while it runs. */
import { createHash, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { formatJoinToken, newJoinSecret, parseJoinToken, publicKeyFingerprint } from '../../shared/join-token.ts'
import type { Log } from '../../shared/log.ts'
import { makePrivateFolder } from '../../shared/private-file.ts'
import { type KeyPair, makeCa, makeServerKey, signNode, signServer, type Validity } from './certificates.ts'
import { type SecurityFiles, securityFiles, TICKET_KEY_BYTES, type TicketKey, type TokenState } from './files.ts'
import type { Security } from './security.ts'

export type SecurityOptions = {
  /** Made 0700; its files are 0600. */
  dir: string
  /** DNS names and IP addresses that the server's certificate is for. */
  names: string[]
  now: () => Instant
  /** Told when the server's certificate was renewed or could not be. */
  log?: Log
  /** For tests; see LIFETIMES. */
  lifetimes?: Partial<typeof LIFETIMES>
}

export type OpenedSecurity = Security & {
  /**
   * Renews the server's certificate when less than a third of its life is left, and the key of tickets once a week. Never rejects.
   * See coordinator/upkeep.ts.
   */
  renewIfDue(): Promise<void>
  serverCertificateEndsAt(): Instant
}

const DAY_MS = 24 * 3_600_000

/** `ticketMs`: longer no ticket of TLS 1.3 counts. */
export const LIFETIMES = { caMs: 3652 * DAY_MS, serverMs: 90 * DAY_MS, nodeMs: DAY_MS, ticketMs: 7 * DAY_MS }

/** Each is compared with every token that is shown. */
const READERS_MAX = 100

/** Clocks a little behind ours must not find a new certificate to be of tomorrow. */
const BACKDATED_MS = 10 * 60_000

/** @throws BerthError `failed` when the folder is damaged or lost the CA that its cluster was made with */
export async function openSecurity(options: SecurityOptions): Promise<OpenedSecurity> {
  const lifetimes = { ...LIFETIMES, ...options.lifetimes }
  const names = [...new Set(options.names)]
  await makePrivateFolder(options.dir)
  const files = securityFiles(options.dir)

  const ca = await openCa(files, options, lifetimes.caMs)
  let server = await openServer(files, ca, names, options.now(), lifetimes.serverMs)
  let tokens = await openTokens(files)
  let ticketKey = await openTicketKey(files, options.now(), lifetimes.ticketMs)

  const caPin = publicKeyFingerprint(new X509Certificate(ca.certificatePem))
  const listeners = new Set<() => void>()
  let writing: Promise<unknown> = Promise.resolve()

  async function renewIfDue(): Promise<void> {
    await renewCertificateIfDue()
    await renewTicketKeyIfDue()
  }

  async function renewTicketKeyIfDue(): Promise<void> {
    if (!isTicketKeyDue(ticketKey, options.now(), lifetimes.ticketMs)) return
    try {
      ticketKey = await makeTicketKey(files, options.now())
      for (const listener of listeners) listener()
    } catch (error) {
      options.log?.error({ err: error }, 'the key of tickets could not be renewed; it is tried again every hour')
    }
  }

  /** What could not be done now is tried again at the next look; a third of the certificate's life is left for it. */
  async function renewCertificateIfDue(): Promise<void> {
    if (!isDue(server, names, options.now())) return
    try {
      server = await renewServer(files, ca, server.keyPem, names, options.now(), lifetimes.serverMs)
      for (const listener of listeners) listener()
      options.log?.info({ validUntil: endOf(server) }, "the server's certificate was renewed")
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      options.log?.error(
        { err: error, validUntil: endOf(server) },
        `the server's certificate, which ends at ${endOf(server)}, could not be renewed (${message}); it is tried again every hour`,
      )
    }
  }

  /** One after the other: each builds on the tokens that the one before left. */
  function changeTokens<Result>(change: () => Promise<Result>): Promise<Result> {
    const done = writing.then(change)
    writing = done.catch(() => undefined)
    return done
  }

  return {
    cluster: clusterOf(caPin),
    caCertificatePem: ca.certificatePem,
    // The CA goes along in the chain: a host that joins knows only its pin.
    serverTls: () => ({
      key: server.keyPem,
      cert: server.certificatePem + ca.certificatePem,
      ca: ca.certificatePem,
      ticketKeys: ticketKey.keyBytes,
    }),
    onServerCertificate(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    serverKeyPin: `sha256//${Buffer.from(publicKeyFingerprint(new X509Certificate(server.certificatePem)), 'hex').toString('base64')}`,
    isOperator: (token) => sameSecret(sha256(token), tokens.operatorTokenHash),
    joinToken: () => formatJoinToken({ caPin, secret: tokens.joinSecret }),
    joinTokenExpiresAt: () => tokens.joinExpiresAt,
    rotateJoinToken: ({ expiresAt } = {}) =>
      changeTokens(async () => {
        const next = { ...tokens, joinSecret: newJoinSecret(), joinExpiresAt: expiresAt ?? null }
        await files.writeState(next)
        tokens = next
        return formatJoinToken({ caPin, secret: tokens.joinSecret })
      }),
    rotateOperatorToken: () =>
      changeTokens(async () => {
        const token = newOperatorToken()
        const next = { ...tokens, operatorTokenHash: sha256(token) }
        await files.writeOperatorToken(token)
        await files.writeState(next)
        tokens = next
        return token
      }),
    readers: () => tokens.readers.map(({ name, createdAt }) => ({ name, createdAt })),
    readerOf(token) {
      const hash = sha256(token)
      // All of them are compared, whichever it is.
      const [found] = tokens.readers.filter(({ tokenHash }) => sameSecret(hash, tokenHash))
      return found?.name ?? null
    },
    createReader: (name) =>
      changeTokens(async () => {
        const { readers } = tokens
        if (readers.some((reader) => reader.name === name)) throw readerExists(name)
        if (readers.length >= READERS_MAX) throw tooManyReaders()
        const token = `berth-read-${randomBytes(32).toString('base64url')}`
        const next = { ...tokens, readers: [...readers, { name, tokenHash: sha256(token), createdAt: options.now() }] }
        await files.writeState(next)
        tokens = next
        return token
      }),
    removeReader: (name) =>
      changeTokens(async () => {
        const readers = tokens.readers.filter((reader) => reader.name !== name)
        if (readers.length === tokens.readers.length) throw noReader(name)
        const next = { ...tokens, readers }
        await files.writeState(next)
        tokens = next
      }),
    checkJoinToken(text) {
      const token = parseJoinToken(text)
      if (token.caPin !== caPin) throw wrongCluster(clusterOf(token.caPin), clusterOf(caPin))
      if (!sameSecret(sha256(token.secret), sha256(tokens.joinSecret))) throw tokenInvalid()
      if (tokens.joinExpiresAt !== null && options.now() >= tokens.joinExpiresAt)
        throw tokenExpired(tokens.joinExpiresAt)
    },
    sign: (requestPem, node) => signNode(ca, requestPem, node, validity(options.now(), lifetimes.nodeMs)),
    renewIfDue,
    serverCertificateEndsAt: () => new X509Certificate(server.certificatePem).validToDate.getTime(),
  }
}

async function openCa(files: SecurityFiles, { dir, now }: SecurityOptions, lifetimeMs: number): Promise<KeyPair> {
  const kept = await files.readCa()
  if (kept !== null) return kept
  // The tokens are written last: where they are, a CA has been, and a new one would cut off every agent without a word.
  if ((await files.readState()) !== null) {
    throw new BerthError(
      'failed',
      `${dir}/ca.pem is gone: restore it from a backup, or empty ${dir} to make a new cluster`,
    )
  }
  const ca = await makeCa('berth CA', validity(now(), lifetimeMs))
  await files.writeCa(ca)
  return ca
}

async function openServer(
  files: SecurityFiles,
  ca: KeyPair,
  names: string[],
  now: Instant,
  lifetimeMs: number,
): Promise<KeyPair> {
  const kept = await files.readServer()
  if (kept !== null && isOf(ca, kept) && !isDue(kept, names, now)) return kept
  return renewServer(files, ca, kept?.keyPem ?? (await makeServerKey()), names, now, lifetimeMs)
}

async function renewServer(
  files: SecurityFiles,
  ca: KeyPair,
  keyPem: string,
  names: string[],
  now: Instant,
  lifetimeMs: number,
): Promise<KeyPair> {
  const server = { keyPem, certificatePem: await signServer(ca, keyPem, names, validity(now, lifetimeMs)) }
  await files.writeServer(server)
  return server
}

/** A lost or damaged one costs nothing but whole handshakes: those that come back once have no use for their tickets. */
async function openTicketKey(files: SecurityFiles, now: Instant, lifetimeMs: number): Promise<TicketKey> {
  const kept = await files.readTicketKey()
  return kept !== null && !isTicketKeyDue(kept, now, lifetimeMs) ? kept : makeTicketKey(files, now)
}

async function makeTicketKey(files: SecurityFiles, now: Instant): Promise<TicketKey> {
  const made = { madeAt: now, keyBytes: randomBytes(TICKET_KEY_BYTES) }
  await files.writeTicketKey(made)
  return made
}

/** Also one of a time to come: the clock was set. */
function isTicketKeyDue({ madeAt }: TicketKey, now: Instant, lifetimeMs: number): boolean {
  return now < madeAt || now >= madeAt + lifetimeMs
}

/**
 * After a crash in the middle of a rotation the token in clear is the newer one, and nobody was told that it does not count:
 * it wins, so that the `berth` command on this host goes on to work.
 */
async function openTokens(files: SecurityFiles): Promise<TokenState> {
  const kept = await files.readState()
  let token = await files.readOperatorToken()
  if (kept !== null && (token === null || sha256(token) === kept.operatorTokenHash)) return kept
  if (token === null) {
    token = newOperatorToken()
    await files.writeOperatorToken(token)
  }
  const state = {
    joinSecret: newJoinSecret(),
    joinExpiresAt: null,
    readers: [],
    ...kept,
    operatorTokenHash: sha256(token),
  }
  await files.writeState(state)
  return state
}

function isDue(server: KeyPair, names: string[], now: Instant): boolean {
  const certificate = new X509Certificate(server.certificatePem)
  const from = certificate.validFromDate.getTime()
  const until = certificate.validToDate.getTime()
  return until - now < (until - from) / 3 || now < from || !isFor(certificate, names)
}

function endOf({ certificatePem }: KeyPair): string {
  return new X509Certificate(certificatePem).validToDate.toISOString()
}

function isOf(ca: KeyPair, server: KeyPair): boolean {
  return new X509Certificate(server.certificatePem).verify(new X509Certificate(ca.certificatePem).publicKey)
}

/** Asked name by name, since the certificate writes an IPv6 address its own way. */
function isFor(certificate: X509Certificate, names: string[]): boolean {
  const count = (certificate.subjectAltName ?? '').split(', ').length
  const has = (name: string) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name))
  return count === names.length && names.every(has)
}

function validity(now: Instant, lifetimeMs: number): Validity {
  return { from: now - BACKDATED_MS, until: now + lifetimeMs }
}

/** A cluster is called after its CA, so the name needs no keeping and two clusters of one host are told apart. */
function clusterOf(caPin: string): string {
  return `berth-${caPin.slice(0, 4)}`
}

function newOperatorToken(): string {
  return `berth-op-${randomBytes(32).toString('base64url')}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Both are hashes in hex, hence of one length. */
function sameSecret(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function readerExists(name: string): BerthError {
  return new BerthError(
    'name-taken',
    `there is a read-only token ${name} already; \`berth token rm ${name}\` takes it back`,
  )
}

function tooManyReaders(): BerthError {
  return new BerthError(
    'conflict',
    `there are ${READERS_MAX} read-only tokens, and no more may be made; \`berth token ls\` lists them`,
    { details: { readers: READERS_MAX } },
  )
}

function noReader(name: string): BerthError {
  return new BerthError('not-found', `there is no read-only token ${name}; \`berth token ls\` lists those there are`)
}

function wrongCluster(theirs: string, ours: string): BerthError {
  return new BerthError(
    'wrong-cluster',
    `this join token is of cluster ${theirs}, but this coordinator is of ${ours}; \`berth token join\` here prints the right one`,
    { details: { tokenCluster: theirs, cluster: ours } },
  )
}

function tokenInvalid(): BerthError {
  return new BerthError(
    'token-invalid',
    'this join token does not count (any more); `berth token join` on the coordinator prints the current one, since it may have been rotated',
  )
}

function tokenExpired(expiresAt: Instant): BerthError {
  const when = new Date(expiresAt).toISOString()
  return new BerthError(
    'token-expired',
    `this join token expired at ${when}; \`berth token rotate join\` on the coordinator makes a new one`,
    { details: { expiredAt: when } },
  )
}
