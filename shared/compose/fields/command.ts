import type { Field } from '../field.ts'
import { shellWords } from '../shell-words.ts'

/** `command` or `entrypoint`: a list as it is, a line split as a shell would. An empty one clears what the image says. */
export function readCommand(field: Field | undefined): string[] | undefined {
  if (!field) return undefined
  if (field.node.kind === 'list') return field.texts()
  const line = field.text()
  if (line === undefined) return undefined
  return shellWords(line) ?? field.error('has a quote that is not closed, or ends in a backslash')
}
