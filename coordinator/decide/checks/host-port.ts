import type { Port } from '../../../shared/spec.ts'
import type { Check } from './check.ts'

/** A host port belongs to one task until its container is gone. Ports that the Engine picks never clash. */
export const hostPort: Check = ({ version }, { node, portsHeld }) => {
  if (portsHeld.length === 0) return null
  for (const port of version.spec.task.container.ports) {
    if (!isBoundTo(port)) continue
    const holder = portsHeld.find((held) => clash(held.port, port))
    if (!holder) continue
    const figures = { port: port.hostPort ?? null, protocol: port.protocol, heldBy: holder.task }
    return { node: node.name, check: 'host-port', figures }
  }
  return null
}

export function isBoundTo(port: Port): boolean {
  return port.hostPort !== undefined
}

/** Two bindings clash on one port and protocol unless they name two different addresses. */
export function clash(a: Port, b: Port): boolean {
  if (a.hostPort !== b.hostPort || a.protocol !== b.protocol) return false
  return isAnyAddress(a.hostIp) || isAnyAddress(b.hostIp) || a.hostIp === b.hostIp
}

function isAnyAddress(address: string | undefined): boolean {
  return address === undefined || address === '' || address === '0.0.0.0' || address === '::'
}
