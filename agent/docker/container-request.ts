/** A task and its spec → what the Engine is asked to create. A plain value: tests read it whole. */
import { LABEL } from '../../shared/labels.ts'
import type { ContainerSpec, DeviceRequest, Healthcheck, Mount, TaskSpec } from '../../shared/spec.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import type { Owner } from '../decide/container.ts'

export type ContainerRequest = { name: string; platform?: string; body: Record<string, unknown> }

export const LOG_DEFAULT = { driver: 'json-file', options: { 'max-size': '16m', 'max-file': '4' } }
/** The Engine refuses memory reservations smaller than this. */
const MEMORY_RESERVATION_BYTES_MIN = 6 * 1024 * 1024
const NANOSECONDS_PER_MS = 1_000_000

/** Members that the spec leaves out are left out of the request, so that the Engine's and the image's defaults hold. */
export function containerRequest(task: AssignedTask, spec: TaskSpec, owner: Owner, attempt: number): ContainerRequest {
  const container = spec.container
  return {
    name: containerName(task.id),
    platform: container.platform,
    body: compact({
      Image: container.image,
      Cmd: container.command,
      Entrypoint: container.entrypoint,
      Env: Object.entries(container.environment).map(([name, value]) => `${name}=${value}`),
      Labels: { ...container.labels, ...berthLabels(task, owner, attempt) },
      User: container.user,
      WorkingDir: container.workingDir,
      Hostname: container.hostname,
      Domainname: container.domainname,
      Tty: container.tty,
      OpenStdin: container.stdinOpen,
      StopSignal: container.stopSignal,
      StopTimeout: Math.ceil(container.stopGraceMs / 1000),
      // One health only: where the agent probes, the image's own test is left out.
      Healthcheck: container.probe ? { Test: ['NONE'] } : healthcheck(container.healthcheck),
      ExposedPorts: exposedPorts(container),
      HostConfig: hostConfig(container),
    }),
  }
}

/** Task ids are unique within a cluster and already readable: STACK_SERVICE.SLOT.SUFFIX. */
export function containerName(task: string): string {
  return task.replace(/[^a-zA-Z0-9_.-]/g, '-')
}

/** When a container that is not ours (left by another cluster, say) holds the name. */
export function otherContainerName(task: string, owner: Owner): string {
  return `${containerName(task)}-${owner.cluster.replace(/[^a-zA-Z0-9_.-]/g, '').slice(0, 12)}`
}

function berthLabels(task: AssignedTask, owner: Owner, attempt: number): Record<string, string> {
  return {
    [LABEL.cluster]: owner.cluster,
    [LABEL.node]: owner.node,
    [LABEL.stack]: task.stack,
    [LABEL.service]: task.service,
    [LABEL.task]: task.id,
    [LABEL.spec]: task.spec,
    [LABEL.attempt]: String(attempt),
  }
}

function hostConfig(container: ContainerSpec): Record<string, unknown> {
  const { limit } = container.resources
  return compact({
    RestartPolicy: { Name: 'no' },
    LogConfig: { Type: (container.logging ?? LOG_DEFAULT).driver, Config: (container.logging ?? LOG_DEFAULT).options },
    PortBindings: portBindings(container),
    Binds: nonEmpty(container.mounts.filter(isBindString).map(bindString)),
    Mounts: nonEmpty(container.mounts.filter((mount) => !isBindString(mount)).map(mountRequest)),
    NetworkMode: container.networkMode,
    PidMode: container.pidMode,
    IpcMode: container.ipcMode,
    Dns: container.dns,
    DnsSearch: container.dnsSearch,
    DnsOptions: container.dnsOptions,
    ExtraHosts: container.extraHosts,
    CapAdd: container.capAdd,
    CapDrop: container.capDrop,
    GroupAdd: container.groupAdd,
    Privileged: container.privileged,
    SecurityOpt: container.securityOpt,
    ReadonlyRootfs: container.readOnly,
    Init: container.init,
    ShmSize: container.shmSizeBytes,
    Sysctls: container.sysctls,
    Runtime: container.runtime,
    Devices: container.devices?.map((device) => ({
      PathOnHost: device.hostPath,
      PathInContainer: device.containerPath,
      CgroupPermissions: device.permissions,
    })),
    DeviceRequests: container.deviceRequests?.map(deviceRequest),
    Ulimits:
      container.ulimits &&
      Object.entries(container.ulimits).map(([name, { soft, hard }]) => ({ Name: name, Soft: soft, Hard: hard })),
    NanoCpus: limit.cpuCores ? Math.round(limit.cpuCores * 1e9) : undefined,
    Memory: limit.memoryBytes || undefined,
    MemoryReservation: memoryReservation(container),
    MemorySwap: limit.memorySwapBytes,
    MemorySwappiness: container.memorySwappiness,
    PidsLimit: limit.pids,
    CpuShares: container.cpuShares,
    CpusetCpus: container.cpusetCpus,
    OomScoreAdj: container.oomScoreAdj,
    OomKillDisable: container.oomKillDisable,
  })
}

/** The Engine asks for sets of capabilities of which one must be met; Compose names one set. */
function deviceRequest({ driver, count, deviceIds, capabilities, options }: DeviceRequest): Record<string, unknown> {
  return compact({ Driver: driver, Count: count, DeviceIDs: deviceIds, Capabilities: [capabilities], Options: options })
}

/** What is promised to the task is protected by the kernel too, where the Engine accepts the figure. */
function memoryReservation({ resources }: ContainerSpec): number | undefined {
  const bytes = resources.reservation.memoryBytes
  if (bytes < MEMORY_RESERVATION_BYTES_MIN) return undefined
  return resources.limit.memoryBytes && bytes > resources.limit.memoryBytes ? undefined : bytes
}

function portBindings({ ports }: ContainerSpec): Record<string, { HostIp?: string; HostPort: string }[]> | undefined {
  if (ports.length === 0) return undefined
  const bindings: Record<string, { HostIp?: string; HostPort: string }[]> = {}
  for (const { containerPort, hostPort, hostIp, protocol } of ports) {
    const key = `${containerPort}/${protocol}`
    bindings[key] ??= []
    bindings[key].push(compact({ HostIp: hostIp, HostPort: hostPort ? String(hostPort) : '' }))
  }
  return bindings
}

function exposedPorts({ ports }: ContainerSpec): Record<string, object> | undefined {
  if (ports.length === 0) return undefined
  return Object.fromEntries(ports.map(({ containerPort, protocol }) => [`${containerPort}/${protocol}`, {}]))
}

/** The Engine makes a missing host folder only for binds given as text, so those are given that way. */
function isBindString(mount: Mount): mount is Extract<Mount, { type: 'bind' }> {
  return mount.type === 'bind' && mount.createHostPath !== false && !mount.source.includes(':')
}

function bindString(mount: Extract<Mount, { type: 'bind' }>): string {
  const options = [mount.readOnly ? 'ro' : 'rw', ...(mount.propagation ? [mount.propagation] : [])]
  return `${mount.source}:${mount.target}:${options.join(',')}`
}

function mountRequest(mount: Mount): Record<string, unknown> {
  switch (mount.type) {
    case 'bind':
      return compact({
        Type: 'bind',
        Source: mount.source,
        Target: mount.target,
        ReadOnly: mount.readOnly,
        BindOptions: mount.propagation ? { Propagation: mount.propagation } : undefined,
      })
    case 'tmpfs':
      return compact({
        Type: 'tmpfs',
        Target: mount.target,
        TmpfsOptions: compact({ SizeBytes: mount.sizeBytes, Mode: mount.mode }),
      })
    case 'volume':
      return compact({
        Type: 'volume',
        Source: mount.source,
        Target: mount.target,
        ReadOnly: mount.readOnly,
        VolumeOptions: volumeOptions(mount),
      })
  }
}

function volumeOptions(mount: Extract<Mount, { type: 'volume' }>): Record<string, unknown> | undefined {
  const driver = mount.driver || mount.driverOptions
  const options = compact({
    NoCopy: mount.noCopy,
    Labels: mount.labels,
    DriverConfig: driver ? { Name: mount.driver ?? 'local', Options: mount.driverOptions ?? {} } : undefined,
  })
  return Object.keys(options).length > 0 ? options : undefined
}

function healthcheck(check: Healthcheck | undefined): Record<string, unknown> | undefined {
  if (!check) return undefined
  if ('disabled' in check) return { Test: ['NONE'] }
  const nanoseconds = (ms: number | undefined) => (ms === undefined ? undefined : ms * NANOSECONDS_PER_MS)
  return compact({
    Test: check.test,
    Interval: nanoseconds(check.intervalMs),
    Timeout: nanoseconds(check.timeoutMs),
    StartPeriod: nanoseconds(check.startPeriodMs),
    StartInterval: nanoseconds(check.startIntervalMs),
    Retries: check.retries,
  })
}

function nonEmpty<T>(list: T[]): T[] | undefined {
  return list.length > 0 ? list : undefined
}

/** Without the members that are undefined. */
function compact<T extends Record<string, unknown>>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T
}
