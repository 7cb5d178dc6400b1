/**
 * The join token, `BRTH-1-<pin>-<secret>`: the pin is the SHA-256 of the CA's public key (so a host knows whom it joins before
 * it says anything), the secret proves that it may. Hex throughout: a double click selects it and no shell minds it.
 */
import { createHash, randomBytes, type X509Certificate } from 'node:crypto'
import { BerthError } from './errors.ts'

export type JoinToken = {
  /** SHA-256 of the CA's public key (SPKI, DER), 64 hex digits. */
  caPin: string
  /** 32 hex digits. */
  secret: string
}

const TOKEN = /^BRTH-1-([0-9a-f]{64})-([0-9a-f]{32})$/

export function formatJoinToken(token: JoinToken): string {
  return `BRTH-1-${token.caPin}-${token.secret}`
}

/** @throws BerthError `token-invalid` when the text is not a join token */
export function parseJoinToken(text: string): JoinToken {
  const [, caPin, secret] = TOKEN.exec(text.trim()) ?? []
  if (caPin !== undefined && secret !== undefined) return { caPin, secret }
  throw new BerthError(
    'token-invalid',
    'this is not a join token: one looks like BRTH-1-… with 64 and 32 hex digits; `berth token join` on the coordinator prints it',
  )
}

export function newJoinSecret(): string {
  return randomBytes(16).toString('hex')
}

/** SHA-256 of a certificate's public key (SPKI, DER), 64 hex digits: what pins a CA and what a node is known by. */
export function publicKeyFingerprint(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}
