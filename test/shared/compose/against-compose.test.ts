/**
 * The same files read by docker-compose (Debian's 1.29, in Python) and by Berth: on the fields that both know, they must
 * say the same. Without that program the tests are skipped, loudly.
 */
import { execFile, execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readCompose } from '../../../shared/compose/read-compose.ts'
import { shellWords } from '../../../shared/compose/shell-words.ts'
import { parseBytes, parseDurationMs } from '../../../shared/compose/units.ts'
import type { ServiceSpec } from '../../../shared/spec.ts'

const DIRECTORY = path.join(import.meta.dirname, 'public')
const ENVIRONMENT = { HOME: '/home/me', ADMIN_USER: 'root', CACHE_DIR: '' }
/** Those whose newer fields docker-compose 1.29 does not know, and the one that is wrong, are left out. */
const FILES = ['blog', 'broker', 'cloud', 'forge', 'gpu', 'monitoring', 'proxy', 'search', 'voting', 'vpn']

const isThere = canRun('docker-compose')
if (!isThere) {
  console.warn(
    'SKIPPED: docker-compose is not installed, so the Compose reader is not compared with it (apt-get install docker-compose)',
  )
}

function canRun(program: string): boolean {
  try {
    execFileSync(program, ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What both readers are brought to. */
type Common = {
  image: string
  command?: string[]
  entrypoint?: string[]
  environment: Record<string, string>
  labels: Record<string, string>
  ports: string[]
  mounts: string[]
  dependsOn: string[]
  devices?: string[]
  capAdd?: string[]
  user?: string
  hostname?: string
  privileged: boolean
  readOnly: boolean
  stopGraceMs: number
  stopSignal?: string
  sysctls: Record<string, string>
  memoryBytes?: number
  cpuCores?: number
  shmSizeBytes?: number
  pids?: number
  healthcheck?: object
  replicas?: number
}

function ours(service: ServiceSpec): Common {
  const { container } = service.task
  const { healthcheck, resources } = container
  return {
    image: container.image,
    command: container.command,
    entrypoint: container.entrypoint,
    environment: container.environment,
    labels: container.labels,
    ports: container.ports.map(
      (port) => `${port.hostIp ?? ''}:${port.hostPort ?? ''}:${port.containerPort}/${port.protocol}`,
    ),
    mounts: container.mounts
      .map((mount) => {
        if (mount.type === 'tmpfs') return `tmpfs::${mount.target}`
        return `${mount.type}:${mount.source ?? ''}:${mount.target}:${mount.readOnly ? 'ro' : 'rw'}`
      })
      .toSorted(),
    dependsOn: Object.entries(service.dependsOn)
      .map(([name, { condition }]) => `${name} ${condition}`)
      .toSorted(),
    devices: container.devices?.map((device) => `${device.hostPath}:${device.containerPath}`),
    capAdd: container.capAdd,
    user: container.user,
    hostname: container.hostname,
    privileged: container.privileged ?? false,
    readOnly: container.readOnly ?? false,
    stopGraceMs: container.stopGraceMs,
    stopSignal: container.stopSignal,
    sysctls: container.sysctls ?? {},
    memoryBytes: resources.limit.memoryBytes,
    cpuCores: resources.limit.cpuCores,
    shmSizeBytes: container.shmSizeBytes,
    pids: resources.limit.pids,
    healthcheck: healthcheck,
    replicas: service.mode.kind === 'replicated' ? service.mode.replicas : undefined,
  }
}

type Printed = Record<string, unknown>

function theirs(service: Printed, volumes: Record<string, Printed | null>): Common {
  const text = (key: string) => (service[key] === undefined ? undefined : unescaped(String(service[key])))
  const size = (key: string) => (service[key] === undefined ? undefined : parseBytes(String(service[key])))
  const deploy = service.deploy as { mode?: string; replicas?: number } | undefined
  return {
    image: String(service.image),
    command: words(service.command),
    entrypoint: words(service.entrypoint),
    environment: texts(service.environment),
    labels: texts(service.labels),
    ports: ((service.ports ?? []) as (string | Printed)[]).map(portText),
    mounts: [
      ...((service.volumes ?? []) as (string | Printed)[]).map((mount) => mountText(mount, volumes)),
      ...([service.tmpfs ?? []].flat() as string[]).map((target) => `tmpfs::${target}`),
    ].toSorted(),
    dependsOn: dependencies(service.depends_on),
    devices: service.devices as string[] | undefined,
    capAdd: service.cap_add as string[] | undefined,
    user: text('user'),
    hostname: text('hostname'),
    privileged: service.privileged === true,
    readOnly: service.read_only === true,
    stopGraceMs: parseDurationMs(text('stop_grace_period') ?? '10s')!,
    stopSignal: text('stop_signal'),
    sysctls: texts(service.sysctls),
    memoryBytes: size('mem_limit'),
    cpuCores: service.cpus as number | undefined,
    shmSizeBytes: size('shm_size'),
    pids: service.pids_limit as number | undefined,
    healthcheck: healthcheckOf(service.healthcheck as Printed | undefined),
    replicas: deploy?.mode === 'global' ? undefined : (deploy?.replicas ?? 1),
  }
}

/** What is printed can be read as a file again, so dollars are doubled. */
function unescaped(text: string): string {
  return text.replaceAll('$$', '$')
}

function words(value: unknown): string[] | undefined {
  if (value === undefined) return undefined
  return Array.isArray(value) ? value.map((word) => unescaped(String(word))) : shellWords(unescaped(String(value)))
}

function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries((value ?? {}) as object).map(([key, each]) => [key, unescaped(String(each))]),
  )
}

function dependencies(value: unknown): string[] {
  if (Array.isArray(value)) return value.map((name) => `${name} service_started`).toSorted()
  return Object.entries((value ?? {}) as Record<string, { condition: string }>)
    .map(([name, { condition }]) => `${name} ${condition}`)
    .toSorted()
}

function portText(port: string | Printed): string {
  if (typeof port === 'object')
    return `${port.host_ip ?? ''}:${port.published ?? ''}:${port.target}/${port.protocol ?? 'tcp'}`
  const [address = '', protocol = 'tcp'] = port.split('/')
  const parts = address.split(':')
  return `${[...Array(3 - parts.length).fill(''), ...parts].join(':')}/${protocol}`
}

function mountText(mount: string | Printed, volumes: Record<string, Printed | null>): string {
  const engineName = (source: string) =>
    source.startsWith('/') ? source : String(volumes[source]?.name ?? `test_${source}`)
  if (typeof mount === 'object') {
    if (mount.type === 'tmpfs') return `tmpfs::${mount.target}`
    return `${mount.type}:${engineName(String(mount.source))}:${mount.target}:${mount.read_only ? 'ro' : 'rw'}`
  }
  const [source = '', target = '', mode = 'rw'] = mount.split(':')
  const type = source.startsWith('/') ? 'bind' : 'volume'
  return `${type}:${engineName(source)}:${target}:${mode.split(',').includes('ro') ? 'ro' : 'rw'}`
}

function healthcheckOf(check: Printed | undefined): object | undefined {
  if (!check) return undefined
  const test = Array.isArray(check.test) ? check.test : ['CMD-SHELL', check.test]
  return {
    test: test.map((word) => unescaped(String(word))),
    intervalMs: parseDurationMs(String(check.interval)),
    timeoutMs: parseDurationMs(String(check.timeout)),
    retries: check.retries,
    startPeriodMs: check.start_period === undefined ? undefined : parseDurationMs(String(check.start_period)),
  }
}

describe.skipIf(!isThere)('docker-compose and Berth read alike', () => {
  it.each(FILES)('%s.yaml', async (name) => {
    const file = path.join(DIRECTORY, `${name}.yaml`)
    const printed = await promisify(execFile)('docker-compose', ['-p', 'test', '-f', file, 'config'], {
      env: { PATH: process.env.PATH, ...ENVIRONMENT },
    })
    const model = parse(printed.stdout) as {
      services: Record<string, Printed>
      volumes?: Record<string, Printed | null>
    }
    const { stack } = await readCompose({
      files: [file],
      stack: 'test',
      profiles: [],
      environment: ENVIRONMENT,
      readFile: (each) => readFile(each, 'utf8'),
      allowUnsupported: true,
    })
    const [expected, actual]: Record<string, Common>[] = [{}, {}]
    for (const [service, fields] of Object.entries(model.services))
      expected![service] = theirs(fields, model.volumes ?? {})
    for (const [service, spec] of Object.entries(stack.services)) actual![service] = ours(spec)
    expect(actual).toEqual(expected)
  })
})
