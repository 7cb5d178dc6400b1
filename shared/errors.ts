/**
 * The one error type for what goes wrong outside and must be told to an operator: a stable code for programs, a sentence
 * for people that names what, where and how to mend it, and the cause for the log.
 */
export class BerthError extends Error {
  /** Kebab-case and stable, e.g. `stack-not-found`. docs/errors.md lists them all; a test holds it to that. */
  readonly code: ErrorCode
  /** Figures and names as data, for `--json` and problem documents. */
  readonly details: Record<string, unknown>

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'BerthError'
    this.code = code
    this.details = options.details ?? {}
  }
}

/** Every code, with the HTTP status that the API answers with and the exit code of the command line. */
export const ERROR_CODES = {
  'invalid-request': { status: 400, exit: 2 },
  'invalid-file': { status: 422, exit: 2 },
  unauthorized: { status: 401, exit: 3 },
  forbidden: { status: 403, exit: 3 },
  'not-found': { status: 404, exit: 2 },
  'stack-not-found': { status: 404, exit: 2 },
  'service-not-found': { status: 404, exit: 2 },
  'task-not-found': { status: 404, exit: 2 },
  'node-not-found': { status: 404, exit: 2 },
  'incident-not-found': { status: 404, exit: 2 },
  'name-taken': { status: 409, exit: 2 },
  conflict: { status: 409, exit: 1 },
  'too-large': { status: 413, exit: 2 },
  'too-many-requests': { status: 429, exit: 1 },
  'token-invalid': { status: 401, exit: 3 },
  'token-expired': { status: 401, exit: 3 },
  'wrong-cluster': { status: 409, exit: 3 },
  'certificate-mismatch': { status: 403, exit: 3 },
  'clock-skew': { status: 400, exit: 3 },
  'version-mismatch': { status: 426, exit: 3 },
  unreachable: { status: 503, exit: 3 },
  'timed-out': { status: 504, exit: 4 },
  'disk-full': { status: 507, exit: 1 },
  'engine-unavailable': { status: 503, exit: 1 },
  'engine-stopped': { status: 503, exit: 1 },
  'engine-too-old': { status: 503, exit: 1 },
  'engine-forbidden': { status: 503, exit: 3 },
  'image-not-found': { status: 502, exit: 1 },
  'image-unavailable': { status: 502, exit: 1 },
  'wrong-platform': { status: 502, exit: 1 },
  'port-taken': { status: 409, exit: 1 },
  'container-refused': { status: 502, exit: 1 },
  failed: { status: 500, exit: 1 },
  internal: { status: 500, exit: 1 },
} as const
export type ErrorCode = keyof typeof ERROR_CODES
