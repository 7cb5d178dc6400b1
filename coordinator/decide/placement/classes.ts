/**
 * The nodes that the fixed checks let through, looked up once for all versions that these checks cannot tell apart, and for
 * each policy that was asked for among them their blocks.
 */
import { fixedRefusalOf } from '../checks/all.ts'
import { FixedKeys } from '../checks/fixed-keys.ts'
import type { Policy } from '../policies/policy.ts'
import type { PlaceRequest } from '../requests.ts'
import { Blocks } from './blocks.ts'
import type { Nodes } from './nodes.ts'

export type NodeClass = {
  eligible: Int32Array
  /** The same as the one tier that there mostly is: see `engine.ts`. */
  tiers: readonly Int32Array[]
  blocks: Map<Policy, Blocks>
}

export class NodeClasses {
  readonly #nodes: Nodes
  readonly #keys = new FixedKeys()
  readonly #classes = new Map<number, NodeClass>()
  readonly #cost: { checks: number }

  constructor(nodes: Nodes, cost: { checks: number }) {
    this.#nodes = nodes
    this.#cost = cost
  }

  of(request: PlaceRequest): NodeClass {
    const key = this.#keys.of(request.version)
    const known = this.#classes.get(key)
    if (known) return known
    // The one that was made first gives way.
    if (this.#classes.size >= CLASSES_MAX) this.#classes.delete(this.#classes.keys().next().value!)
    const eligible = this.#eligibleFor(request)
    const made: NodeClass = { eligible, tiers: [eligible], blocks: new Map() }
    this.#classes.set(key, made)
    return made
  }

  blocksOf({ eligible, blocks }: NodeClass, policy: Policy): Blocks {
    const known = blocks.get(policy)
    if (known) return known
    const made = new Blocks(this.#nodes, policy, eligible)
    blocks.set(policy, made)
    return made
  }

  #eligibleFor(request: PlaceRequest): Int32Array {
    const { seen } = this.#nodes
    const eligible: number[] = []
    for (let index = 0; index < seen.length; index++) {
      if (fixedRefusalOf(request, seen[index]!) === null) eligible.push(index)
    }
    this.#cost.checks += seen.length
    return Int32Array.from(eligible)
  }
}

/** Each costs some tens of bytes a node. */
const CLASSES_MAX = 256
