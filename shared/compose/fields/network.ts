/** `network_mode`, `networks`, and what else joins a container to others. */
import { isIP } from 'node:net'
import type { ContainerSpec } from '../../spec.ts'
import type { Field } from '../field.ts'

const MODES = ['host', 'none', 'bridge'] as const

export function readNetworkMode(service: Field): ContainerSpec['networkMode'] {
  const [mode, networks] = [service.get('network_mode'), service.get('networks')]
  if (mode && networks) mode.error('cannot stand beside networks')
  if (networks) checkNetworks(networks)
  const text = mode?.string()
  if (!mode || text === undefined || text === 'default') return undefined
  const known = MODES.find((each) => each === text)
  if (!known) return mode.notHonoured(`"${text}" is not honoured yet; there are ${MODES.join(', ')}`)
  if (known !== 'bridge')
    service.get('ports')?.warning(`publishes nothing: network_mode ${known} has no ports of its own`)
  return known
}

/** Every service is alone on its node's bridge so far, which is what the default network without options comes to. */
function checkNetworks(networks: Field): void {
  const names =
    networks.node.kind === 'map'
      ? networks.members()
      : networks.items().map((item): [string, Field] => [item.text() ?? 'default', item])
  for (const [name, network] of names) {
    if (name !== 'default')
      network.notHonoured(
        `the network "${name}" is not honoured yet: services do not reach each other by name; leave networks out and publish ports`,
      )
    else if (network.node.kind === 'map' && network.members().length > 0)
      network.notHonoured('options of a network are not honoured yet')
  }
}

/** The top-level `networks`: unused ones change nothing, so only options of the default one are looked at. */
export function checkTopNetworks(networks: Field | undefined): void {
  const usual = networks?.get('default')
  if (!usual) return
  for (const [key, option] of usual.members()) {
    const harmless = key.startsWith('x-') || option.isNull() || (key === 'driver' && option.text() === 'bridge')
    if (!harmless) option.notHonoured('options of the default network are not honoured yet')
  }
}

/** `["db:10.0.0.2", "api=::1"]` or `{db: 10.0.0.2}` → `host:address` each. */
export function readExtraHosts(field: Field | undefined): string[] | undefined {
  if (!field) return undefined
  const hosts: string[] = []
  const add = (host: string, written: string, item: Field) => {
    const address = written.trim().replace(/^\[(.*)\]$/, '$1')
    if (address !== 'host-gateway' && isIP(address) === 0) item.error(`"${address}" is not an IP address`)
    else hosts.push(`${host.trim()}:${address}`)
  }
  if (field.node.kind === 'map') {
    for (const [host, item] of field.members()) for (const each of item.oneOrMany()) add(host, each.text() ?? '', each)
    return hosts
  }
  for (const item of field.items()) {
    const text = item.text()
    const match = text === undefined ? null : /^([^=:]+)[=:](.+)$/.exec(text)
    if (match) add(match[1]!, match[2]!, item)
    else if (text !== undefined) item.error(`"${text}" is not of the form HOST=ADDRESS`)
  }
  return hosts
}

/** `pid` and `ipc`: another container's namespace would need that container on the same node. */
export function readNamespace(field: Field | undefined, words: string[]): string | undefined {
  const text = field?.string()
  if (!field || text === undefined) return undefined
  if (/^(service|container):/.test(text))
    return field.notHonoured(`"${text}" is not honoured: that container may be on another node`)
  return words.includes(text) ? text : field.error(`"${text}" is none of ${words.join(', ')}`)
}

export function readAddresses(field: Field | undefined): string[] | undefined {
  return field?.oneOrMany().flatMap((item) => {
    const address = item.text()
    if (address === undefined) return []
    if (isIP(address) === 0) item.error(`"${address}" is not an IP address`)
    return [address]
  })
}
