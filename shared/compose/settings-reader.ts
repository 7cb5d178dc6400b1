/** What files with settings of the cluster (alerts, forwarding) are read with: each member by name, each fault with line and field. */
import { ComposeError, Findings } from './findings.ts'
import { parseYaml } from './parse.ts'
import { didYouMean } from './suggest.ts'
import { type Entry, joinPath, type MapNode, type Node, textOf } from './tree.ts'
import { parseBytes, parseDurationMs } from './units.ts'

const YEAR_MS = 366 * 86_400_000

/**
 * One YAML document. `is`: what such a file is; `whenEmpty`: how to say that nothing is wanted, which nobody means by a file
 * that came out empty.
 * @throws ComposeError with every finding
 */
export function readSettings<Settings>(
  { text, file, is, whenEmpty }: { text: string; file: string; is: string; whenEmpty: string },
  read: (root: MapNode, findings: Findings) => Settings,
): Settings {
  const findings = new Findings({ allowUnsupported: false })
  const documents = parseYaml(text, file, findings, is)
  const root = documents?.[0]
  if (documents !== undefined && documents.length > 1) {
    findings.error(documents[1]!.place, '', 'holds more than one YAML document; keep to one')
  }
  if (documents?.length === 0) findings.error({ file, line: 1, column: 1 }, '', `is empty; ${whenEmpty}`)
  const settings = root === undefined ? undefined : read(root, findings)
  if (settings === undefined || findings.hasErrors) throw new ComposeError(findings.sorted())
  return settings
}

/** Reads values; what is wrong becomes a finding, and the value is undefined. */
export class SettingsReader {
  protected readonly findings: Findings
  constructor(findings: Findings) {
    this.findings = findings
  }

  /** Calls what reads each member. Names that nobody reads are errors. False: it is no mapping. */
  protected members(node: Node, path: string, readers: Record<string, (value: Node, path: string) => void>): boolean {
    if (node.kind !== 'map') {
      this.error(node, path, `must be a mapping with ${Object.keys(readers).join(', ')}`)
      return false
    }
    for (const [name, { keyPlace, value }] of node.entries as Map<string, Entry>) {
      const read = Object.hasOwn(readers, name) ? readers[name] : undefined
      const at = joinPath(path, name)
      if (read) read(value, at)
      else {
        const hint = didYouMean(name, Object.keys(readers))
        this.findings.error(
          keyPlace,
          at,
          `is not known here${hint || `; there are ${Object.keys(readers).join(', ')}`}`,
        )
      }
    }
    return true
  }

  protected set<Target extends object, Name extends keyof Target>(target: Target, name: Name, value: unknown): void {
    if (value !== undefined) target[name] = value as Target[Name]
  }

  protected error(node: Node, path: string, message: string): undefined {
    this.findings.error(node.place, path, message)
  }

  protected text(node: Node, path: string, lengthMax: number): string | undefined {
    const text = textOf(node)
    if (text === undefined || text === '') return this.error(node, path, 'must be a text')
    if (text.length > lengthMax) return this.error(node, path, `must be no longer than ${lengthMax} characters`)
    return text
  }

  protected duration(node: Node, path: string): number | undefined {
    const text = textOf(node) ?? ''
    const ms = parseDurationMs(text)
    if (ms === undefined || ms > YEAR_MS) {
      return this.error(node, path, `"${text}" is not a duration; write it like 30s, 10m or 4h`)
    }
    return ms
  }

  protected bytes(node: Node, path: string): number | undefined {
    const text = textOf(node) ?? ''
    const count = parseBytes(text)
    if (count === undefined || count < 2 ** 20) {
      return this.error(node, path, `"${text}" is not a size of at least 1M; write it like 512M or 2G`)
    }
    return count
  }

  protected count(node: Node, path: string, min: number, max: number): number | undefined {
    const text = textOf(node) ?? ''
    const count = Number(text)
    if (/^\d{1,9}$/.test(text) && count >= min && count <= max) return count
    return this.error(node, path, `"${text}" is not a whole number from ${min} to ${max}`)
  }

  protected boolean(node: Node, path: string): boolean | undefined {
    const word = this.oneOf(node, path, ['true', 'false'])
    return word === undefined ? undefined : word === 'true'
  }

  protected oneOf(node: Node, path: string, words: readonly string[]): string | undefined {
    const text = textOf(node) ?? ''
    return words.includes(text) ? text : this.error(node, path, `"${text}" must be ${words.join(' or ')}`)
  }
}
