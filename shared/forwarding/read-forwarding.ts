/** `forwarding.yaml` → targets, or what is wrong with it and where: all of it at once, as with Compose files. */
import { readSettings, SettingsReader } from '../compose/settings-reader.ts'
import { isNull, type MapNode, type Node, textOf } from '../compose/tree.ts'
import {
  ALL_LINES,
  CA_CHARS_MAX,
  FACILITIES,
  type ForwardingConfig,
  type ForwardTarget,
  HEADERS_MAX,
  LEVELS,
  type LinesWanted,
  METRICS_EVERY_MS,
  NAME_WANTED,
  NAMES_MAX,
  STREAMS,
  TARGET_KINDS,
  TARGET_NAME,
  TARGETS_MAX,
  type TargetKind,
  targetFaults,
} from './config.ts'

/** `readCa` gives the text of a file that the file names; its message is told when it throws. @throws ComposeError with every finding */
export function readForwarding(text: string, file: string, readCa: (path: string) => string): ForwardingConfig {
  const is = 'a forwarding file is a mapping with "targets"'
  const whenEmpty = 'to forward nothing write "targets: []"'
  return readSettings({ text, file, is, whenEmpty }, (root, findings) => new Reader(findings, readCa).config(root))
}

type Readers = Record<string, (value: Node, path: string) => void>

class Reader extends SettingsReader {
  readonly #readCa: (path: string) => string
  constructor(findings: ConstructorParameters<typeof SettingsReader>[0], readCa: (path: string) => string) {
    super(findings)
    this.#readCa = readCa
  }

  config(root: MapNode): ForwardingConfig {
    const config: ForwardingConfig = { targets: [] }
    this.members(root, '', { targets: (node, path) => this.#targets(node, path, config) })
    if (!root.entries.has('targets')) this.error(root, '', 'needs targets; to forward nothing write "targets: []"')
    return config
  }

  #targets(node: Node, path: string, config: ForwardingConfig): void {
    if (node.kind !== 'list') {
      this.error(node, path, 'must be a list of targets, each beginning with "- name:"')
      return
    }
    if (node.items.length > TARGETS_MAX) this.error(node, path, `holds more than ${TARGETS_MAX} targets`)
    const names = new Set<string>()
    for (const [index, item] of node.items.entries()) {
      const target = this.#target(item, `${path}[${index}]`)
      if (target === undefined) continue
      if (names.has(target.name)) this.error(item, `${path}[${index}].name`, `"${target.name}" is there already`)
      names.add(target.name)
      config.targets.push(target)
    }
  }

  #target(node: Node, path: string): ForwardTarget | undefined {
    const read: Partial<ForwardTarget> = { begin: 'now', logs: ALL_LINES, metrics: null }
    let where: { node: Node; path: string } | undefined
    const to = (kind: TargetKind) => (value: Node, at: string) => {
      if (where !== undefined) this.error(value, at, 'a target has one of loki, otlp and syslog; make two targets')
      where = { node: value, path: at }
      read.kind = kind
      this.#place(value, at, kind, read)
    }
    const isMap = this.members(node, path, {
      name: (value, at) => this.set(read, 'name', this.#name(value, at)),
      ...Object.fromEntries(TARGET_KINDS.map((kind) => [kind, to(kind)])),
      begin: (value, at) => this.set(read, 'begin', this.oneOf(value, at, ['now', 'oldest'])),
      logs: (value, at) => this.set(read, 'logs', this.#logs(value, at)),
      metrics: (value, at) => this.set(read, 'metrics', this.#metrics(value, at)),
    })
    if (!isMap || node.kind !== 'map') return undefined
    if (!node.entries.has('name')) this.error(node, path, 'needs a name')
    if (where === undefined) this.error(node, path, 'needs a loki, otlp or syslog, with a url')
    const { name, kind, url } = read
    if (name === undefined || kind === undefined || url === undefined || where === undefined) return undefined
    const target = { ...(read as ForwardTarget), name, kind, url }
    for (const { field, fault } of targetFaults(target)) this.#fault(node, path, where, field, fault)
    return target
  }

  /** Told where the field stands. */
  #fault(node: MapNode, path: string, where: { node: Node; path: string }, field: string, fault: string): void {
    const within = where.node.kind === 'map' ? where.node.entries.get(field)?.value : undefined
    if (within !== undefined) this.error(within, `${where.path}.${field}`, fault)
    else this.error(node.entries.get(field)?.value ?? where.node, `${path}.${field}`, fault)
  }

  #place(node: Node, path: string, kind: TargetKind, read: Partial<ForwardTarget>): void {
    const common: Readers = {
      url: (value, at) => this.set(read, 'url', this.text(value, at, 2048)),
      ca_file: (value, at) => this.set(read, 'ca', this.#ca(value, at)),
    }
    const ofHttp: Readers = {
      token: (value, at) => this.set(read, 'token', this.#token(value, at)),
      user: (value, at) => this.set(read, 'user', this.text(value, at, 256)),
      password: (value, at) => this.set(read, 'password', this.text(value, at, 4096)),
      headers: (value, at) => this.set(read, 'headers', this.#headers(value, at)),
    }
    const ofKind: Record<TargetKind, Readers> = {
      loki: {
        ...ofHttp,
        tenant: (value, at) => this.set(read, 'tenant', this.#tenant(value, at)),
        metadata: (value, at) => this.set(read, 'metadata', this.boolean(value, at)),
      },
      otlp: ofHttp,
      syslog: { facility: (value, at) => this.set(read, 'facility', this.oneOf(value, at, FACILITIES)) },
    }
    const isMap = this.members(node, path, { ...common, ...ofKind[kind] })
    if (isMap && node.kind === 'map' && !node.entries.has('url')) this.error(node, path, 'needs a url')
  }

  #logs(node: Node, path: string): LinesWanted | null | undefined {
    const all = this.#switch(node)
    if (all !== undefined) return all ? ALL_LINES : null
    const wanted = structuredClone(ALL_LINES)
    this.members(node, path, {
      services: (value, at) => this.set(wanted, 'services', this.#names(value, at)),
      stacks: (value, at) => this.set(wanted, 'stacks', this.#names(value, at)),
      streams: (value, at) => {
        const streams = this.#list(value).map((item, index) => this.oneOf(item, `${at}[${index}]`, STREAMS))
        wanted.streams = [...new Set(streams)].flatMap((stream) => STREAMS.find((each) => each === stream) ?? [])
      },
      level: (value, at) => this.set(wanted, 'level', this.oneOf(value, at, LEVELS)),
    })
    return wanted
  }

  #metrics(node: Node, path: string): ForwardTarget['metrics'] | undefined {
    const all = this.#switch(node)
    if (all !== undefined) return all ? { everyMs: METRICS_EVERY_MS.default } : null
    const metrics = { everyMs: METRICS_EVERY_MS.default }
    this.members(node, path, {
      every: (value, at) => {
        const everyMs = this.duration(value, at)
        if (everyMs === undefined) return
        if (everyMs >= METRICS_EVERY_MS.min && everyMs <= METRICS_EVERY_MS.max) metrics.everyMs = everyMs
        else this.error(value, at, 'must be from 5s to 1h')
      },
    })
    return metrics
  }

  /** `logs: true`, `metrics: false`; undefined: it says more than that. */
  #switch(node: Node): boolean | undefined {
    return node.kind === 'scalar' && typeof node.value === 'boolean' ? node.value : undefined
  }

  #names(node: Node, path: string): string[] {
    const items = this.#list(node)
    if (items.length > NAMES_MAX) this.error(node, path, `holds more than ${NAMES_MAX} names`)
    return items.flatMap((item, index) => {
      const text = textOf(item) ?? ''
      if (new RegExp(NAME_WANTED).test(text)) return text
      return this.error(item, `${path}[${index}]`, `"${text}" is not a name; write it like shop_api or shop_*`) ?? []
    })
  }

  #list(node: Node): Node[] {
    if (isNull(node)) return []
    return node.kind === 'list' ? node.items : [node]
  }

  #name(node: Node, path: string): string | undefined {
    const text = textOf(node) ?? ''
    if (new RegExp(TARGET_NAME).test(text)) return text
    return this.error(node, path, `"${text}" is not a name: up to 40 small letters, digits and hyphens`)
  }

  // What follows may be a secret, so that its value is not repeated.

  #token(node: Node, path: string): string | undefined {
    const text = this.text(node, path, 4096)
    if (text === undefined || /^[!-~]+$/.test(text)) return text
    return this.error(node, path, 'must be printable ASCII without spaces')
  }

  #tenant(node: Node, path: string): string | undefined {
    const text = this.text(node, path, 150)
    if (text === undefined || /^[A-Za-z0-9!_.*'()|-]+$/.test(text)) return text
    return this.error(node, path, "must be letters, digits and !-_.*'()|")
  }

  #headers(node: Node, path: string): Record<string, string> | undefined {
    if (node.kind !== 'map') return this.error(node, path, 'must be a mapping of names to values')
    if (node.entries.size > HEADERS_MAX) return this.error(node, path, `holds more than ${HEADERS_MAX}`)
    const headers: Record<string, string> = {}
    for (const [name, { keyPlace, value }] of node.entries) {
      if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(name)) {
        this.findings.error(keyPlace, `${path}.${name}`, 'is not the name of a header')
        continue
      }
      const text = this.text(value, `${path}.${name}`, 4096)
      if (text === undefined) continue
      if (/^[ -~]*$/.test(text)) headers[name] = text
      else this.error(value, `${path}.${name}`, 'must be printable ASCII')
    }
    return headers
  }

  #ca(node: Node, path: string): string | undefined {
    const named = this.text(node, path, 4096)
    if (named === undefined) return undefined
    let text: string
    try {
      text = this.#readCa(named)
    } catch (error) {
      return this.error(node, path, (error as Error).message)
    }
    if (text.length > CA_CHARS_MAX)
      return this.error(node, path, `names a file of more than ${CA_CHARS_MAX} characters`)
    if (/-----BEGIN CERTIFICATE-----/.test(text) && !/PRIVATE KEY-----/.test(text)) return text
    return this.error(node, path, 'must name a file with certificates (PEM), and no key')
  }
}
