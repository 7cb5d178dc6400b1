/**
 * What security keeps on disk, in an order in which a crash between any two writes leaves a usable state: keys stand in one
 * file with their certificates, the operator's token is written before its hash, and the state, last, says that all is there.
 */
import { join } from 'node:path'
import { BerthError } from '../../shared/errors.ts'
import { readPrivateFile, writePrivateFile } from '../../shared/private-file.ts'
import type { KeyPair } from './certificates.ts'

export type TokenState = {
  /** SHA-256 of the operator's token, hex. */
  operatorTokenHash: string
  joinSecret: string
  /** Epoch milliseconds; null: until it is rotated. */
  joinExpiresAt: number | null
}

export type SecurityFiles = ReturnType<typeof securityFiles>

export function securityFiles(dir: string) {
  const caPath = join(dir, 'ca.pem')
  const serverPath = join(dir, 'server.pem')
  const operatorTokenPath = join(dir, 'operator-token')
  const statePath = join(dir, 'tokens.json')
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
    writeState: (state: TokenState) => writePrivateFile(statePath, `${JSON.stringify(state, null, 2)}\n`),
  }
}

/** 256 random bits. */
const OPERATOR_TOKEN = /^\s*(berth-op-[A-Za-z0-9_-]{43})\s*$/
const KEY = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----/
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/

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
  const { operatorTokenHash, joinSecret, joinExpiresAt } = parsed(path, text)
  if (typeof operatorTokenHash !== 'string' || typeof joinSecret !== 'string') throw damaged(path)
  return { operatorTokenHash, joinSecret, joinExpiresAt: typeof joinExpiresAt === 'number' ? joinExpiresAt : null }
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
