/** Everything about a service that its container is made of. */
import type { ContainerSpec } from '../../spec.ts'
import type { Field } from '../field.ts'
import { isImageName } from '../image-name.ts'
import type { Environment } from '../session.ts'
import { readCommand } from './command.ts'
import { readDeviceRequests } from './devices.ts'
import { readEnvironment, readLabels, readSettings } from './environment.ts'
import { readHealthcheck, withoutUndefined } from './healthcheck.ts'
import { readDevices, readLogging, readUlimits } from './host.ts'
import { readMounts } from './mounts.ts'
import { readAddresses, readExtraHosts, readNamespace, readNetworkMode } from './network.ts'
import { readPorts } from './ports.ts'
import { readProbe } from './probe.ts'
import { readResources } from './resources.ts'
import type { Volume } from './volumes.ts'

const STOP_GRACE_MS = 10_000

export type ContainerContext = {
  volumes: Map<string, Volume>
  fromFiles: { environment: Map<string, string>; labels: Map<string, string> }
  environment: Environment
}

export function readContainer(service: Field, context: ContainerContext): ContainerSpec {
  const { volumes, fromFiles, environment } = context
  const text = (key: string) => service.get(key)?.text()
  const flag = (key: string) => service.get(key)?.boolean()
  const texts = (key: string) => service.get(key)?.texts()
  return withoutUndefined<ContainerSpec>({
    image: readImage(service),
    pullPolicy: readPullPolicy(service.get('pull_policy')),
    platform: text('platform'),
    command: readCommand(service.get('command')),
    entrypoint: readCommand(service.get('entrypoint')),
    environment: readEnvironment(service.get('environment'), fromFiles.environment, environment),
    labels: readLabels(service.get('labels'), fromFiles.labels),
    user: text('user'),
    groupAdd: texts('group_add'),
    workingDir: text('working_dir'),
    hostname: readHostname(service.get('hostname')),
    domainname: text('domainname'),
    dns: readAddresses(service.get('dns')),
    dnsSearch: service
      .get('dns_search')
      ?.oneOrMany()
      .flatMap((item) => item.text() ?? []),
    dnsOptions: service
      .get('dns_opt')
      ?.oneOrMany()
      .flatMap((item) => item.text() ?? []),
    extraHosts: readExtraHosts(service.get('extra_hosts')),
    capAdd: texts('cap_add'),
    capDrop: texts('cap_drop'),
    privileged: flag('privileged'),
    securityOpt: texts('security_opt'),
    readOnly: flag('read_only'),
    init: flag('init'),
    tty: flag('tty'),
    stdinOpen: flag('stdin_open'),
    mounts: readMounts(service.get('volumes'), service.get('tmpfs'), volumes),
    ports: readPorts(service.get('ports')),
    ulimits: readUlimits(service.get('ulimits')),
    sysctls: readSettings(service.get('sysctls')),
    devices: readDevices(service.get('devices')),
    deviceRequests: readDeviceRequests(service),
    networkMode: readNetworkMode(service),
    pidMode: readNamespace(service.get('pid'), ['host']),
    ipcMode: readNamespace(service.get('ipc'), ['host', 'private', 'shareable', 'none']),
    shmSizeBytes: service.get('shm_size')?.bytes(),
    cpuShares: service.get('cpu_shares')?.integer({ min: 0 }),
    cpusetCpus: readCpuset(service.get('cpuset')),
    memorySwappiness: service.get('mem_swappiness')?.integer({ min: 0, max: 100 }),
    oomScoreAdj: service.get('oom_score_adj')?.integer({ min: -1000, max: 1000 }),
    oomKillDisable: flag('oom_kill_disable'),
    runtime: text('runtime'),
    stopGraceMs: service.get('stop_grace_period')?.durationMs() ?? STOP_GRACE_MS,
    stopSignal: readSignal(service.get('stop_signal')),
    logging: readLogging(service.get('logging')),
    healthcheck: readHealthcheck(service.get('healthcheck')),
    probe: readProbe(service),
    resources: readResources(service),
  })
}

function readImage(service: Field): string {
  const [image, build] = [service.get('image'), service.get('build')]
  if (build && image) build.warning('is not honoured: the image is used, not built')
  if (image) {
    const name = image.string()
    if (name !== undefined && !isImageName(name)) {
      image.error(`"${name}" is not the name of an image; write it like nginx:1.27 or registry.example.com/team/app:41`)
    }
    return name ?? ''
  }
  if (service.get('provider')) return ''
  if (build)
    build.error(
      'cannot be built here: Berth runs images; build it, push it where every node can pull it, and name it under "image"',
    )
  else service.error('names no image')
  return ''
}

function readPullPolicy(field: Field | undefined): ContainerSpec['pullPolicy'] {
  const text = field?.text()
  if (!field || text === undefined || text === 'missing' || text === 'if_not_present') return 'missing'
  if (text === 'always' || text === 'never') return text
  if (text === 'build' || text === 'daily' || text === 'weekly' || text.startsWith('every_')) {
    field.notHonoured(`${text} is not honoured; there are always, missing and never`)
  } else field.error(`"${text}" is none of always, missing, never`)
  return 'missing'
}

function readHostname(field: Field | undefined): string | undefined {
  const name = field?.text()
  if (!field || name === undefined) return undefined
  const isName =
    name.length <= 253 && name.split('.').every((part) => /^[a-zA-Z0-9]([a-zA-Z0-9-_]{0,61}[a-zA-Z0-9])?$/.test(part))
  return isName ? name : field.error(`"${name}" is not a host name`)
}

function readCpuset(field: Field | undefined): string | undefined {
  const set = field?.text()
  if (!field || set === undefined) return undefined
  return /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(set)
    ? set
    : field.error(`"${set}" is not a set of cores; write it like 0-3 or 0,2`)
}

function readSignal(field: Field | undefined): string | undefined {
  const signal = field?.text()
  if (!field || signal === undefined) return undefined
  return /^(SIG)?[A-Z][A-Z0-9+-]*$|^\d+$/.test(signal)
    ? signal
    : field.error(`"${signal}" is not a signal; write it like SIGTERM`)
}
