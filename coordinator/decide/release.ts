/** Whether a service's dependencies (within its stack) are met, so that tasks of its wanted version may be made. */
import { fullServiceName } from '../../shared/names.ts'
import { canonicalJson, type Dependency } from '../../shared/spec.ts'
import type { DependencyWait, Service, Task } from '../world.ts'
import { type Beat, serviceOf } from './beat.ts'
import { hashOf, wantedVersionOf } from './service-facts.ts'
import { hasCompleted, hasFailed, isUp } from './task-facts.ts'

/** The service with its release as it should be now; a decision says so when that is news. Once released stays released. */
export function judgeRelease(beat: Beat, service: Service): Service {
  if (service.release.state === 'released') return service
  const waitsFor = waitsOf(beat, service)
  const version = service.version
  const release: Service['release'] =
    waitsFor.length === 0 ? { version, state: 'released' } : { version, state: 'held', waitsFor }
  if (canonicalJson(release) === canonicalJson(service.release)) return service
  beat.decisions.push({ kind: 'set-release', service: service.name, release })
  return { ...service, release }
}

function waitsOf(beat: Beat, service: Service): DependencyWait[] {
  const waits: DependencyWait[] = []
  for (const [shortName, dependency] of Object.entries(wantedVersionOf(service).spec.dependsOn)) {
    const name = fullServiceName(service.stack, shortName)
    const now = whatIsMissing(beat, name, dependency)
    if (now !== null) waits.push({ service: name, condition: dependency.condition, now })
  }
  return waits
}

/** Null: the condition is met. */
function whatIsMissing(beat: Beat, name: string, { condition, required }: Dependency): string | null {
  const service = serviceOf(beat, name)
  if (!service || service.removing) return required ? 'not there' : null
  const { taskHash, spec } = wantedVersionOf(service)
  const tasks = [...(beat.world.tasksByService.get(name) ?? [])].filter(
    (task) => task.desired === 'running' && hashOf(service, task) === taskHash && !beat.ended.has(task.id),
  )
  const { meets, word } = CONDITIONS[condition]
  const done = tasks.filter(meets).length
  const wanted =
    spec.mode.kind === 'replicated'
      ? spec.mode.replicas
      : Math.max(1, tasks.length + (beat.created.get(name)?.length ?? 0))
  if (done >= wanted) return null
  const failed = tasks.filter(hasFailed).length
  // An optional dependency that has failed for good will not come any more.
  if (failed > 0 && !required) return null
  return `${done} of ${wanted} ${word}${failed > 0 ? `, ${failed} failed` : ''}`
}

const CONDITIONS: Record<Dependency['condition'], { meets: (task: Task) => boolean; word: string }> = {
  service_started: { meets: hasStarted, word: 'started' },
  service_healthy: { meets: isUp, word: 'healthy' },
  service_completed_successfully: { meets: hasCompleted, word: 'completed' },
}

/** Ran at least once; whether it runs now is not asked. */
function hasStarted(task: Task): boolean {
  const { state, attempt } = task.observed
  return task.firstUpAt !== null || attempt > 1 || state === 'running' || state === 'completed'
}
