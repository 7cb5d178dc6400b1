/**
 * The shape of a check: may this task go to this node? Null for yes, else a refusal with its figures. A check that
 * depends on the node and the version alone is `fixed`: its answer holds for a whole batch of tasks of one version; the
 * others are asked again after each placement.
 */
import type { Refusal } from '../../world.ts'
import type { NodePicture } from '../picture.ts'
import type { PlaceRequest } from '../requests.ts'

export type Check = (request: PlaceRequest, seen: NodePicture) => Refusal | null
