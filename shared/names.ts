/** Names of stacks, services and nodes: they become parts of container names and DNS labels. */
export const NAME_PATTERN = '^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$'
/** A stack's name holds no underscore, so that `STACK_SERVICE` splits one way only. */
export const STACK_NAME_PATTERN = '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'

/** Names of countable things that nodes have, as `gpu`. */
export const RESOURCE_PATTERN = '^[A-Za-z0-9]([A-Za-z0-9_./-]{0,126}[A-Za-z0-9])?$'
export const RESOURCE_COUNT_MAX = 1_000_000

/** `shop`, `api` → `shop_api`. */
export function fullServiceName(stack: string, service: string): string {
  return `${stack}_${service}`
}

/**
 * No environment variable, label or other name in a mapping may be this one: objects of JavaScript treat it otherwise than any
 * other key, so the wire refuses frames that hold it, and an assignment with it could not be read.
 */
export const FORBIDDEN_KEY = '__proto__'
