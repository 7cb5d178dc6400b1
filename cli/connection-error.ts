/** What went wrong on the way to the coordinator, in one sentence with the way out. */
import { BerthError } from '../shared/errors.ts'

/** BerthErrors pass as they are. */
export function connectionError(error: unknown, url: string): BerthError {
  if (error instanceof BerthError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const message = error instanceof Error ? error.message : String(error)
  const details = { url, cause: code || message }
  if (isAboutCertificate(code, message)) {
    return new BerthError('certificate-mismatch', certificateWords(code, url), { cause: error, details })
  }
  const why = REASONS[code] ?? (code || message)
  return new BerthError(
    'unreachable',
    `cannot reach the coordinator at ${url} (${why}). Is berth-coordinator running there? journalctl -u berth-coordinator`,
    { cause: error, details },
  )
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection broke off',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'no such host name',
  EAI_AGAIN: 'the name cannot be looked up now',
  EPROTO: 'it does not speak TLS 1.3',
}

function isAboutCertificate(code: string, message: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME|ISSUER/.test(code) || /certificate/.test(message)
}

function certificateWords(code: string, url: string): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `the coordinator's certificate is not for the name in ${url}; use a name that it was started with (--name-in-certificate), or add this one there`
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return `the certificate of ${url} is out of date by the clock of this machine; look at both clocks`
  }
  return `the certificate of ${url} does not come from the CA that is known here: another cluster answers there, or somebody between. \`berth login\` again if it was set up anew`
}
