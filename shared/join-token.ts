/**
 * The join token, `BRTH-1-<pin>-<secret>`: the pin is the SHA-256 of the CA's public key (so a host knows whom it joins before
 * it says anything), the secret proves that it may. Hex throughout: a double click selects it and no shell minds it.
 */
import { createHash, type KeyObject, randomBytes, type X509Certificate } from 'node:crypto'
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
export function publicKeyFingerprint({ publicKey }: X509Certificate): string {
  return createHash('sha256').update(spkiOf(publicKey)).digest('hex')
}

/**
 * In DER. For a key of P-256, which ours are, it is written here from the key's two numbers: OpenSSL's encoder takes five times as long,
 * which was a fifth of what the coordinator does when an agent comes back.
 */
function spkiOf(key: KeyObject): Buffer {
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return key.export({ type: 'spki', format: 'der' })
  const { x, y } = key.export({ format: 'jwk' })
  return Buffer.concat([P256_SPKI_HEADER, UNCOMPRESSED, Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')])
}

/** RFC 5480: an algorithm's and a curve's name, then a bit string of 65 bytes, which begins with how the point is written. */
export const P256_SPKI_HEADER = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex')
const UNCOMPRESSED = Buffer.from([4])
