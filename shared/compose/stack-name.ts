import path from 'node:path'
import { STACK_NAME_PATTERN } from '../names.ts'
import type { Place } from './findings.ts'
import { interpolate } from './interpolate.ts'
import { own } from './model.ts'
import type { Environment, ReadSession } from './session.ts'
import { type MapNode, member, NOWHERE, textOf } from './tree.ts'

const MAX_LENGTH = 40

/** Option, else COMPOSE_PROJECT_NAME, else the last file's `name:`, else the project directory's name made to fit: Compose's own order. */
export function chooseStackName(
  session: ReadSession,
  documents: MapNode[],
  environment: Environment,
  directory: string,
): string {
  const { stack } = session.options
  if (stack !== undefined) return checked(session, stack, NOWHERE, '')
  const fromEnvironment = own(environment, 'COMPOSE_PROJECT_NAME')
  if (fromEnvironment) return checked(session, fromEnvironment, NOWHERE, 'COMPOSE_PROJECT_NAME')
  const named = documents.map((document) => member(document, 'name')).findLast((node) => textOf(node))
  const written = textOf(named)
  if (named && written !== undefined) {
    return checked(session, interpolate(written, (name) => own(environment, name)).text, named.place, 'name')
  }
  const fromDirectory = fitting(path.basename(directory))
  if (fromDirectory === '')
    session.findings.error(NOWHERE, '', 'the stack has no name; write "name:" in the file, or --stack NAME')
  return fromDirectory
}

function checked(session: ReadSession, name: string, place: Place, where: string): string {
  if (!new RegExp(STACK_NAME_PATTERN).test(name)) {
    const hint = fitting(name)
    const suggestion = hint === '' ? '' : `; "${hint}" would do`
    session.findings.error(
      place,
      where,
      `"${name}" is not a stack's name; small letters, digits and "-" make one, up to ${MAX_LENGTH}${suggestion}`,
    )
  }
  return name
}

/** `My_Shop.git` → `my-shop-git` */
function fitting(name: string): string {
  const plain = name.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  return plain.replace(/^-/, '').slice(0, MAX_LENGTH).replace(/-$/, '')
}
