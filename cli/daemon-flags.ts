/** Flags of `berth coordinator` and `berth agent`, as values of the options they take. No token is ever an argument. */
import { type Command, InvalidArgumentError } from 'commander'
import { parseBytes } from '../shared/compose/units.ts'
import { parseDuration } from './figures.ts'

export type CoordinatorFlags = {
  data?: string
  listen?: { host: string; port: number }
  advertise?: string[]
  heartbeatInterval?: number
  startGrace?: number
  agentGrace?: number
  goodbyeGrace?: number
  engineGrace?: number
  /** bytes */
  journalSize?: number
  /** bytes */
  logsSize?: number
  logsAge?: number
  metricsSize?: number
  metricsSeries?: number
  logLevel?: string
  checkTwice?: boolean
}

export function addCoordinatorFlags(command: Command): Command {
  return command
    .option('--data <DIR>', 'folder for its data (default: /var/lib/berth/coordinator)')
    .option('--listen <HOST:PORT>', 'where it listens (default: 0.0.0.0:23784)', parseListen)
    .option('--advertise <NAME>', 'name or address under which it is reached; several may be given', collect)
    .option('--heartbeat-interval <TIME>', 'how often agents report their load (default: 1s)', ms)
    .option('--start-grace <TIME>', 'after its start, how long nodes may take to come back', ms)
    .option('--agent-grace <TIME>', 'how long a node may be away before its tasks move', ms)
    .option('--goodbye-grace <TIME>', 'the same for an agent that said it will be back', ms)
    .option('--engine-grace <TIME>', "how long a node's Engine may be down before its tasks move", ms)
    .option('--journal-size <SIZE>', 'room for what `berth record` hands out (default: 64M; 0: keep none)', size)
    .option('--logs-size <SIZE>', 'room for the log lines of all services (default: 10G; 0: keep none)', size)
    .option('--logs-age <TIME>', 'how long log lines are kept (default: 30d)', ms)
    .option('--metrics-size <SIZE>', 'room for metrics over time (default: 512M; 0: keep none)', size)
    .option('--metrics-series <N>', 'of how many series points are kept at once (default: 50000)', Number)
    .option('--log-level <LEVEL>', 'debug, info, warn, error or silent')
    .option('--check-twice', 'for tests: after each beat, assert that nothing is left to decide')
}

export function addAgentFlags(command: Command): Command {
  return command
    .option('--data <DIR>', 'folder for its data (default: /var/lib/berth/agent)')
    .option('--coordinator <URL>', 'the coordinator to join, https://10.0.0.5:23784')
    .option('--join-file <FILE>', 'file with the join token; or set BERTH_JOIN_TOKEN')
    .option('--docker <HOST>', 'the Engine: unix:///var/run/docker.sock, tcp://… (default: DOCKER_HOST)')
    .option('--name <NAME>', "name of the node (default: the host's)")
    .option('--label <KEY=VALUE>', 'label of the node; several may be given', collectLabel)
    .option(
      '--resource <NAME=COUNT>',
      'countable thing that this host has, as gpu=2; several may be given',
      collectResource,
    )
    .option(
      '--host-cgroup <PATH>',
      'the cgroup that is this host, where it shares its kernel with others (LXC and the like)',
    )
    .option('--pull-stall <TIME>', 'give a pull up that has stood still for so long (default: 2m)', ms)
    .option('--log-level <LEVEL>', 'debug, info, warn, error or silent')
}

/** `10.0.0.5:23784`, `[::1]:23784`, `:23784`, `23784`. */
export function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]:|([^:[\]]*):)?(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new InvalidArgumentError('Write it like 0.0.0.0:23784 or [::]:23784.')
  return { host: match[1] || match[2] || '0.0.0.0', port }
}

function size(text: string): number {
  const parsed = parseBytes(text)
  if (parsed === undefined) throw new InvalidArgumentError('Write it like 64M or 1G.')
  return parsed
}

function ms(text: string): number {
  const parsed = parseDuration(text)
  if (parsed === null) throw new InvalidArgumentError('Write it like 500ms, 30s or 2m.')
  return parsed
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value]
}

function collectLabel(value: string, before: Record<string, string> | undefined): Record<string, string> {
  const split = value.indexOf('=')
  if (split < 1) throw new InvalidArgumentError('Write it like disk=ssd.')
  return { ...before, [value.slice(0, split)]: value.slice(split + 1) }
}

function collectResource(value: string, before: Record<string, number> | undefined): Record<string, number> {
  const [, name = '', count = ''] = /^([^=]+)=(\d+)$/.exec(value) ?? []
  if (name === '') throw new InvalidArgumentError('Write it like gpu=2.')
  return { ...before, [name]: Number(count) }
}
