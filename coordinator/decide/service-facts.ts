/** What follows from a service's record: its wanted spec, where it could go back to, whether its data binds it to nodes. */
import { BerthError } from '../../shared/errors.ts'
import type { Mount, ServiceSpec } from '../../shared/spec.ts'
import type { Service, ServiceVersion, Task } from '../world.ts'

export function wantedVersionOf(service: Service): ServiceVersion {
  const wanted = service.versions.get(service.version)
  // Broken assumption: apply never takes away the wanted version.
  if (!wanted) throw new BerthError('internal', `${service.name} has no version ${service.version}`)
  return wanted
}

/**
 * The version that its tasks should have now: the wanted one once released; while it is held, the one before (null: the
 * service has none yet and gets no tasks).
 */
export function targetVersionOf(service: Service): ServiceVersion | null {
  if (service.release.state === 'released') return wantedVersionOf(service)
  const { rollout } = service
  const from = rollout.state === 'rolling' || rollout.state === 'paused' ? rollout.from : null
  return from === null ? null : (service.versions.get(from) ?? null)
}

/** By which version a task that waits is placed: where only the rules of its service have changed since, by the new ones. */
export function placedByVersionOf(service: Service, task: Task): ServiceVersion | null {
  const own = service.versions.get(task.version) ?? null
  const target = targetVersionOf(service)
  return target && target.taskHash === own?.taskHash ? target : own
}

/** Where `berth rollback` goes: the newest earlier version with another task, else (only counts differed) the one before. */
export function rollbackVersionOf(service: Service): ServiceVersion | null {
  const wanted = wantedVersionOf(service)
  const earlier = [...service.versions.values()]
    .filter(({ version }) => version < wanted.version)
    .sort((a, b) => b.version - a.version)
  // What was only restarted with another service is nothing that one could want back.
  const hash = ({ taskHash, ownHash }: ServiceVersion) => ownHash ?? taskHash
  return earlier.find((version) => hash(version) !== hash(wanted)) ?? earlier[0] ?? null
}

export function hashOf(service: Service, task: Task): string | null {
  return service.versions.get(task.version)?.taskHash ?? null
}

/** Whether its data lives in a volume of the node it runs on, so that its slots have homes. */
export function hasNamedVolume(spec: ServiceSpec): boolean {
  return homeVolumeOf(spec) !== null
}

/** The Engine's name of the volume that binds its tasks to the nodes where they first ran. */
export function homeVolumeOf(spec: ServiceSpec): string | null {
  const volume = spec.task.container.mounts.find(isLocalVolume)
  return volume?.type === 'volume' ? (volume.source ?? null) : null
}

/** A named volume of a network driver (or NFS through the local one) can be had anywhere and binds to no node. */
function isLocalVolume(mount: Mount): boolean {
  if (mount.type !== 'volume' || mount.source === undefined) return false
  if (mount.driver !== undefined && mount.driver !== 'local') return false
  const kind = mount.driverOptions?.type
  return kind === undefined || !NETWORK_FILE_SYSTEMS.includes(kind)
}

const NETWORK_FILE_SYSTEMS = ['nfs', 'nfs4', 'cifs', 'smb3', 'ceph', 'glusterfs']
