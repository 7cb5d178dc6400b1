/**
 * Who this host is: its key, made here and never sent, and what the coordinator gave for it. Two files, each replaced in one
 * step, the key first: a crash between them costs nothing but a second join.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import type { JoinAnswer } from '../../shared/join.ts'
import { publicKeyFingerprint } from '../../shared/join-token.ts'
import { makePrivateFolder, readPrivateFile, writePrivateFile } from '../../shared/private-file.ts'
import { certificateRequest } from './certificate-request.ts'

export type Identity = {
  node: string
  cluster: string
  keyPem: string
  certificatePem: string
  caPem: string
  /** See publicKeyFingerprint. */
  caPin: string
  validFrom: Instant
  validUntil: Instant
}

/** The agent's private key, P-256, PEM; made at the first call. */
export async function ownKey(dataDir: string): Promise<string> {
  const { dir, keyPath } = paths(dataDir)
  const kept = await readPrivateFile(keyPath)
  if (kept !== null) return kept
  await makePrivateFolder(dir)
  const keyPem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  await writePrivateFile(keyPath, keyPem.toString())
  return keyPem.toString()
}

/** A certificate request for the key. @throws BerthError `failed` when the key cannot be read */
export function requestFor(keyPem: string, node: string): string {
  return certificateRequest(readKey(keyPem), node)
}

/** Null: this host has not joined yet. @throws BerthError `failed` when the files are damaged */
export async function loadIdentity(dataDir: string): Promise<Identity | null> {
  const { keyPath, identityPath } = paths(dataDir)
  const [keyPem, text] = await Promise.all([readPrivateFile(keyPath), readPrivateFile(identityPath)])
  if (keyPem === null || text === null) return null
  try {
    return identityOf(keyPem, JSON.parse(text))
  } catch (cause) {
    const message = `${identityPath} is damaged: remove it and join again with \`berth agent --join-file FILE\``
    throw new BerthError('failed', message, { cause })
  }
}

/**
 * Keeps what the coordinator answered; on disk when it resolves.
 * @throws BerthError `certificate-mismatch` when the certificate is for another key or not from this CA
 */
export async function saveIdentity(dataDir: string, keyPem: string, answer: JoinAnswer): Promise<Identity> {
  const { dir, identityPath } = paths(dataDir)
  const identity = identityOf(keyPem, answer)
  await makePrivateFolder(dir)
  await writePrivateFile(identityPath, `${JSON.stringify(answer, null, 2)}\n`)
  return identity
}

/** The same host with a newer certificate. @throws BerthError `certificate-mismatch` */
export function renewIdentity(dataDir: string, { keyPem, caPem, cluster, node }: Identity, certificate: string) {
  return saveIdentity(dataDir, keyPem, { certificate, ca: caPem, cluster, node })
}

function identityOf(keyPem: string, { certificate, ca, cluster, node }: JoinAnswer): Identity {
  const own = new X509Certificate(certificate)
  const caCertificate = new X509Certificate(ca)
  if (!own.checkPrivateKey(readKey(keyPem)) || !own.verify(caCertificate.publicKey)) {
    throw new BerthError(
      'certificate-mismatch',
      "the certificate is for another key than this host's, or from another CA",
    )
  }
  return {
    node,
    cluster,
    keyPem,
    certificatePem: certificate,
    caPem: ca,
    caPin: publicKeyFingerprint(caCertificate),
    validFrom: own.validFromDate.getTime(),
    validUntil: own.validToDate.getTime(),
  }
}

function readKey(keyPem: string): KeyObject {
  try {
    return createPrivateKey(keyPem)
  } catch (cause) {
    throw new BerthError('failed', "this host's key is damaged: remove the agent's identity folder and join again", {
      cause,
    })
  }
}

function paths(dataDir: string) {
  const dir = join(dataDir, 'identity')
  return { dir, keyPath: join(dir, 'key.pem'), identityPath: join(dir, 'identity.json') }
}
