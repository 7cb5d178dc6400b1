/** What the reconciler asks the scheduler: a place for this task. */
import type { NodeName, Refusal, Service, ServiceVersion, TaskId } from '../world.ts'

export type PlaceRequest = {
  task: TaskId
  service: Service
  version: ServiceVersion
  slot: number
  /** See `Task`. */
  onlyNode: NodeName | null
  /** What the task is known to wait for already; an unchanged answer is not said again. */
  waitsFor: readonly Refusal[]
}
