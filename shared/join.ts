/** `POST /v1/join`: how a host becomes a node. Both sides read these. */

import { NAME_PATTERN } from './names.ts'
import Type, { type Static } from './schema.ts'

export const JoinRequest = Type.Object(
  {
    token: Type.String({ maxLength: 256 }),
    node: Type.String({ pattern: NAME_PATTERN }),
    /** Certificate signing request, PEM. */
    request: Type.String({ maxLength: 16_384 }),
    /** The host's clock, epoch milliseconds. */
    at: Type.Number({ minimum: 0 }),
  },
  { additionalProperties: false },
)
export type JoinRequest = Static<typeof JoinRequest>

export const JoinAnswer = Type.Object({
  /** PEM, as is `ca`. */
  certificate: Type.String(),
  ca: Type.String(),
  cluster: Type.String(),
  node: Type.String(),
})
export type JoinAnswer = Static<typeof JoinAnswer>
