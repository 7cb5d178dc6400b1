/** Taints as people write them: `gpu=yes:no-schedule`, without a value `gpu:no-execute`. */
import { TAINT_EFFECTS, type Taint, type TaintEffect } from './spec.ts'

/** As label names are. */
export const TAINT_KEY_PATTERN = /^[A-Za-z0-9]([A-Za-z0-9_./-]{0,251}[A-Za-z0-9])?$/

/** Undefined for what is none; a key without an effect has `effect: null`. */
export function splitTaint(text: string): { key: string; value: string | null; effect: string | null } | undefined {
  const match = /^([^=:]+)(?:=([^:]*))?(?::(.*))?$/s.exec(text)
  return match ? { key: match[1]!, value: match[2] ?? null, effect: match[3] ?? null } : undefined
}

export function isTaintEffect(effect: string | null): effect is TaintEffect {
  return effect !== null && (TAINT_EFFECTS as readonly string[]).includes(effect)
}

export function taintText({ key, value, effect }: Taint): string {
  return `${key}${value === '' ? '' : `=${value}`}:${effect}`
}
