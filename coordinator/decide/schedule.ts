/**
 * Finds a node for each task that asks for one, by the policy of its service. How is the engine's affair (`placement/`);
 * here its choices become decisions that say why.
 */
import { CLUSTER_SETTINGS_DEFAULT } from '../../shared/cluster-settings.ts'
import { canonicalJson, type PolicyName } from '../../shared/spec.ts'
import type { Decision, NodeName, PlacementReason, Refusal } from '../world.ts'
import { refusalOf } from './checks/all.ts'
import type { Plan } from './packing/together.ts'
import { hold, type NodePicture, type Picture } from './picture.ts'
import { type Cost, Engine } from './placement/engine.ts'
import { reluctance } from './reluctance.ts'
import type { PlaceRequest } from './requests.ts'

export type Schedule = {
  placements: Extract<Decision, { kind: 'place-task' }>[]
  /** Those that no node can take now. */
  held: PlaceRequest[]
  cost: Cost
}

/**
 * Places what fits, in the order of the requests; `picture` takes note of each placement.
 * `policy`: for services that name none. `plan`: of tasks that were packed together.
 */
export function schedule(
  requests: readonly PlaceRequest[],
  picture: Picture,
  policy: PolicyName = CLUSTER_SETTINGS_DEFAULT.policy,
  plan: Plan | null = null,
): Schedule {
  const engine = new Engine(picture, policy)
  const placements: Schedule['placements'] = []
  const held: PlaceRequest[] = []
  // Naming others looks at every node once more, so only the first of many placements do.
  let toExplain = Math.floor(NODES_EXPLAINED_MAX / Math.max(1, picture.size))
  engine.place(
    requests,
    (request, index, counted) => {
      if (index === -1) {
        held.push(request)
        return
      }
      toExplain -= 1
      const seen = engine.nodes.seen[index]!
      const why = {
        policy: engine.policyOf(request).name,
        considered: picture.size,
        fitting: counted ?? engine.countFitting(request),
        score: { ...partsOf(engine, request, index), ...packedWith(plan, request, seen.node.name) },
        ...(toExplain >= 0 && othersOf(engine, request, index, picture)),
      }
      placements.push({ kind: 'place-task', task: request.task, node: seen.node.name, why })
      hold(seen, request.task, request.service.name, request.version)
    },
    plan?.nodes,
  )
  return { placements, held, cost: engine.cost }
}

/** What the task's own score does not show: it went there because of others that came with it. */
function packedWith(plan: Plan | null, { task }: PlaceRequest, node: NodeName): Record<string, number> {
  return plan?.nodes.get(task) === node ? { packedTogether: plan.nodes.size } : {}
}

/** Of all placements of one call together. */
const NODES_EXPLAINED_MAX = 20_000
const OTHERS_MAX = 3

/** The best other nodes, and why some could not take the task. */
function othersOf(
  engine: Engine,
  request: PlaceRequest,
  chosen: number,
  picture: Picture,
): Pick<PlacementReason, 'others' | 'refused'> {
  const others = engine.bestOf(request, OTHERS_MAX + 1).filter(({ index }) => index !== chosen)
  const refused: Refusal[] = []
  for (const seen of picture.values()) {
    const refusal = refused.length < OTHERS_MAX ? refusalOf(request, seen) : null
    if (refusal) refused.push(refusal)
  }
  return {
    others: others.slice(0, OTHERS_MAX).map(({ index }) => ({
      node: engine.nodes.seen[index]!.node.name,
      score: partsOf(engine, request, index),
    })),
    refused,
  }
}

/** What placing the task on `node` would be told as, with the figures of the picture; null: there is no such node. */
export function placementAsNow(
  request: PlaceRequest,
  picture: Picture,
  node: NodeName,
  policy: PolicyName,
): PlacementReason | null {
  const engine = new Engine(picture, policy)
  const index = engine.nodes.indexOf(node)
  if (index === -1) return null
  return {
    policy: engine.policyOf(request).name,
    considered: picture.size,
    fitting: engine.countFitting(request),
    score: partsOf(engine, request, index),
    ...othersOf(engine, request, index, picture),
  }
}

/** The parts of the policy's score, and before them what counts before any policy: else the worse of two scores seems to be chosen. */
function partsOf(engine: Engine, request: PlaceRequest, index: number): Record<string, number> {
  const before = beforeAnyPolicy(request, engine.nodes.seen[index]!)
  const parts = rounded(engine.partsOf(request, index))
  return before === null ? parts : { ...before, ...parts }
}

/** Null, as mostly: nothing does. */
function beforeAnyPolicy(request: PlaceRequest, seen: NodePicture): Record<string, number> | null {
  const { spreadOver } = request.version.spec.placement
  const speaksAgainst = reluctance(request, seen)
  if (speaksAgainst === 0 && spreadOver.length === 0) return null
  const parts: Record<string, number> = speaksAgainst === 0 ? {} : { speaksAgainst }
  for (const attribute of spreadOver) {
    const near = seen.cluster.neighbours.near(request.service.name, attribute, seen.node)
    if (near) parts[`${TASKS_IN}${attribute}`] = near.held
  }
  return parts
}

/** Tasks of the service on all nodes with the same value of an attribute of `placement.preferences`. */
const TASKS_IN = 'tasksIn '

/** For people: no more digits than matter. */
function rounded(parts: Record<string, number>): Record<string, number> {
  for (const name in parts) parts[name] = Math.round(parts[name]! * 1000) / 1000
  return parts
}

/** Why no node can take the task, node by node; at most REFUSALS_MAX, with a count of those left out. */
export function refusalsOf(request: PlaceRequest, picture: Picture): Refusal[] {
  if (picture.size === 0) return [{ node: null, check: 'no-nodes', figures: { nodes: 0 } }]
  const asked = request.onlyNode === null ? picture.values() : [picture.get(request.onlyNode)]
  const refusals: Refusal[] = []
  let left = 0
  for (const seen of asked) {
    const refusal = seen && refusalOf(request, seen)
    if (!refusal) continue
    if (refusals.length < REFUSALS_MAX) refusals.push(refusal)
    else left += 1
  }
  const last = refusals.at(-1)
  if (left > 0 && last) refusals.push({ node: null, check: last.check, figures: { moreNodes: left } })
  return refusals
}

/** They are stored with each waiting task. */
const REFUSALS_MAX = 100

export function sameRefusals(a: readonly Refusal[], b: readonly Refusal[]): boolean {
  return a.length === b.length && canonicalJson(a) === canonicalJson(b)
}
