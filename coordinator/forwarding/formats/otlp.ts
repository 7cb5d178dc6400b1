/** What OTLP's JSON has in common for logs and metrics: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
import type { Origin } from '../line.ts'

export type Attribute = { key: string; value: { stringValue: string } }

export const SCOPE = { name: 'berth' }

/** Those with a value, by the names of the semantic conventions. */
export function attributes(values: Record<string, string | null | undefined>): Attribute[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value ? [{ key, value: { stringValue: value.toWellFormed() } }] : [],
  )
}

/** The service without its stack, which is the namespace. */
export function containerResource({ service, stack, node, task, container }: Origin): { attributes: Attribute[] } {
  return {
    attributes: attributes({
      'service.name': stack === '' ? service : service.slice(stack.length + 1),
      'service.namespace': stack,
      'service.instance.id': task,
      'host.name': node,
      'container.id': container,
    }),
  }
}

/** What `partialSuccess` says was not taken of a request that was: how many, and why. Null: all of it was. */
export function partialSuccess(text: string): { rejected: number; why: string } | null {
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch {
    return null
  }
  const partial = (answer as { partialSuccess?: Record<string, unknown> } | null)?.partialSuccess
  // 64-bit integers are digits in a string; not everybody keeps to that.
  const rejected = Number(partial?.rejectedLogRecords ?? partial?.rejectedDataPoints ?? 0)
  if (!Number.isFinite(rejected) || rejected <= 0) return null
  return { rejected, why: typeof partial?.errorMessage === 'string' ? partial.errorMessage : '' }
}
