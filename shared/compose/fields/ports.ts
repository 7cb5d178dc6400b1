/** `ports`: short (`"127.0.0.1:8080:80/tcp"`, ranges) and long forms → one entry per port. */
import { isIP } from 'node:net'
import type { Port } from '../../spec.ts'
import type { Field } from '../field.ts'

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const
const MAX_PORT = 65_535
/** What a service's spec holds at most. */
const MAX_PORTS = 1024
const LONG_FIELDS = ['target', 'published', 'host_ip', 'protocol', 'mode', 'name', 'app_protocol']

export function readPorts(field: Field | undefined): Port[] {
  if (!field) return []
  const ports = field.items().flatMap((item) => (item.node.kind === 'map' ? readLong(item) : readShort(item)))
  if (ports.length > MAX_PORTS) field.error(`means ${ports.length} ports; a service may have ${MAX_PORTS}`)
  return ports.slice(0, MAX_PORTS)
}

function readShort(item: Field): Port[] {
  const text = item.text()
  if (text === undefined) return []
  const match = /^(?:(?:(\[[^\]]*\]|[^:[\]]*):)?([^:]*):)?([^:/]+)(?:\/(\w+))?$/.exec(text)
  if (!match) {
    item.error(`"${text}" is not a port; write it like "8080:80" or "127.0.0.1:8080:80/tcp"`)
    return []
  }
  const [, ip, published, target = '', protocolText = 'tcp'] = match
  const protocol = PROTOCOLS.find((each) => each === protocolText.toLowerCase())
  if (!protocol) {
    item.error(`"${protocolText}" is none of ${PROTOCOLS.join(', ')}`)
    return []
  }
  return pair(item, {
    target,
    published: published || undefined,
    hostIp: ip?.replace(/^\[|\]$/g, '') || undefined,
    protocol,
  })
}

function readLong(item: Field): Port[] {
  item.onlyKnows(LONG_FIELDS)
  const target = item.get('target')?.text()
  if (target === undefined) {
    if (!item.get('target')) item.error('names no target, the port inside the container')
    return []
  }
  if (item.get('mode')?.oneOf(['host', 'ingress']) === 'ingress') {
    item
      .get('mode')!
      .warning('ingress: the port is open on the nodes that run a task, not on all of them; Berth has no routing mesh')
  }
  return pair(item, {
    target,
    published: item.get('published')?.text(),
    hostIp: item.get('host_ip')?.text(),
    protocol: item.get('protocol')?.oneOf(PROTOCOLS) ?? 'tcp',
  })
}

type Written = { target: string; published?: string; hostIp?: string; protocol: Port['protocol'] }

/** Pairs the ports of two equally long ranges. */
function pair(item: Field, written: Written): Port[] {
  const { hostIp, protocol } = written
  if (hostIp !== undefined && isIP(hostIp) === 0) item.error(`"${hostIp}" is not an IP address`)
  const targets = range(item, written.target)
  const hosts =
    written.published === undefined || written.published === '0' ? undefined : range(item, written.published)
  if (!targets || (!hosts && written.published !== undefined && written.published !== '0')) return []
  if (hosts && hosts.count !== targets.count) {
    const reason =
      targets.count === 1 ? 'Berth picks no port out of a range; name one' : 'the two ranges have different lengths'
    item.error(`${written.published} cannot be paired with ${written.target}: ${reason}`)
    return []
  }
  return Array.from({ length: targets.count }, (_, index) => ({
    containerPort: targets.first + index,
    ...(hosts && { hostPort: hosts.first + index }),
    ...(hostIp !== undefined && { hostIp }),
    protocol,
  }))
}

function range(item: Field, text: string): { first: number; count: number } | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  if (!match) return item.error(`"${text}" is not a port; it takes 1 to ${MAX_PORT}, or a range like 8000-8005`)
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  for (const port of [first, last]) {
    if (port < 1 || port > MAX_PORT) return item.error(`${port} is not a port; it takes 1 to ${MAX_PORT}`)
  }
  if (last < first) return item.error(`the range ${text} ends before it begins`)
  if (last - first >= MAX_PORTS) return item.error(`the range ${text} is longer than ${MAX_PORTS} ports`)
  return { first, count: last - first + 1 }
}
