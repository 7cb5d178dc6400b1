/** Several Compose files → one tree: interpolated, extended, included, merged, every value with its place. */
import path from 'node:path'
import { resolveExtends } from './extends.ts'
import type { Place } from './findings.ts'
import { includeModels } from './include.ts'
import { interpolateTree } from './interpolate-tree.ts'
import { mergeMaps } from './merge.ts'
import { absolutePaths } from './paths.ts'
import type { Environment, ReadSession } from './session.ts'
import { emptyMap, type MapNode, withoutMember } from './tree.ts'

export type ModelRequest = {
  session: ReadSession
  /** Absolute paths, or `-`. */
  files: string[]
  /** What relative paths in these files start from. */
  directory: string
  environment: Environment
  /** The files that include these ones, outermost first. */
  includedBy: string[]
  /** What to point at when a file cannot be read; the file itself when absent. */
  blame?: { place: Place; path: string }
}

export async function loadModel(request: ModelRequest): Promise<MapNode> {
  const { session, directory, environment } = request
  let model = emptyMap()
  for (const file of request.files) {
    const documents = await session.documents(file, request.blame ?? { place: session.startOf(file), path: '' })
    for (const document of documents ?? []) {
      const tree = absolutePaths(
        interpolateTree(document, (name) => own(environment, name), session),
        directory,
        environment.HOME,
      )
      const included = await includeModels(tree, file, request)
      const extended = await resolveExtends(withoutMember(included, 'include'), file, model, request)
      model = mergeMaps(model, extended, { findings: session.findings })
    }
  }
  return model
}

/** Only what the environment has itself: a variable called `constructor` is not set. */
export function own(environment: Environment, name: string): string | undefined {
  return Object.hasOwn(environment, name) ? environment[name] : undefined
}

export function directoryOf(file: string, session: ReadSession): string {
  return file === '-' ? session.workingDirectory : path.dirname(file)
}
