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
