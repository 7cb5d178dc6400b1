import os from 'node:os'
import type { NodeInventory } from '../../shared/wire/up.ts'
import type { ReadInventory } from '../parts.ts'

/** How long a reading holds: hosts change their addresses and kernels seldom, and asking starts programs. */
export const INVENTORY_EVERY_MS = 10 * 60_000
/** A hanging program must not keep the agent from its first hello. */
const ASK_LIMIT_MS = 5000
const ADDRESSES_MAX = 64

export type InventoryOptions = {
  /** Labels of the Engine's own configuration (`dockerd --label`). */
  engineLabels?: () => Promise<Record<string, string>>
  now?: () => number
  ask?: AskHost
}

/** The slow facts of the host that Node itself does not know. */
export type HostFacts = { kernel?: string; cpuModel?: string }
export type AskHost = () => Promise<HostFacts>

/** The slow facts of this host; asked anew at most every ten minutes. Never rejects: what cannot be had is left out. */
export function createReadInventory(options: InventoryOptions = {}): ReadInventory {
  const now = options.now ?? (() => performance.now())
  let kept: { inventory: Promise<NodeInventory>; atMs: number } | null = null
  return () => {
    if (kept === null || now() - kept.atMs >= INVENTORY_EVERY_MS) {
      kept = { inventory: readInventory(options.ask ?? askSystemInformation, options.engineLabels), atMs: now() }
    }
    return kept.inventory
  }
}

async function readInventory(ask: AskHost, engineLabels: InventoryOptions['engineLabels']): Promise<NodeInventory> {
  const [facts, labels] = await Promise.all([
    withinLimit(ask(), {} as HostFacts),
    withinLimit(engineLabels?.() ?? Promise.resolve<Record<string, string>>({}), {}),
  ])
  return {
    hostname: os.hostname().slice(0, 256),
    os: os.platform(),
    arch: os.arch(),
    kernel: (facts.kernel ?? os.release()).slice(0, 256),
    cpuCores: os.cpus().length || os.availableParallelism(),
    memoryBytes: os.totalmem(),
    ...optional('cpuModel', (facts.cpuModel ?? os.cpus()[0]?.model)?.slice(0, 256)),
    addresses: outwardAddresses(os.networkInterfaces()),
    engineLabels: Object.fromEntries(
      Object.entries(labels).map(([name, value]) => [name.slice(0, 256), value.slice(0, 1024)]),
    ),
  }
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

/** Loaded when it is asked for: it is large, and for ten minutes at a time nobody needs it. */
async function askSystemInformation(): Promise<HostFacts> {
  const { default: information } = await import('systeminformation')
  const [system, cpu] = await Promise.all([information.osInfo(), information.cpu()])
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
