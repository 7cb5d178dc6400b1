/** What an agent is started with: flags, then the environment, then what is usual. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { AgentFlags } from '../shared/agent-flags.ts'
import { BerthError } from '../shared/errors.ts'
import { FORBIDDEN_KEY, NAME_PATTERN, RESOURCE_COUNT_MAX, RESOURCE_PATTERN } from '../shared/names.ts'
import type { GenericResources } from '../shared/spec.ts'
import { CGROUP_ROOT } from './host/cgroup.ts'
import { cgroupExists } from './host/host-cgroup.ts'

export type AgentOptions = {
  dataDir: string
  /** `https://HOST:PORT` */
  coordinator: string
  /** Looked up when it is needed: the first join, mostly. Null: there is none. */
  joinToken: () => string | null
  node: string
  /** As in DOCKER_HOST; absent: the usual sockets. */
  engineHost?: string
  labels: Record<string, string>
  /** How many of each countable thing this host has. */
  resources: GenericResources
  /** The cgroup that is this host, as in /proc/PID/cgroup; absent: it has its kernel for itself. */
  hostCgroup?: string
  /** A pull that stands still for so long is given up, and tried again later; absent: what is usual. */
  pullStallMs?: number
  logLevel: (typeof LOG_LEVELS)[number]
}

export const DATA_DIR_DEFAULT = '/var/lib/berth/agent'
/** What a hello may hold. */
const LABEL_NAME_CHARS_MAX = 256
const LABEL_CHARS_MAX = 1024
const PULL_STALL_MS_MAX = 86_400_000
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/**
 * Environment: BERTH_AGENT_DATA, BERTH_COORDINATOR, BERTH_JOIN_TOKEN, BERTH_NODE_NAME, DOCKER_HOST, BERTH_LOG_LEVEL.
 * @throws BerthError `invalid-request` that names the flag
 */
export function agentOptions(flags: AgentFlags, env: NodeJS.ProcessEnv): AgentOptions {
  return {
    dataDir: flags.data ?? env.BERTH_AGENT_DATA ?? DATA_DIR_DEFAULT,
    coordinator: readCoordinator(flags.coordinator ?? env.BERTH_COORDINATOR),
    joinToken: () => readToken(flags.joinFile, env.BERTH_JOIN_TOKEN),
    node: readName(flags.name ?? env.BERTH_NODE_NAME ?? hostname().toLowerCase()),
    engineHost: flags.docker ?? (env.DOCKER_HOST || undefined),
    labels: readLabels(flags.label ?? {}),
    resources: readResources(flags.resource ?? {}),
    hostCgroup: readHostCgroup(flags.hostCgroup),
    pullStallMs: readPullStall(flags.pullStall),
    logLevel: readLevel(flags.logLevel ?? env.BERTH_LOG_LEVEL ?? 'info'),
  }
}

function readCoordinator(given: string | undefined): string {
  if (!given) throw invalid('--coordinator (or BERTH_COORDINATOR) is missing; it looks like https://10.0.0.5:23784')
  const url = URL.canParse(given) ? new URL(given) : null
  if (url?.protocol !== 'https:') {
    throw invalid(`--coordinator: "${given}" is not the address of a coordinator; it looks like https://10.0.0.5:23784`)
  }
  return url.origin
}

function readToken(file: string | undefined, fromEnvironment: string | undefined): string | null {
  if (!file) return fromEnvironment?.trim() || null
  try {
    return readFileSync(file, 'utf8').trim() || null
  } catch (cause) {
    // Once joined, the file may well be gone: a token is no longer needed.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new BerthError('invalid-request', `--join-file ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}

function readName(name: string): string {
  if (new RegExp(NAME_PATTERN).test(name)) return name
  throw invalid(
    `"${name}" cannot be a node's name: lower-case letters, digits, ".", "_" and "-", at most 63 characters. Give one with --name`,
  )
}

function readLabels(labels: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(labels)) {
    if (name === FORBIDDEN_KEY) throw invalid(`--label: ${FORBIDDEN_KEY} cannot be the name of a label; choose another`)
    if (name.length <= LABEL_NAME_CHARS_MAX && value.length <= LABEL_CHARS_MAX) continue
    throw invalid(
      `--label ${name.slice(0, 40)}: a name has at most ${LABEL_NAME_CHARS_MAX} characters, a value ${LABEL_CHARS_MAX}`,
    )
  }
  return labels
}

function readResources(resources: Record<string, number>): GenericResources {
  for (const [name, count] of Object.entries(resources)) {
    if (name === FORBIDDEN_KEY || !new RegExp(RESOURCE_PATTERN).test(name)) {
      throw invalid(`--resource: "${name}" cannot be the name of a resource; it looks like gpu=2`)
    }
    if (Number.isInteger(count) && count >= 0 && count <= RESOURCE_COUNT_MAX) continue
    throw invalid(
      `--resource ${name}: ${count} is not a number of them; give a whole number from 0 to ${RESOURCE_COUNT_MAX}`,
    )
  }
  return resources
}

function readHostCgroup(path: string | undefined): string | undefined {
  if (path === undefined) return path
  if (!path.startsWith('/') || path.split('/').includes('..')) {
    throw invalid(
      `--host-cgroup: "${path}" is not the path of a cgroup; it looks like /lxc/web-1, as in /proc/PID/cgroup`,
    )
  }
  if (cgroupExists(path, CGROUP_ROOT)) return path
  throw invalid(
    `--host-cgroup: there is no cgroup ${path} below ${CGROUP_ROOT}; /proc/1/cgroup of this host names its own`,
  )
}

function readPullStall(ms: number | undefined): number | undefined {
  if (ms === undefined || (Number.isInteger(ms) && ms > 0 && ms <= PULL_STALL_MS_MAX)) return ms
  throw invalid(`--pull-stall must be 1 ms to one day, not ${ms} ms`)
}

function readLevel(level: string): AgentOptions['logLevel'] {
  const known = LOG_LEVELS.find((each) => each === level)
  if (!known) throw invalid(`--log-level: "${level}" is none of ${LOG_LEVELS.join(', ')}`)
  return known
}

function invalid(message: string): BerthError {
  return new BerthError('invalid-request', message)
}
