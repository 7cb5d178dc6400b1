import type { Check } from './check.ts'

/** A spec that names its platform (`linux/arm64`) runs on nodes of that platform. Unnamed: the image decides at the pull. */
export const platform: Check = ({ version }, { node }) => {
  const wanted = version.spec.task.container.platform
  if (wanted === undefined || node.inventory === null) return null
  const [os, arch] = wanted.split('/')
  const { inventory } = node
  const fits = (!os || os === inventory.os) && (!arch || canonicalArch(arch) === canonicalArch(inventory.arch))
  if (fits) return null
  return { node: node.name, check: 'platform', figures: { wanted, has: `${inventory.os}/${inventory.arch}` } }
}

/** Engines say `x86_64`, images say `amd64`. */
export function canonicalArch(arch: string): string {
  return SAME_ARCH[arch] ?? arch
}

const SAME_ARCH: Record<string, string> = {
  x86_64: 'amd64',
  x64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'arm',
  i686: '386',
}
