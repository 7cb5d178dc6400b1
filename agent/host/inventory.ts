import { readdir, statfs } from 'node:fs/promises'
import os from 'node:os'
import { join } from 'node:path'
import { FORBIDDEN_KEY } from '../../shared/names.ts'
import type { GenericResources } from '../../shared/spec.ts'
import { wellFormedCut } from '../../shared/text.ts'
import type { NodeInventory } from '../../shared/wire/up.ts'
import type { ReadInventory } from '../parts.ts'
import { CGROUP_ROOT } from './cgroup.ts'
import { type CgroupLimits, readCgroupLimits } from './host-cgroup.ts'

/** How long a reading holds: hosts change their addresses and kernels seldom, and asking starts programs. */
export const INVENTORY_EVERY_MS = 10 * 60_000
/** A hanging program must not keep the agent from its first hello. */
const ASK_LIMIT_MS = 5000
const ADDRESSES_MAX = 64
/** What a hello may hold. */
const NAME_CHARS_MAX = 256
const LABEL_CHARS_MAX = 1024

export type InventoryOptions = {
  /** Labels of the Engine's own configuration (`dockerd --label`). */
  engineLabels?: () => Promise<Record<string, string>>
  /** The folder in which the Engine keeps its data. */
  dataRoot?: () => Promise<string>
  /** Countable things that the operator says this host has; win over what is found. */
  resources?: GenericResources
  /** The cgroup that is this host, where it shares its kernel with others: what that may use is what this host has. */
  hostCgroup?: string
  procRoot?: string
  cgroupRoot?: string
  now?: () => number
  ask?: AskHost
}

/** The slow facts of the host that Node itself does not know. */
export type HostFacts = { kernel?: string; cpuModel?: string }
export type AskHost = () => Promise<HostFacts>

/**
 * The slow facts of this host; asked anew at most every ten minutes, or when the caller knows that they have changed. Never
 * rejects: what cannot be had is left out.
 */
export function createReadInventory(options: InventoryOptions = {}): ReadInventory {
  const now = options.now ?? (() => performance.now())
  let kept: { inventory: Promise<NodeInventory>; atMs: number } | null = null
  return ({ anew = false } = {}) => {
    if (anew || kept === null || now() - kept.atMs >= INVENTORY_EVERY_MS) {
      kept = { inventory: readInventory(options), atMs: now() }
    }
    return kept.inventory
  }
}

async function readInventory(options: InventoryOptions): Promise<NodeInventory> {
  const { ask = askSystemInformation, engineLabels, dataRoot, resources, procRoot = '/proc' } = options
  const [facts, labels, diskBytes, gpus] = await Promise.all([
    withinLimit(ask(), {} as HostFacts),
    withinLimit(engineLabels?.() ?? Promise.resolve<Record<string, string>>({}), {}),
    withinLimit(dataRoot?.().then(diskSize) ?? Promise.resolve(null), null),
    withinLimit(countGpus(procRoot), 0),
  ])
  const { hostCgroup, cgroupRoot = CGROUP_ROOT } = options
  const limits = hostCgroup === undefined ? NO_LIMITS : readCgroupLimits(hostCgroup, cgroupRoot)
  const cores = os.cpus().length || os.availableParallelism()
  const generic = { ...(gpus > 0 && { gpu: gpus }), ...resources }
  return {
    hostname: wellFormedCut(os.hostname(), NAME_CHARS_MAX),
    os: os.platform(),
    arch: os.arch(),
    kernel: wellFormedCut(facts.kernel ?? os.release(), NAME_CHARS_MAX),
    cpuCores: Math.min(cores, limits.cpuCores ?? cores),
    memoryBytes: Math.min(os.totalmem(), limits.memoryBytes ?? os.totalmem()),
    ...(diskBytes !== null && { diskBytes }),
    ...(Object.keys(generic).length > 0 && { generic }),
    ...optional('cpuModel', wellFormedCut(facts.cpuModel ?? os.cpus()[0]?.model ?? '', NAME_CHARS_MAX)),
    addresses: outwardAddresses(os.networkInterfaces()),
    engineLabels: fitting(labels),
  }
}

const NO_LIMITS: CgroupLimits = { cpuCores: null, memoryBytes: null }

/** Of an Engine on another machine the folder is not here: then the disk is not known. */
async function diskSize(folder: string): Promise<number> {
  const { blocks, bsize } = await statfs(folder)
  return blocks * bsize
}

/** NVIDIA's driver names each card by a folder. */
async function countGpus(procRoot: string): Promise<number> {
  return (await readdir(join(procRoot, 'driver/nvidia/gpus'))).length
}

/** What others wrote into the Engine's configuration must not keep this host from greeting. */
function fitting(labels: Record<string, string>): Record<string, string> {
  const named = Object.entries(labels).filter(([name]) => name !== FORBIDDEN_KEY)
  return Object.fromEntries(
    named.map(([name, value]) => [wellFormedCut(name, NAME_CHARS_MAX), wellFormedCut(value, LABEL_CHARS_MAX)]),
  )
}

/** Addresses by which other hosts may reach this one; those of container bridges reach nobody else. */
export function outwardAddresses(interfaces: NodeJS.Dict<os.NetworkInterfaceInfo[]>): string[] {
  return Object.entries(interfaces)
    .filter(([name]) => !/^(docker|br-|veth|virbr|cni)/.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith('fe80:'))
    .map(({ address }) => address)
    .slice(0, ADDRESSES_MAX)
}

/** Loaded when it is asked for, and of it only what is: the whole of it is large, and for ten minutes at a time nobody needs it. */
async function askSystemInformation(): Promise<HostFacts> {
  const [{ osInfo }, { cpu: cpuInfo }] = await Promise.all([
    import('systeminformation/lib/osinfo.js'),
    import('systeminformation/lib/cpu.js'),
  ])
  const [system, cpu] = await Promise.all([osInfo(), cpuInfo()])
  const cpuModel = [cpu.manufacturer, cpu.brand].filter(Boolean).join(' ')
  return {
    ...optional('kernel', system.kernel),
    ...optional('cpuModel', cpuModel),
  }
}

async function withinLimit<Value>(asked: Promise<Value>, otherwise: Value): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<Value>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ASK_LIMIT_MS)
  })
  return Promise.race([asked.catch(() => otherwise), limit]).finally(() => clearTimeout(timer))
}

function optional<Name extends string>(name: Name, value: string | undefined): { [name in Name]?: string } {
  return value === undefined || value === '' ? {} : ({ [name]: value } as { [name in Name]?: string })
}
