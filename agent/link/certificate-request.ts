/**
 * The certificate request (PKCS #10) of an agent: a name, a public key, and a signature by its private key. It is written out
 * here because the library that could do it takes 24 MB of memory, a third of what an agent may use; a test has that library
 * read and verify what this makes.
 */
import { createPublicKey, type KeyObject, sign } from 'node:crypto'

/** PEM. `key` is a P-256 private key. */
export function certificateRequest(key: KeyObject, commonName: string): string {
  const information = sequence(
    integerZero,
    sequence(set(sequence(commonNameOid, der(0x0c, Buffer.from(commonName))))),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    noAttributes,
  )
  const signature = sign('sha256', information, { key, dsaEncoding: 'der' })
  const request = sequence(information, sequence(ecdsaWithSha256Oid), der(0x03, Buffer.of(0), signature))
  const lines = request.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`
}

const integerZero = Buffer.from('020100', 'hex')
const commonNameOid = Buffer.from('0603550403', 'hex')
const ecdsaWithSha256Oid = Buffer.from('06082a8648ce3d040302', 'hex')
const noAttributes = Buffer.from('a000', 'hex')

function sequence(...members: Buffer[]): Buffer {
  return der(0x30, ...members)
}

function set(...members: Buffer[]): Buffer {
  return der(0x31, ...members)
}

/** Tag, length, content; a length from 128 on is told by how many bytes it takes. */
function der(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body])
  if (body.length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, body.length), body])
  return Buffer.concat([Buffer.of(tag, 0x82, body.length >> 8, body.length & 0xff), body])
}
