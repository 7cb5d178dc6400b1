/** `alerts.yaml` → rules and receivers, or what is wrong with it and where: all of it at once, as with Compose files. */
import { readSettings, SettingsReader } from '../compose/settings-reader.ts'
import { type MapNode, type Node, textOf } from '../compose/tree.ts'
import {
  ALERTS_CONFIG_DEFAULT,
  type AlertReceiver,
  type AlertRuleName,
  type AlertsConfig,
  MAIL_ADDRESS,
  RECEIVERS_MAX,
  urlFault,
} from './config.ts'

/** @throws ComposeError with every finding */
export function readAlerts(text: string, file: string): AlertsConfig {
  const is = 'an alerts file is a mapping with "rules" and "receivers"'
  const whenEmpty = 'to set back all write "receivers: []"'
  return readSettings({ text, file, is, whenEmpty }, (root, findings) => new Reader(findings).config(root))
}

class Reader extends SettingsReader {
  config(root: MapNode): AlertsConfig {
    const config = structuredClone(ALERTS_CONFIG_DEFAULT)
    this.members(root, '', {
      rules: (node, path) => this.rules(node, path, config),
      receivers: (node, path) => this.receivers(node, path, config),
      group_wait: (node, path) => this.set(config, 'groupWaitMs', this.duration(node, path)),
      repeat: (node, path) => this.set(config, 'repeatMs', this.duration(node, path)),
    })
    return config
  }

  private rules(node: Node, path: string, config: AlertsConfig): void {
    const each = (name: AlertRuleName) => (rule: Node, at: string) => {
      // Which members there are is what the rule has by default.
      const values = config.rules[name] as unknown as Record<string, unknown>
      const known: Record<string, (value: Node, place: string) => void> = {
        enabled: (value, place) => this.set(values, 'enabled', this.boolean(value, place)),
        severity: (value, place) => this.set(values, 'severity', this.oneOf(value, place, ['critical', 'warning'])),
        for: (value, place) => this.set(values, 'forMs', this.duration(value, place)),
        within: (value, place) => this.set(values, 'withinMs', this.duration(value, place)),
        restarts: (value, place) => this.set(values, 'restarts', this.count(value, place, 1, 20)),
        bytes: (value, place) => this.set(values, 'bytes', this.bytes(value, place)),
      }
      if (!('withinMs' in values)) delete known.within
      if (!('restarts' in values)) delete known.restarts
      if (!('bytes' in values)) delete known.bytes
      this.members(rule, at, known)
    }
    const names = Object.keys(config.rules) as AlertRuleName[]
    this.members(node, path, Object.fromEntries(names.map((name) => [name, each(name)])))
  }

  private receivers(node: Node, path: string, config: AlertsConfig): void {
    if (node.kind !== 'list') {
      this.error(node, path, 'must be a list of receivers, each beginning with "- name:"')
      return
    }
    if (node.items.length > RECEIVERS_MAX) this.error(node, path, `holds more than ${RECEIVERS_MAX} receivers`)
    const names = new Set<string>()
    for (const [index, item] of node.items.entries()) {
      const { name, receiver } = this.receiver(item, `${path}[${index}]`)
      // Also of those that have something else wrong: who mends that should not find this afterwards.
      if (name !== undefined && names.has(name))
        this.error(item, `${path}[${index}].name`, `"${name}" is there already`)
      if (name !== undefined) names.add(name)
      if (receiver !== undefined) config.receivers.push(receiver)
    }
  }

  private receiver(node: Node, path: string): { name?: string; receiver?: AlertReceiver } {
    const read: Partial<AlertReceiver> = {}
    const channel = (kind: AlertReceiver['kind']) => (value: Node, at: string) => {
      if (read.kind !== undefined)
        this.error(value, at, 'a receiver has one of webhook, slack and smtp; make two receivers')
      read.kind = kind
      const isMap = this.members(value, at, {
        url: (url, place) => this.set(read, 'url', this.url(url, place, kind)),
        ...(kind === 'webhook' && {
          token: (token: Node, place: string) => this.set(read, 'token', this.text(token, place, 4096)),
        }),
      })
      if (isMap && value.kind === 'map' && !value.entries.has('url')) this.error(value, at, 'needs a url')
    }
    const isMap = this.members(node, path, {
      name: (value, at) => this.set(read, 'name', this.text(value, at, 64)),
      webhook: channel('webhook'),
      slack: channel('slack'),
      smtp: (value, at) => this.smtp(value, at, read),
    })
    if (!isMap || node.kind !== 'map') return {}
    if (!node.entries.has('name')) this.error(node, path, 'needs a name')
    if (read.kind === undefined) this.error(node, path, 'needs a webhook, slack or smtp, with a url')
    const { name, kind, url } = read
    if (name === undefined) return {}
    return kind === undefined || url === undefined ? { name } : { name, receiver: { ...read, name, kind, url } }
  }

  private smtp(node: Node, path: string, read: Partial<AlertReceiver>): void {
    if (read.kind !== undefined)
      this.error(node, path, 'a receiver has one of webhook, slack and smtp; make two receivers')
    read.kind = 'smtp'
    const isMap = this.members(node, path, {
      url: (value, at) => this.set(read, 'url', this.url(value, at, 'smtp')),
      user: (value, at) => this.set(read, 'user', this.text(value, at, 256)),
      password: (value, at) => this.set(read, 'token', this.text(value, at, 4096)),
      from: (value, at) => this.set(read, 'from', this.address(value, at)),
      to: (value, at) => this.addresses(value, at, read),
    })
    if (!isMap || node.kind !== 'map') return
    for (const name of ['url', 'from', 'to']) if (!node.entries.has(name)) this.error(node, path, `needs ${name}`)
    if (node.entries.has('user') !== node.entries.has('password'))
      this.error(node, path, 'needs both user and password')
  }

  private addresses(node: Node, path: string, read: Partial<AlertReceiver>): void {
    const items = node.kind === 'list' ? node.items : [node]
    if (items.length === 0 || items.length > 16) this.error(node, path, 'must be 1 to 16 addresses')
    read.to = items.flatMap((item, index) => this.address(item, `${path}[${index}]`) ?? [])
  }

  private address(node: Node, path: string): string | undefined {
    const text = textOf(node) ?? ''
    if (new RegExp(MAIL_ADDRESS).test(text)) return text
    return this.error(node, path, `"${text}" is not an address; write it like ops@example.com`)
  }

  private url(node: Node, path: string, kind: AlertReceiver['kind']): string | undefined {
    const text = this.text(node, path, 2048)
    if (text === undefined) return undefined
    const fault = urlFault(kind, text)
    return fault === null ? text : this.error(node, path, fault)
  }
}
