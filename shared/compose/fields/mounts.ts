/** A service's `volumes` and `tmpfs` → mounts. */
import type { Mount } from '../../spec.ts'
import type { Field } from '../field.ts'
import { isHostPath } from '../paths.ts'
import { didYouMean } from '../suggest.ts'
import { parseBytes } from '../units.ts'
import type { Volume } from './volumes.ts'

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const
const LONG_FIELDS = ['type', 'source', 'target', 'read_only', 'consistency', 'bind', 'volume', 'tmpfs', 'image']
/** Hints for Docker Desktop; hosts that run Linux have nothing to do for them. */
const CONSISTENCIES = ['consistent', 'cached', 'delegated', 'default']
/** What the Engine does for a tmpfs unless told otherwise. */
const USUAL_TMPFS_OPTIONS = ['rw', 'noexec', 'nosuid', 'nodev']

export function readMounts(
  volumesField: Field | undefined,
  tmpfs: Field | undefined,
  volumes: Map<string, Volume>,
): Mount[] {
  const mounts: Mount[] = []
  const targets = new Set<string>()
  const add = (item: Field, mount: Mount | undefined) => {
    if (!mount) return
    const target = mount.target.replace(/(.)\/+$/, '$1')
    if (targets.has(target)) item.error(`${target} is mounted twice`)
    targets.add(target)
    mounts.push(mount)
  }
  for (const item of volumesField?.items() ?? []) {
    add(item, item.node.kind === 'map' ? readLong(item, volumes) : readShort(item, volumes))
  }
  for (const item of tmpfs?.oneOrMany() ?? []) add(item, readTmpfs(item))
  return mounts
}

function readShort(item: Field, volumes: Map<string, Volume>): Mount | undefined {
  const text = item.text()
  if (text === undefined) return undefined
  const parts = text.split(':')
  if (parts.length > 3 || parts.some((part) => part === '')) {
    return item.error(`"${text}" is not a volume; write it like data:/var/lib/data or ./conf:/etc/conf:ro`)
  }
  const [source, target, mode = ''] = parts.length === 1 ? [undefined, parts[0]!] : parts
  if (!isAbsolute(item, target!)) return undefined
  const options = readMode(item, mode)
  if (source === undefined) return { type: 'volume', target: target!, readOnly: false }
  if (isHostPath(source)) {
    return {
      type: 'bind',
      source,
      target: target!,
      readOnly: options.readOnly,
      ...(options.propagation && { propagation: options.propagation }),
      createHostPath: true,
    }
  }
  return namedMount(item, source, target!, options, volumes)
}

type ModeOptions = { readOnly: boolean; noCopy: boolean; propagation?: string }

function readMode(item: Field, mode: string): ModeOptions {
  const options: ModeOptions = { readOnly: false, noCopy: false }
  for (const word of mode === '' ? [] : mode.split(',')) {
    const propagation = PROPAGATIONS.find((each) => each === word)
    if (word === 'ro') options.readOnly = true
    else if (word === 'nocopy' || word === 'volume-nocopy') options.noCopy = true
    else if (propagation) options.propagation = propagation
    else if (word === 'z' || word === 'Z') item.warning(`${word} is not honoured: files are not relabelled for SELinux`)
    else if (word !== 'rw' && !CONSISTENCIES.includes(word)) {
      item.error(`"${word}" is not a mode of a volume; there are ro, rw, z, Z, nocopy and the propagations of a bind`)
    }
  }
  return options
}

function namedMount(
  item: Field,
  name: string,
  target: string,
  options: ModeOptions,
  volumes: Map<string, Volume>,
): Mount | undefined {
  const volume = volumes.get(name)
  if (!volume) {
    return item.error(
      `the volume "${name}" is not declared under the top-level "volumes"${didYouMean(name, volumes.keys())}`,
    )
  }
  return { type: 'volume', target, readOnly: options.readOnly, ...(options.noCopy && { noCopy: true }), ...volume }
}

function readLong(item: Field, volumes: Map<string, Volume>): Mount | undefined {
  item.onlyKnows(LONG_FIELDS)
  const type = item.get('type')
  const kind = type
    ? type.oneOf(['volume', 'bind', 'tmpfs', 'image', 'npipe', 'cluster'])
    : item.error('says no type: volume, bind or tmpfs')
  const target = item.get('target')?.string()
  if (kind === undefined) return undefined
  if (kind === 'image' || kind === 'npipe' || kind === 'cluster')
    return type!.notHonoured(`mounts of type ${kind} are not honoured yet`)
  if (target === undefined)
    return item.get('target') ? undefined : item.error('names no target, the path inside the container')
  if (!isAbsolute(item.get('target')!, target)) return undefined
  const readOnly = item.get('read_only')?.boolean() ?? false
  if (kind === 'tmpfs') return longTmpfs(item, target)
  const source = item.get('source')?.string()
  if (kind === 'bind') return longBind(item, source, target, readOnly)
  const options = item.get('volume')
  options?.onlyKnows(['nocopy', 'subpath', 'labels'])
  options?.get('subpath')?.notHonoured('is not honoured yet: the whole volume would be mounted')
  const noCopy = options?.get('nocopy')?.boolean() ?? false
  if (source === undefined) return { type: 'volume', target, readOnly, ...(noCopy && { noCopy }) }
  return namedMount(item.get('source')!, source, target, { readOnly, noCopy }, volumes)
}

function longBind(item: Field, source: string | undefined, target: string, readOnly: boolean): Mount | undefined {
  if (source === undefined)
    return item.get('source') ? undefined : item.error('a bind names its source, a path on the host')
  const options = item.get('bind')
  options?.onlyKnows(['propagation', 'create_host_path', 'selinux', 'recursive'])
  options?.get('selinux')?.warning('is not honoured: files are not relabelled for SELinux')
  const recursive = options?.get('recursive')
  if (recursive && recursive.oneOf(['enabled', 'disabled', 'writable', 'readonly']) !== 'enabled') {
    recursive.notHonoured('is not honoured yet: mounts below the source come along as they are')
  }
  const propagation = options?.get('propagation')?.oneOf(PROPAGATIONS)
  const createHostPath = options?.get('create_host_path')?.boolean() ?? true
  return { type: 'bind', source, target, readOnly, ...(propagation && { propagation }), createHostPath }
}

function longTmpfs(item: Field, target: string): Mount {
  const options = item.get('tmpfs')
  options?.onlyKnows(['size', 'mode'])
  const sizeBytes = options?.get('size')?.bytes()
  const mode = options?.get('mode') && readPermissions(options.get('mode')!)
  return { type: 'tmpfs', target, ...(sizeBytes !== undefined && { sizeBytes }), ...(mode !== undefined && { mode }) }
}

/** `/run:size=64m,mode=1777` */
function readTmpfs(item: Field): Mount | undefined {
  const text = item.text()
  if (text === undefined) return undefined
  const colon = text.indexOf(':')
  const target = colon < 0 ? text : text.slice(0, colon)
  if (!isAbsolute(item, target)) return undefined
  const mount: Extract<Mount, { type: 'tmpfs' }> = { type: 'tmpfs', target }
  for (const option of colon < 0 ? [] : text.slice(colon + 1).split(',')) {
    const [name = '', value = ''] = option.split('=')
    if (name === 'size')
      mount.sizeBytes = parseBytes(value) ?? item.error(`"${value}" is not a size; write it like 512M or 2G`)
    else if (name === 'mode') mount.mode = octal(value) ?? item.error(`"${value}" is not a mode; write it like 1777`)
    else if (!USUAL_TMPFS_OPTIONS.includes(option))
      item.notHonoured(`the option "${option}" of a tmpfs is not honoured yet`)
  }
  return mount
}

/** YAML 1.1 wrote octal numbers with a leading 0, YAML 1.2 with 0o; other numbers are meant as they are. */
function readPermissions(field: Field): number | undefined {
  const text = field.text()
  if (text === undefined) return undefined
  return /^0o?[0-7]+$/.test(text) ? octal(text.replace('o', '')) : field.integer({ min: 0, max: 0o7777 })
}

function octal(text: string): number | undefined {
  return /^[0-7]{1,5}$/.test(text) ? Number.parseInt(text, 8) : undefined
}

function isAbsolute(field: Field, target: string): boolean {
  if (target.startsWith('/')) return true
  field.error(`"${target}" is not an absolute path; a container mounts at one like /data`)
  return false
}
