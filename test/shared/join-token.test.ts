import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { publicKeyFingerprint } from '../../shared/join-token.ts'

const fingerprintOf = (publicKey: KeyObject) => publicKeyFingerprint({ publicKey } as X509Certificate)

function asOpenSslWritesIt(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

test('the fingerprint of a key of P-256 is that of its SPKI, numbers that begin with zeros included', () => {
  for (let count = 0; count < 600; count++) {
    const key = createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
    expect(fingerprintOf(key)).toBe(asOpenSslWritesIt(key))
  }
})

test.each([
  ['another curve', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['Ed25519', () => generateKeyPairSync('ed25519')],
  ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
])('and so is that of a key of %s', (_kind, generate) => {
  const { publicKey } = generate()
  expect(fingerprintOf(publicKey)).toBe(asOpenSslWritesIt(publicKey))
})
