/** The shape of a placement policy: which of two fitting nodes is better for a task. One pure file each. */
import type { NodePicture } from '../picture.ts'
import type { PlaceRequest } from '../requests.ts'

export type Policy = {
  name: string
  /** Negative when `a` is better. Total: two different nodes are never equal, so the answer does not hang on their order. */
  compare(request: PlaceRequest, a: NodePicture, b: NodePicture): number
  /** The figures behind the choice, for `berth why`. */
  score(request: PlaceRequest, seen: NodePicture): Record<string, number>
}
