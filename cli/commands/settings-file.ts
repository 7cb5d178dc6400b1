/** Files with settings of the cluster, as commands take them with `-f`. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { BerthError } from '../../shared/errors.ts'

/** `-` is standard input. @throws BerthError `invalid-file` when it cannot be read */
export async function settingsText(file: string): Promise<string> {
  if (file === '-') return text(process.stdin)
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new BerthError('invalid-file', `${file}: ${whyUnreadable(cause)}`, { cause })
  }
}

export function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`
}

/** What `read` gives. @throws BerthError `invalid-file` with every finding and its line */
export async function findingsTold<Settings>(read: () => Settings): Promise<Settings> {
  const { ComposeError, formatFinding } = await import('../../shared/compose/findings.ts')
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error
    const message = error.findings.map(formatFinding).join('\n')
    throw new BerthError('invalid-file', message, { cause: error, details: { findings: error.findings } })
  }
}
