/**
 * What security keeps on disk, in an order in which a crash between any two writes leaves a usable state: keys stand in one
 * file with their certificates, the operator's token is written before its hash, and the state, last, says that all is there.
 */
import { join } from 'node:path'
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { readPrivateFile, writePrivateFile } from '../../shared/private-file.ts'
import type { KeyPair } from './certificates.ts'

export type TokenState = {
  /** SHA-256 of the operator's token, hex. */
  operatorTokenHash: string
  joinSecret: string
  /** Epoch milliseconds; null: until it is rotated. */
  joinExpiresAt: number | null
  readers: ReaderState[]
}

/** A read-only token: of it only the SHA-256 is kept, in hex. */
export type ReaderState = { name: string; tokenHash: string; createdAt: Instant }

/** What the tickets are sealed with, by which agents come back without a whole handshake. */
export type TicketKey = { madeAt: Instant; keyBytes: Buffer }

export type SecurityFiles = ReturnType<typeof securityFiles>

export function securityFiles(dir: string) {
  const caPath = join(dir, 'ca.pem')
  const serverPath = join(dir, 'server.pem')
  const operatorTokenPath = join(dir, 'operator-token')
  const statePath = join(dir, 'tokens.json')
  const ticketKeyPath = join(dir, 'ticket-key.json')
  return {
    readCa: () => readKeyPair(caPath),
    writeCa: (ca: KeyPair) => writePrivateFile(caPath, ca.keyPem + ca.certificatePem),
    readServer: () => readKeyPair(serverPath),
    writeServer: (server: KeyPair) => writePrivateFile(serverPath, server.keyPem + server.certificatePem),
    /**
     * In clear, for the `berth` command on this host; null: none that could be one. An operator may delete it, or the disk empty it:
     * the hash goes on to count, and no word that somebody might guess takes its place.
     */
    readOperatorToken: async () => OPERATOR_TOKEN.exec((await readPrivateFile(operatorTokenPath)) ?? '')?.[1] ?? null,
    writeOperatorToken: (token: string) => writePrivateFile(operatorTokenPath, `${token}\n`),
    readState: () => readState(statePath),
    /** Null: there is none, or none that could be one; another does as well. */
    readTicketKey: async () => ticketKeyIn(await readPrivateFile(ticketKeyPath)),
    writeTicketKey: ({ madeAt, keyBytes }: TicketKey) =>
      writePrivateFile(ticketKeyPath, `${JSON.stringify({ madeAt, key: keyBytes.toString('base64') })}\n`),
    writeState: (state: TokenState) => writePrivateFile(statePath, `${JSON.stringify(state, null, 2)}\n`),
  }
}

/** 256 random bits. */
const OPERATOR_TOKEN = /^\s*(berth-op-[A-Za-z0-9_-]{43})\s*$/
const KEY = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----/
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/

/** As TLS wants it: a name, a key to seal with and one to sign with, 16 bytes each. */
export const TICKET_KEY_BYTES = 48

function ticketKeyIn(text: string | null): TicketKey | null {
  const [, madeAt, base64] = /^\{"madeAt":(\d{1,15}),"key":"([A-Za-z0-9+/]{64})"\}\s*$/.exec(text ?? '') ?? []
  if (madeAt === undefined || base64 === undefined) return null
  return { madeAt: Number(madeAt), keyBytes: Buffer.from(base64, 'base64') }
}

async function readKeyPair(path: string): Promise<KeyPair | null> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  const keyPem = KEY.exec(text)?.[0]
  const certificatePem = CERTIFICATE.exec(text)?.[0]
  if (keyPem === undefined || certificatePem === undefined) throw damaged(path)
  return { keyPem: `${keyPem}\n`, certificatePem: `${certificatePem}\n` }
}

async function readState(path: string): Promise<TokenState | null> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  const { operatorTokenHash, joinSecret, joinExpiresAt, readers = [] } = parsed(path, text)
  if (typeof operatorTokenHash !== 'string' || typeof joinSecret !== 'string') throw damaged(path)
  if (!Array.isArray(readers) || !readers.every(isReader)) throw damaged(path)
  const expiresAt = typeof joinExpiresAt === 'number' ? joinExpiresAt : null
  return { operatorTokenHash, joinSecret, joinExpiresAt: expiresAt, readers }
}

function isReader(value: unknown): value is ReaderState {
  const { name, tokenHash, createdAt } = (value ?? {}) as Partial<Record<keyof ReaderState, unknown>>
  return typeof name === 'string' && typeof tokenHash === 'string' && typeof createdAt === 'number'
}

function parsed(path: string, text: string): Partial<Record<keyof TokenState, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch (cause) {
    throw damaged(path, cause)
  }
  throw damaged(path)
}

function damaged(path: string, cause?: unknown): BerthError {
  return new BerthError('failed', `${path} is damaged: restore the folder from a backup`, { cause })
}
