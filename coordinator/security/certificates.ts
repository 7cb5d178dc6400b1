/**
 * Making certificates; the only file that knows @peculiar/x509. It is loaded when a certificate is first to be made, since
 * that takes longer than everything else a restarted coordinator does before it serves.
 */
import { createHash, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { P256_SPKI_HEADER } from '../../shared/join-token.ts'

/** A certificate with its private key, both PEM. */
export type KeyPair = { keyPem: string; certificatePem: string }
export type Validity = { from: Instant; until: Instant }

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export async function makeCa(name: string, validity: Validity): Promise<KeyPair> {
  const x509 = await library()
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    notBefore: new Date(validity.from),
    notAfter: new Date(validity.until),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { keyPem: await privateKeyPem(keys.privateKey), certificatePem: `${certificate.toString('pem')}\n` }
}

/** A new private key for the server, PEM. */
export async function makeServerKey(): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  return privateKeyPem(keys.privateKey)
}

/** The server's certificate for `names` (DNS names and IP addresses), for the key that it has. */
export async function signServer(ca: KeyPair, keyPem: string, names: string[], validity: Validity): Promise<string> {
  const x509 = await library()
  const alternatives = names.map((name) => ({ type: isIP(name) ? ('ip' as const) : ('dns' as const), value: name }))
  return signLeaf(ca, await publicKeyOf(keyPem), 'berth-coordinator', x509.ExtendedKeyUsage.serverAuth, validity, [
    new x509.SubjectAlternativeNameExtension(alternatives),
  ])
}

/**
 * The certificate of a node, for the public key of its request. Whatever else the request asks for is not looked at.
 * @throws BerthError `invalid-request` when it is no request, is not signed by its own key, or the key is not P-256
 */
export async function signNode(
  ca: KeyPair,
  requestPem: string,
  node: string,
  validity: Validity,
): Promise<{ certificatePem: string; keyFingerprint: string }> {
  const x509 = await library()
  const spki = await publicKeyOfRequest(requestPem)
  const publicKey = await webcrypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify'])
  const certificatePem = await signLeaf(ca, publicKey, node, x509.ExtendedKeyUsage.clientAuth, validity, [])
  return { certificatePem, keyFingerprint: createHash('sha256').update(spki).digest('hex') }
}

async function signLeaf(
  ca: KeyPair,
  publicKey: webcrypto.CryptoKey,
  commonName: string,
  usage: string,
  validity: Validity,
  extensions: Awaited<ReturnType<typeof library>>['Extension']['prototype'][],
): Promise<string> {
  const x509 = await library()
  const issuer = new x509.X509Certificate(ca.certificatePem)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [commonName] }],
    issuer: issuer.subject,
    notBefore: new Date(validity.from),
    notAfter: new Date(validity.until),
    signingAlgorithm: ALGORITHM,
    signingKey: await signingKeyOf(ca.keyPem),
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...extensions,
    ],
  })
  return `${certificate.toString('pem')}\n`
}

async function publicKeyOfRequest(requestPem: string): Promise<Buffer> {
  const x509 = await library()
  try {
    const request = new x509.Pkcs10CertificateRequest(requestPem)
    const spki = Buffer.from(request.publicKey.rawData)
    if (spki.subarray(0, P256_SPKI_HEADER.length).equals(P256_SPKI_HEADER) && (await request.verify())) return spki
  } catch (cause) {
    throw new BerthError('invalid-request', 'the certificate request cannot be read; it is PEM (PKCS #10)', { cause })
  }
  throw new BerthError(
    'invalid-request',
    'the certificate request is for no P-256 key, or is not signed by its own key',
  )
}

async function signingKeyOf(keyPem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', derOf(keyPem), ALGORITHM, true, ['sign'])
}

async function publicKeyOf(keyPem: string): Promise<webcrypto.CryptoKey> {
  const jwk = await webcrypto.subtle.exportKey('jwk', await signingKeyOf(keyPem))
  const { kty, crv, x, y } = jwk
  return webcrypto.subtle.importKey('jwk', { kty, crv, x, y }, ALGORITHM, true, ['verify'])
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END PRIVATE KEY-----\n`
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
}

/** Positive, and too long to be met twice. */
function serialNumber(): string {
  return `4${randomBytes(16).toString('hex').slice(1)}`
}

async function library() {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(webcrypto)
  return x509
}
