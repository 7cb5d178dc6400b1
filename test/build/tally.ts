/** A world's tally against a walk over all of its tasks. */
import { type Tally, tallyOf } from '../../coordinator/store/tally.ts'
import type { World } from '../../coordinator/world.ts'
import { canonicalJson } from '../../shared/spec.ts'

/** Null while they come to the same, and for a world without one. */
export function untrueTally(world: World): string | null {
  if (!world.tally) return null
  const [kept, walked] = [textOf(world.tally), textOf(tallyOf(world))]
  return kept === walked ? null : `the tally says ${kept}, a walk says ${walked}`
}

function textOf({ services, nodes, wrong }: Tally): string {
  const kinds = [...services].map(([service, counts]) => [
    service,
    Object.fromEntries([...counts].map(([kind, { count }]) => [kind, count])),
  ])
  return canonicalJson({
    services: Object.fromEntries(kinds),
    nodes: Object.fromEntries(nodes),
    wrong: [...wrong].sort(),
  })
}
