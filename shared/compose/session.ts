/** One reading of Compose files: what all its parts share, and the bounds on what they may read. */
import path from 'node:path'
import { Findings, type Place } from './findings.ts'
import { parseYaml } from './parse.ts'
import type { MapNode } from './tree.ts'

export type Environment = Record<string, string>

export type ComposeOptions = {
  /** Paths of Compose files, the first being the base; `-` is what `readFile('-')` answers. None: the usual names are tried. */
  files: string[]
  /** The stack's name; else COMPOSE_PROJECT_NAME, else the file's `name:`, else the project directory's name. */
  stack?: string
  profiles: string[]
  /** The process's environment. */
  environment: Environment
  /** Gets absolute paths (or `-`); rejects with the code ENOENT for what is not there. */
  readFile: (path: string) => Promise<string>
  /** Where relative paths in the files start; the first file's directory when absent. */
  projectDirectory?: string
  /** Instead of the project directory's `.env`. */
  envFiles?: string[]
  /** What is not honoured yet is warned about instead of refused. */
  allowUnsupported?: boolean
  /** Where relative paths in these options start; the process's directory when absent. */
  workingDirectory?: string
}

const MAX_FILE_BYTES = 4 * 2 ** 20
const MAX_FILES = 200

export class ReadSession {
  readonly options: ComposeOptions
  readonly findings: Findings
  readonly workingDirectory: string
  private readonly texts = new Map<string, Promise<string | undefined>>()
  private readonly trees = new Map<string, Promise<MapNode[] | undefined>>()
  private readonly shownAs = new Map<string, string>()
  private modelsLoaded = 0
  private readonly made = new WeakMap<Environment, Map<string, MapNode>>()
  private readonly unsetTold = new Set<string>()

  constructor(options: ComposeOptions) {
    this.options = options
    this.findings = new Findings({ allowUnsupported: options.allowUnsupported ?? false })
    this.workingDirectory = options.workingDirectory ?? process.cwd()
  }

  /** The absolute path of what an option names; findings will show it as it was written there. */
  fromOption(written: string): string {
    if (written === '-') return '-'
    const absolute = path.resolve(this.workingDirectory, written)
    this.shownAs.set(absolute, written)
    return absolute
  }

  /** How findings name a file. */
  show(absolute: string): string {
    const known = this.shownAs.get(absolute)
    if (known !== undefined) return known
    if (absolute === '-') return '(standard input)'
    const relative = path.relative(this.workingDirectory, absolute)
    return relative.startsWith('..') || relative === '' ? absolute : relative
  }

  startOf(absolute: string): Place {
    return { file: this.show(absolute), line: 0, column: 0 }
  }

  async exists(absolute: string): Promise<boolean> {
    try {
      await this.options.readFile(absolute)
      return true
    } catch {
      return false
    }
  }

  /** The YAML documents of a file; undefined, with a finding at `blame`, when they cannot be had. */
  documents(absolute: string, blame: { place: Place; path: string }): Promise<MapNode[] | undefined> {
    let trees = this.trees.get(absolute)
    if (!trees) {
      trees = this.text(absolute, blame).then((text) =>
        text === undefined ? undefined : parseYaml(text, this.show(absolute), this.findings),
      )
      this.trees.set(absolute, trees)
    }
    return trees
  }

  text(absolute: string, blame: { place: Place; path: string }): Promise<string | undefined> {
    let text = this.texts.get(absolute)
    if (!text) {
      text = this.readBounded(absolute, blame)
      this.texts.set(absolute, text)
    }
    return text
  }

  /** Counts one more model on its way; false when a web of includes has grown beyond reason. */
  mayLoadModel(): boolean {
    return ++this.modelsLoaded <= MAX_FILES
  }

  /** What `make` came to when it was last asked about this file in this environment. */
  once(environment: Environment, file: string, make: () => MapNode): MapNode {
    let trees = this.made.get(environment)
    if (!trees) {
      trees = new Map()
      this.made.set(environment, trees)
    }
    const tree = trees.get(file) ?? make()
    trees.set(file, tree)
    return tree
  }

  /** Once for each variable and file, as a second reading of the same line would say nothing new. */
  warnOfUnset(name: string, place: Place, path: string): void {
    const key = `${place.file}\n${name}`
    if (this.unsetTold.has(key)) return
    this.unsetTold.add(key)
    this.findings.warning(place, path, `the variable ${name} is not set; an empty text stands in its place`)
  }

  private async readBounded(absolute: string, blame: { place: Place; path: string }): Promise<string | undefined> {
    const fail = (message: string): undefined => {
      this.findings.error(blame.place, blame.path, message)
      return undefined
    }
    if (this.texts.size >= MAX_FILES) return fail(`more than ${MAX_FILES} files belong to this stack`)
    try {
      const text = await this.options.readFile(absolute)
      if (Buffer.byteLength(text) > MAX_FILE_BYTES) return fail(`${this.show(absolute)} is larger than 4 MiB`)
      return text
    } catch (error) {
      return fail(whyUnreadable(this.show(absolute), error))
    }
  }
}

function whyUnreadable(shown: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return `there is no file ${shown}`
  if (code === 'EISDIR') return `${shown} is a directory, not a file`
  if (code === 'EACCES') return `${shown} may not be read by this user`
  return `${shown} cannot be read: ${error instanceof Error ? error.message : String(error)}`
}
