/** Fetches the coordinator's CA when only its fingerprint is known. */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { BerthError } from '../shared/errors.ts'
import { publicKeyFingerprint } from '../shared/join-token.ts'
import { connectionError } from './connection-error.ts'

const timeoutMs = 10_000
const chainMax = 8

/**
 * The PEM of the one certificate in the server's chain whose public key has the fingerprint (64 hex digits, as in the join
 * token, which may be given whole). Nothing is sent over this connection and nothing but that certificate is taken from it,
 * so it needs no trust; every request afterwards is checked against that CA.
 * @throws BerthError `certificate-mismatch`
 */
export async function fetchPinnedCa(url: string, fingerprint: string): Promise<string> {
  const pin = /([0-9a-f]{64})/.exec(fingerprint.replaceAll(':', '').toLowerCase())?.[1]
  if (pin === undefined)
    throw new BerthError('invalid-request', 'the fingerprint must be 64 hex digits (or the join token)')
  const { hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  for (const certificate of await chainOf(host, Number(port || 443), url)) {
    if (certificate.ca && publicKeyFingerprint(certificate) === pin) return certificate.toString()
  }
  throw new BerthError('certificate-mismatch', `the server at ${url} does not have the CA with fingerprint ${pin}`)
}

function chainOf(host: string, port: number, url: string): Promise<X509Certificate[]> {
  return new Promise((resolve, reject) => {
    const name = isIP(host) ? {} : { servername: host }
    const socket = connect({ host, port, ...name, minVersion: 'TLSv1.3', rejectUnauthorized: false })
    socket.setTimeout(timeoutMs, () => socket.destroy(new BerthError('timed-out', `${url} does not answer`)))
    socket.once('error', (error) => reject(connectionError(error, url)))
    socket.once('secureConnect', () => {
      const chain: X509Certificate[] = []
      let next = socket.getPeerX509Certificate()
      while (next && chain.length < chainMax) {
        chain.push(next)
        next = next.issuerCertificate
      }
      socket.destroy()
      resolve(chain)
    })
  })
}
