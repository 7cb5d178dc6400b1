/** What the Engine's inspect answers → our Container. Pure. */
import type { ContainerInspectInfo } from 'dockerode'
import { LABEL } from '../../shared/labels.ts'
import { HEALTH_STATES, type Health } from '../../shared/task-state.ts'
import type { Container } from '../decide/container.ts'

/** Null for a container that is not Berth's. */
export function readContainer(info: ContainerInspectInfo): Container | null {
  const labels = info.Config.Labels ?? {}
  const cluster = labels[LABEL.cluster]
  const node = labels[LABEL.node]
  const task = labels[LABEL.task]
  if (!cluster || !node || !task) return null
  const { State: state } = info
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ''),
    cluster,
    node,
    task,
    spec: labels[LABEL.spec] ?? '',
    createdForAttempt: Number(labels[LABEL.attempt]) || 0,
    state: readState(state),
    startedAt: readTime(state.StartedAt),
    finishedAt: readTime(state.FinishedAt),
    exitCode: state.Running || state.Status === 'created' ? null : state.ExitCode,
    oomKilled: state.OOMKilled === true,
    error: state.Error || null,
    ...readHealth(info),
    imageId: info.Image || null,
    pid: state.Running ? state.Pid : 0,
    ports: readPorts(info),
    addresses: readAddresses(info),
    logPath: info.LogPath || null,
    ...readLogFilesMax(info),
    memoryBytesLimit: info.HostConfig.Memory || null,
  }
}

/** The Engine writes year 1 for "never". */
export function readTime(text: string | undefined): number | null {
  const at = text ? Date.parse(text) : Number.NaN
  return at > 0 ? at : null
}

function readState(state: ContainerInspectInfo['State']): Container['state'] {
  if (state.Status === 'removing') return 'removing'
  if (state.Dead || state.Status === 'dead') return 'broken'
  // A paused container is there by somebody's hand; it counts as running, and is left so.
  if (state.Running) return 'running'
  // Podman says configured or initialized for what never ran.
  if (['created', 'configured', 'initialized'].includes(state.Status)) return 'created'
  return readTime(state.StartedAt) === null ? 'created' : 'exited'
}

/** `{}`: nothing that is thrown away is replaced by another file. */
function readLogFilesMax({ HostConfig: { LogConfig } }: ContainerInspectInfo): { logFilesMax?: number } {
  const options: Record<string, string> = LogConfig?.Config ?? {}
  const filesMax = Number(options['max-file'])
  return options['max-size'] !== undefined && filesMax > 1 ? { logFilesMax: filesMax } : {}
}

type HealthFacts = Pick<Container, 'health' | 'healthyAt' | 'healthMessage' | 'healthCheckMs'>

function readHealth(info: ContainerInspectInfo): HealthFacts {
  const seen = info.State.Health
  const health: Health = HEALTH_STATES.find((name) => name === seen?.Status) ?? 'none'
  const log = seen?.Log ?? []
  const firstGood = log.find((test) => test.ExitCode === 0)
  const last = log.at(-1)
  const [began, ended] = [readTime(last?.Start), readTime(last?.End)]
  return {
    ...(began !== null && ended !== null && health !== 'none' && { healthCheckMs: Math.max(0, ended - began) }),
    health,
    healthyAt: health === 'healthy' ? readTime(firstGood?.End) : null,
    healthMessage: last && last.ExitCode !== 0 && health !== 'none' ? last.Output.trim() || null : null,
  }
}

function readAddresses(info: ContainerInspectInfo): string[] {
  const networks = Object.values(info.NetworkSettings?.Networks ?? {})
  return [...new Set(networks.map(({ IPAddress }) => IPAddress).filter(Boolean))]
}

function readPorts(info: ContainerInspectInfo): Container['ports'] {
  const ports: Container['ports'] = []
  for (const [key, bindings] of Object.entries(info.NetworkSettings?.Ports ?? {})) {
    const [containerPort, protocol = 'tcp'] = key.split('/')
    for (const binding of bindings ?? []) {
      const port = { containerPort: Number(containerPort), hostPort: Number(binding.HostPort), protocol }
      // IPv4 and IPv6 are bound apart, usually with the same number.
      if (
        !ports.some(
          (each) =>
            each.hostPort === port.hostPort && each.containerPort === port.containerPort && each.protocol === protocol,
        )
      ) {
        ports.push(port)
      }
    }
  }
  return ports.sort((a, b) => a.containerPort - b.containerPort || a.hostPort - b.hostPort)
}
