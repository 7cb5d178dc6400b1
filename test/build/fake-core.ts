/** A Core without a loop: remembers what it is told, and changes its world only for nodes that join or go. */
import type { Core } from '../../coordinator/core.ts'
import type { Change, Node, Observation } from '../../coordinator/world.ts'
import { aNode, aWorld } from './world.ts'

export type FakeCore = Core & {
  changes: Change[]
  observations: Observation[]
  /** Observations of one kind, in their order. */
  seen<Kind extends Observation['kind']>(kind: Kind): Extract<Observation, { kind: Kind }>[]
  addNode(given: Partial<Node>): Node
  /** Tells the listeners that a beat has changed something. */
  beat(): void
}

export function aFakeCore(): FakeCore {
  const listeners = new Set<() => void>()
  const world = aWorld()
  const core: FakeCore = {
    world,
    changes: [],
    observations: [],
    async submit(change) {
      core.changes.push(change)
      if (change.kind === 'join-node') core.addNode({ name: change.node, keyFingerprint: change.keyFingerprint })
      if (change.kind === 'remove-node') world.nodes.delete(change.node)
      return ++world.revision
    },
    observe(observation) {
      core.observations.push(observation)
      const node = world.nodes.get(observation.node)
      if (!node) return
      if (observation.kind === 'connected') node.connection = observation.connection
      if (observation.kind === 'disconnected') node.connection = null
    },
    whenDurable: (callback) => callback(),
    onBeat(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    events: { list: () => [], oldest: () => null, onEvent: () => () => undefined },
    seen: <Kind extends Observation['kind']>(kind: Kind) =>
      core.observations.filter((each): each is Extract<Observation, { kind: Kind }> => each.kind === kind),
    addNode(given) {
      const node = aNode({ connection: null, ...given })
      world.nodes.set(node.name, node)
      return node
    },
    beat() {
      for (const listener of listeners) listener()
    },
  }
  return core
}

/** A log that keeps its sentences. */
export function aFakeLog() {
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = []
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, message, fields })
  }
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
