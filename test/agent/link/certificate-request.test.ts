import 'reflect-metadata'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { Pkcs10CertificateRequest } from '@peculiar/x509'
import { expect, test } from 'vitest'
import { certificateRequest } from '../../../agent/link/certificate-request.ts'

test.for(['a', 'web-1', 'x'.repeat(63)])('a library reads and verifies the request for %s', async (name) => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const request = new Pkcs10CertificateRequest(certificateRequest(key, name))
  expect(request.subject).toBe(`CN=${name}`)
  expect(await request.verify()).toBe(true)
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  expect(Buffer.from(request.publicKey.rawData).equals(spki)).toBe(true)
})
