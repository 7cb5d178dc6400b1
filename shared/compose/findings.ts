/** What a Compose file has wrong, or says in vain: always with the place. */
export type Finding = {
  level: 'error' | 'warning'
  /** As the user wrote it, or relative to the working directory. Empty when no file is to blame. */
  file: string
  /** From 1; 0 when the finding is about the file as a whole. */
  line: number
  column: number
  /** `services.api.deploy.resources.limits.memory`, `services.api.ports[0]`; empty when no field is to blame. */
  path: string
  message: string
}

/** Where something was written. */
export type Place = { file: string; line: number; column: number }

/** Thrown when a stack cannot be made of the files; holds the warnings too. */
export class ComposeError extends Error {
  readonly findings: Finding[]

  constructor(findings: Finding[]) {
    super(findings.map(formatFinding).join('\n'))
    this.name = 'ComposeError'
    this.findings = findings
  }
}

/** `compose.yaml:14:7  services.api.deploy.resources.limits.memory: "2GBB" is not a size; write it like 512M or 2G` */
export function formatFinding(finding: Finding): string {
  const position = finding.line > 0 ? `:${finding.line}:${finding.column}` : ''
  const place = finding.file === '' ? '' : `${finding.file}${position}  `
  const path = finding.path === '' ? '' : `${finding.path}: `
  return `${place}${finding.level === 'warning' ? 'warning: ' : ''}${path}${finding.message}`
}

/** More than this helps nobody; the last one says that there were more. */
const MAX_FINDINGS = 500

/** Collects findings while the files are read, so that all of them can be told at once. */
export class Findings {
  readonly all: Finding[] = []
  private readonly told = new Set<string>()
  /** What Berth does not honour: an error, or a warning when the user chose to go without it. */
  private readonly unsupportedLevel: 'error' | 'warning'

  constructor(options: { allowUnsupported: boolean }) {
    this.unsupportedLevel = options.allowUnsupported ? 'warning' : 'error'
  }

  error(place: Place, path: string, message: string): void {
    this.add('error', place, path, message)
  }

  warning(place: Place, path: string, message: string): void {
    this.add('warning', place, path, message)
  }

  /** Valid Compose whose absence would change what runs. */
  notHonoured(place: Place, path: string, message: string): void {
    this.add(this.unsupportedLevel, place, path, message)
  }

  get hasErrors(): boolean {
    return this.all.some((finding) => finding.level === 'error')
  }

  /** As one reads the files, from top to bottom; the files in the order in which they first had something. */
  sorted(): Finding[] {
    const files = [...new Set(this.all.map((finding) => finding.file))]
    const order = (a: Finding, b: Finding) =>
      files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column
    return this.all.toSorted(order)
  }

  private add(level: Finding['level'], place: Place, path: string, message: string): void {
    // A file that is read twice (extended from twice, say) has nothing new to tell.
    const key = `${level}\n${place.file}\n${place.line}:${place.column}\n${path}\n${message}`
    if (this.told.has(key) || this.all.length > MAX_FINDINGS) return
    this.told.add(key)
    const tooMany = this.all.length === MAX_FINDINGS
    const { file, line, column } = place
    if (tooMany)
      this.all.push({
        level: 'error',
        file,
        line,
        column,
        path: '',
        message: 'and more findings follow; mend these first',
      })
    else this.all.push({ level, file, line, column, path, message })
  }
}
