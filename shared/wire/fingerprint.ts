import { createHash } from 'node:crypto'
import { canonicalJson } from '../spec.ts'
import { DownMessage } from './down.ts'
import { UpMessage } from './up.ts'

/** 32 hex digits that change whenever the shape of any message does; the order of keys does not matter. */
export function wireFingerprint(): string {
  return createHash('sha256')
    .update(canonicalJson({ up: UpMessage, down: DownMessage }))
    .digest('hex')
    .slice(0, 32)
}
