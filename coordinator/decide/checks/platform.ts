import { canonicalArch } from '../../../shared/arch.ts'
import type { Node, Refusal, ServiceVersion } from '../../world.ts'
import type { Check } from './check.ts'

/**
 * A spec that names its platform (`linux/arm64`) runs on nodes of that platform. Unnamed: the image decides at the pull, and
 * a platform that it turned out not to be made for is not tried again.
 */
export const platform: Check = ({ version }, { node }) => {
  const wanted = version.spec.task.container.platform
  if (node.inventory === null) return null
  if (wanted === undefined) return refused(version, node)
  const [os, arch] = wanted.split('/')
  const { inventory } = node
  const fits = (!os || os === inventory.os) && (!arch || canonicalArch(arch) === canonicalArch(inventory.arch))
  if (fits) return null
  return { node: node.name, check: 'platform', figures: { wanted, has: `${inventory.os}/${inventory.arch}` } }
}

function refused(version: ServiceVersion, node: Node): Refusal | null {
  const has = platformOf(node)
  if (has === null || !version.refusedPlatforms?.includes(has)) return null
  return { node: node.name, check: 'platform', figures: { wanted: null, has } }
}

/** `linux/arm64`, as images say it; null: not known yet. */
export function platformOf({ inventory }: Pick<Node, 'inventory'>): string | null {
  return inventory && `${inventory.os}/${canonicalArch(inventory.arch)}`
}
