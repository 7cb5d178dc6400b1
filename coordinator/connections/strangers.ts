/**
 * The book of connections that have shown nothing yet: neither an agent's session nor the operator's token. They are bounded, in
 * all and by address, so that whoever merely reaches the port cannot keep agents and operators out. Who has authenticated is no
 * stranger any more and is not counted, so that any number of agents may live behind one address.
 *
 * When the room for strangers is taken, the address that holds most of it gives way. A single address that floods the port thus
 * closes its own connections only; a whole fleet behind one address that comes back at once may take all the room there is, and
 * the few that find none come again after their back-off.
 */
import { isIPv6 } from 'node:net'

export const STRANGER_LIMITS = {
  /** In all, handshakes under way included. */
  strangersMax: 5_000,
  /**
   * Of one address, those that have ended their handshake without a certificate of ours: browsers, hosts that join, curl. Agents
   * show theirs in the handshake and are not among them.
   */
  withoutCertificateOfAddressMax: 512,
}

export type StrangerLimits = typeof STRANGER_LIMITS

/** Why a connection is refused; also the label of its metric. */
export type StrangerRefusal = 'strangers' | 'strangers-of-address'

/** Anything that stands for one connection. */
type Connection = object

type Holder = { address: string; connections: Set<Connection>; withoutCertificate: Set<Connection> }

export class StrangerBook {
  readonly #limits: StrangerLimits
  readonly #holders = new Map<string, Holder>()
  readonly #holderOf = new Map<Connection, Holder>()
  /** Holders by how many connections they have, so that the largest is found without a search. */
  readonly #bySize: Set<Holder>[] = []

  constructor(limits: StrangerLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#holderOf.size
  }

  /** A connection was opened. Gives the one that must be closed for lack of room, which may be this very one; null: none. */
  opened(connection: Connection, from: string): Connection | null {
    const address = networkOf(from)
    const holder = this.#holders.get(address)
    if (this.size < this.#limits.strangersMax) {
      this.#put(connection, holder ?? newHolder(address))
      return null
    }
    const [largest] = this.#bySize.at(-1) ?? []
    if (!largest || (holder && holder.connections.size >= largest.connections.size)) return connection
    const [oldest] = largest.connections
    if (!oldest) return connection
    this.forget(oldest)
    this.#put(connection, this.#holders.get(address) ?? newHolder(address))
    return oldest
  }

  /** Its handshake is over, and it showed no certificate of ours. False: its address has too many of that kind. */
  cameWithoutCertificate(connection: Connection): boolean {
    const holder = this.#holderOf.get(connection)
    if (!holder) return true
    if (holder.withoutCertificate.size >= this.#limits.withoutCertificateOfAddressMax) return false
    holder.withoutCertificate.add(connection)
    return true
  }

  /** It has authenticated, or is closed. */
  forget(connection: Connection): void {
    const holder = this.#holderOf.get(connection)
    if (!holder) return
    this.#holderOf.delete(connection)
    this.#resize(holder, () => {
      holder.connections.delete(connection)
      holder.withoutCertificate.delete(connection)
    })
    if (holder.connections.size === 0) this.#holders.delete(holder.address)
  }

  #put(connection: Connection, holder: Holder): void {
    this.#holders.set(holder.address, holder)
    this.#holderOf.set(connection, holder)
    this.#resize(holder, () => holder.connections.add(connection))
  }

  #resize(holder: Holder, change: () => void): void {
    this.#bySize[holder.connections.size]?.delete(holder)
    change()
    const { size } = holder.connections
    while (this.#bySize.length <= size) this.#bySize.push(new Set())
    this.#bySize[size]?.add(holder)
    while (this.#bySize.at(-1)?.size === 0) this.#bySize.pop()
  }
}

function newHolder(address: string): Holder {
  return { address, connections: new Set(), withoutCertificate: new Set() }
}

/** Whoever has one address of IPv6 mostly has the 2^64 beside it. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail ? tail.split(':') : []
  const missing = tail === undefined ? 0 : 8 - groups.length - after.length
  const all = [...groups, ...Array<string>(missing).fill('0'), ...after]
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
