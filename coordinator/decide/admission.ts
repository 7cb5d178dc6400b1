/** The answer of admission, and its two short forms. */
import type { ErrorCode } from '../../shared/errors.ts'

export type Admission =
  /** Warnings are sentences for the operator. */
  { ok: true; warnings: string[] } | { ok: false; code: ErrorCode; message: string; details: Record<string, unknown> }

export function admitted(warnings: string[] = []): Admission {
  return { ok: true, warnings }
}

export function refused(code: ErrorCode, message: string, details: Record<string, unknown> = {}): Admission {
  return { ok: false, code, message, details }
}

export const REPLICAS_MAX = 1_000_000
