/** YAML text → trees with places. Everything that YAML itself can get wrong is found here. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  type Pair,
  parseAllDocuments,
  Scalar,
  type Node as YamlNode,
} from 'yaml'
import type { Findings, Place } from './findings.ts'
import { type Entry, emptyMap, isNull, joinPath, type MapNode, type Node, nullNode, type Tag } from './tree.ts'

/** Aliases can make a short text mean a huge one; a file may mean this many values in all. */
export const MAX_VALUES_PER_FILE = 200_000
const MAX_DEPTH = 64

/** One map per YAML document of the text, or undefined when the text is no YAML that a Compose file can be. */
export function parseYaml(
  text: string,
  file: string,
  findings: Findings,
  wanted = 'a Compose file is a mapping with "services"',
): MapNode[] | undefined {
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  try {
    // `logLevel: silent`: the package must not print warnings; unknown tags are found below.
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      strict: true,
      logLevel: 'silent',
    })
    if (!Array.isArray(documents)) return []
    const errors = documents.flatMap((document) => document.errors)
    for (const error of errors) {
      findings.error(
        placeAt(error.pos[0]),
        '',
        yamlMessage(error.code, error.message, text.slice(error.pos[0], error.pos[0] + 80)),
      )
    }
    if (errors.length > 0) return undefined
    const trees = documents.map((document) => new TreeBuilder(document, placeAt, findings).build(wanted))
    return trees.some((tree) => tree === undefined) ? undefined : trees.filter((tree) => tree !== undefined)
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof TooMuch)) throw error
    const message = error instanceof TooMuch ? error.message : 'is nested too deeply'
    findings.error(error instanceof TooMuch ? error.place : { file, line: 1, column: 1 }, '', message)
    return undefined
  }
}

class TooMuch extends Error {
  readonly place: Place
  constructor(place: Place, message: string) {
    super(message)
    this.place = place
  }
}

function yamlMessage(code: string, message: string, source: string): string {
  if (code === 'DUPLICATE_KEY') return `the key "${source.split(/[\s:]/)[0]}" is written twice in one mapping`
  if (code === 'TAB_AS_INDENT') return 'not valid YAML: a tab indents this line; YAML wants spaces'
  return `not valid YAML: ${message}`
}

class TreeBuilder {
  private readonly document: Document.Parsed
  private readonly placeAt: (offset: number) => Place
  private readonly findings: Findings
  private values = 0
  private failed = false
  /** The package would read through the whole document for each alias. */
  private readonly anchored = new Map<string, YamlNode>()
  private expanding = 0
  /** The anchored nodes that are being built now: an alias to one of them would never end. */
  private readonly open = new Set<YamlNode>()

  constructor(document: Document.Parsed, placeAt: (offset: number) => Place, findings: Findings) {
    this.document = document
    this.placeAt = placeAt
    this.findings = findings
  }

  /** `wanted`: what the file should be, for the error when it is something else. */
  build(wanted: string): MapNode | undefined {
    const root = this.document.contents
    if (root === null || (isScalar(root) && root.value === null)) return emptyMap(this.placeAt(0))
    const tree = this.node(root, '', 0)
    if (tree.kind !== 'map') {
      this.findings.error(tree.place, '', `${wanted}; this is a ${kindName(tree)}`)
      return undefined
    }
    return this.failed ? undefined : tree
  }

  private node(yaml: YamlNode | null, path: string, depth: number): Node {
    const place = this.placeAt(yaml?.range?.[0] ?? 0)
    if (++this.values > MAX_VALUES_PER_FILE) {
      throw new TooMuch(place, `the file's aliases expand to more than ${MAX_VALUES_PER_FILE} values`)
    }
    if (depth > MAX_DEPTH) throw new TooMuch(place, `is nested more than ${MAX_DEPTH} deep`)
    if (yaml === null) return nullNode(place)
    if (isAlias(yaml)) return this.alias(yaml.source, place, path, depth)
    this.remember(yaml)
    this.open.add(yaml)
    const built = this.content(yaml, place, path, depth)
    this.open.delete(yaml)
    const tag = this.tag(yaml.tag, place, path)
    return tag ? { ...built, tag } : built
  }

  private alias(name: string, place: Place, path: string, depth: number): Node {
    const target = this.anchored.get(name)
    if (!target) return this.fail(place, path, `the alias *${name} has no anchor &${name} before it`)
    if (this.open.has(target)) return this.fail(place, path, `the alias *${name} contains itself`)
    this.expanding++
    const built = this.node(target, path, depth)
    this.expanding--
    return built
  }

  /** An alias means the latest anchor of its name before it. What an alias repeats has been read before, and is not later. */
  private remember(yaml: Exclude<YamlNode, null>): void {
    if (this.expanding === 0 && 'anchor' in yaml && yaml.anchor) this.anchored.set(yaml.anchor, yaml)
  }

  private content(yaml: Exclude<YamlNode, null>, place: Place, path: string, depth: number): Node {
    if (isScalar(yaml)) return this.scalar(yaml, place, path)
    if (isMap(yaml)) return this.map(yaml.items as Pair<YamlNode, YamlNode | null>[], place, path, depth)
    if ('items' in yaml) {
      const items = (yaml.items as YamlNode[]).map((item, index) => this.node(item, `${path}[${index}]`, depth + 1))
      return { kind: 'list', items, place }
    }
    return this.fail(place, path, 'is not a value that YAML knows')
  }

  private scalar(yaml: Scalar, place: Place, path: string): Node {
    const value = yaml.value
    if (typeof value === 'string') return { kind: 'scalar', value, text: value, place }
    if (value === null) return nullNode(place)
    if (typeof value === 'boolean') return { kind: 'scalar', value, text: String(value), place }
    if (typeof value === 'number') return { kind: 'scalar', value, text: yaml.source ?? String(value), place }
    return this.fail(place, path, 'is not a value that a Compose file can hold')
  }

  private map(pairs: Pair<YamlNode, YamlNode | null>[], place: Place, path: string, depth: number): MapNode {
    const entries = new Map<string, Entry>()
    const merged: Node[] = []
    for (const pair of pairs) {
      const keyPlace = this.placeAt(pair.key?.range?.[0] ?? 0)
      if (isScalar(pair.key)) this.remember(pair.key)
      const key = isScalar(pair.key) && pair.key.value !== null ? (keyText(pair.key) ?? '') : undefined
      if (key === undefined) {
        this.fail(keyPlace, path, 'a key must be a plain text')
        continue
      }
      const value = this.node(pair.value, joinPath(path, key), depth + 1)
      if (key === '<<' && isScalar(pair.key) && pair.key.type === Scalar.PLAIN) merged.push(value)
      else entries.set(key, { keyPlace, value: isNull(value) && !pair.value ? nullNode(keyPlace) : value })
    }
    for (const source of merged) this.mergeKey(entries, source, path)
    return { kind: 'map', entries, place }
  }

  /** `<<: *a` or `<<: [*a, *b]`: what the map says itself wins, then the earlier source. */
  private mergeKey(entries: Map<string, Entry>, source: Node, path: string): void {
    if (source.kind === 'list') {
      for (const item of source.items) this.mergeKey(entries, item, path)
    } else if (source.kind === 'map') {
      for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry)
    } else {
      this.fail(source.place, joinPath(path, '<<'), 'a merge key takes a mapping, or a list of them')
    }
  }

  private tag(tag: string | undefined, place: Place, path: string): Tag | undefined {
    if (tag === '!reset') return 'reset'
    if (tag === '!override') return 'override'
    if (tag?.startsWith('!') && tag !== '!')
      this.fail(place, path, `the tag ${tag} is unknown; Compose has !reset and !override`)
    return undefined
  }

  private fail(place: Place, path: string, message: string): Node {
    this.failed = true
    this.findings.error(place, path, message)
    return nullNode(place)
  }
}

function keyText(key: Scalar): string | undefined {
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
}

function kindName(node: Node): string {
  return node.kind === 'list' ? 'list' : 'single value'
}
