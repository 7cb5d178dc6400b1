import type { Instant } from '../../shared/clock.ts'

/** Who may talk to the coordinator: the cluster's CA, the certificates it signs, and the tokens. */
export interface Security {
  readonly cluster: string
  readonly caCertificatePem: string
  /** What the HTTPS server is made with. Renewed certificates are told to `onServerCertificate`. */
  serverTls(): {
    key: string
    cert: string
    ca: string
    /** What tickets are sealed with; survives a restart, so that agents come back without a whole handshake. */
    ticketKeys: Buffer
  }
  onServerCertificate(listener: () => void): () => void
  /** `sha256//BASE64` of the server's public key, as curl's --pinnedpubkey takes it; stays the same across renewals. */
  readonly serverKeyPin: string
  /** Constant time. False for anything that is not an operator's token. */
  isOperator(token: string): boolean
  /** The current join token, `BRTH-1-<CA fingerprint>-<secret>`. */
  joinToken(): string
  /** Null: it counts until it is rotated. */
  joinTokenExpiresAt(): Instant | null
  /** Makes a new join token; the one before is refused from now on. Durable when it resolves. */
  rotateJoinToken(options?: { expiresAt?: Instant }): Promise<string>
  rotateOperatorToken(): Promise<string>
  /** Tokens that may read and change nothing (api/auth.ts says what), in the order of their making. */
  readers(): Reader[]
  /** The name of the read-only token; null: it is none. As constant in time as there are tokens. */
  readerOf(token: string): string | null
  /** The token itself is told this once and never again. @throws BerthError `name-taken` or `conflict` (there are too many) */
  createReader(name: string): Promise<string>
  /** It is refused from now on. @throws BerthError `not-found` */
  removeReader(name: string): Promise<void>
  /** @throws BerthError `token-invalid`, `token-expired` or `wrong-cluster` */
  checkJoinToken(token: string): void
  /** Signs a request for the node: 24 h, client authentication, CN = node. @throws BerthError `invalid-request` */
  sign(requestPem: string, node: string): Promise<{ certificatePem: string; keyFingerprint: string }>
}

export type Reader = { name: string; createdAt: Instant }
