/**
 * Placement as one would write it without a thought for speed: for every task all nodes are looked at, with the checks and
 * the policy as plain functions, on columns made anew each time. What the engine is held to.
 */
import { fixedRefusalOf, refusalOf } from '../../../../coordinator/decide/checks/all.ts'
import { attributeOf } from '../../../../coordinator/decide/checks/constraint.ts'
import { hold, type Picture } from '../../../../coordinator/decide/picture.ts'
import { boundTo } from '../../../../coordinator/decide/placement/engine.ts'
import { Nodes } from '../../../../coordinator/decide/placement/nodes.ts'
import { POLICIES } from '../../../../coordinator/decide/policies/all.ts'
import { reluctance } from '../../../../coordinator/decide/reluctance.ts'
import type { PlaceRequest } from '../../../../coordinator/decide/requests.ts'
import type { PolicyName } from '../../../../shared/spec.ts'

export type Place = { task: string; node: string | null; fitting: number }

export function placeByReference(requests: readonly PlaceRequest[], picture: Picture, policy: PolicyName): Place[] {
  return requests.map((request) => {
    const { node, fitting } = bestOf(request, picture, policy)
    if (node !== null) hold(picture.get(node)!, request.task, request.service.name, request.version)
    return { task: request.task, node, fitting }
  })
}

function bestOf(request: PlaceRequest, picture: Picture, policy: PolicyName) {
  const bound = boundTo(request)
  const candidates = [...picture.values()]
    .filter(({ node }) => bound === null || node.name === bound)
    .filter((seen) => refusalOf(request, seen) === null)
  const ranks = candidates.map((seen) => rankOf(request, seen.node.name, picture, policy))
  ranks.sort(compareRanks)
  return { node: (ranks[0]?.at(-1) as string | undefined) ?? null, fitting: candidates.length }
}

/** What nodes are compared by, most important first: what speaks against them, tasks in the node's groups, the policy's score, the name. */
function rankOf(request: PlaceRequest, name: string, picture: Picture, policy: PolicyName): (number | string)[] {
  const { placement } = request.version.spec
  const nodes = new Nodes(picture)
  nodes.askFor(request.service.name)
  const score = new Float64Array(1)
  const index = nodes.indexOf(name)
  const chosen = POLICIES[placement.policy ?? policy]
  const need = nodes.seen[index]!.cluster.needOf(request.service.name, request.version)
  chosen.scores(nodes.figures, Int32Array.of(index), 0, 1, need, score)
  const groups = placement.spreadOver.map((_, level) => tasksInGroup(request, name, picture, level))
  return [reluctance(request, picture.get(name)!), ...groups, score[0]!, name]
}

/** Tasks of the service on eligible nodes that have the same values as the node down to this level. */
function tasksInGroup(request: PlaceRequest, name: string, picture: Picture, level: number): number {
  const levels = request.version.spec.placement.spreadOver.slice(0, level + 1)
  const valuesOf = (node: string) => levels.map((each) => attributeOf(picture.get(node)!.node, each) ?? '').join('\n')
  const wanted = valuesOf(name)
  let tasks = 0
  for (const seen of picture.values()) {
    if (fixedRefusalOf(request, seen) !== null || valuesOf(seen.node.name) !== wanted) continue
    tasks += seen.tasksByService.get(request.service.name) ?? 0
  }
  return tasks
}

function compareRanks(a: (number | string)[], b: (number | string)[]): number {
  for (let at = 0; at < a.length; at++) {
    if (a[at]! < b[at]!) return -1
    if (a[at]! > b[at]!) return 1
  }
  return 0
}
