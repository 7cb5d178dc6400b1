/**
 * Several test runs share one machine: each claims a slot, and with it a bridge, a subnet, folders and cgroups of its own.
 * A slot whose owner has ended (also by kill -9) is cleaned by whoever finds it: the next run, or the reaper that waits for
 * its owner's end. Nothing is killed by name: only what lives in the slot's namespaces and cgroups, or was recorded by it.
 */
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  end,
  identify,
  isAlive,
  launch,
  type ProcessIdentity,
  pause,
  processesInCgroup,
  run,
  signal,
} from './processes.ts'

const RUN_ROOT = '/run/berth-test'
const DATA_ROOT = '/var/lib/berth-test'
const SLOTS_MAX = 16
const CLEAN_ROUNDS_MAX = 100

export type Slot = {
  number: number
  /** `bt0`: the bridge, and the beginning of every namespace and cgroup. */
  name: string
  /** `10.78.0` */
  subnet: string
  /** The machine itself on the bridge: coordinator and registry listen here. */
  address: string
  runDir: string
  dataDir: string
}

export const CACHE_DIR = '/var/cache/berth-test'
export const SUBNETS = '10.78.0.0/16'

function slotOf(number: number): Slot {
  const subnet = `10.78.${number}`
  return {
    number,
    name: `bt${number}`,
    subnet,
    address: `${subnet}.1`,
    runDir: join(RUN_ROOT, String(number)),
    dataDir: join(DATA_ROOT, String(number)),
  }
}

/** Cleans what ended runs have left, then takes the first free slot for this process. */
export async function claimSlot(): Promise<Slot> {
  if (process.getuid?.() !== 0) throw new Error('tests with real engines need root (network namespaces, dockerd)')
  mkdirSync(RUN_ROOT, { recursive: true })
  await sweep()
  for (let number = 0; number < SLOTS_MAX; number++) {
    if (!takeOwnership(number)) continue
    const slot = slotOf(number)
    await clean(slot)
    mkdirSync(slot.runDir, { recursive: true })
    mkdirSync(slot.dataDir, { recursive: true })
    startReaper()
    return slot
  }
  throw new Error(`all ${SLOTS_MAX} slots in ${RUN_ROOT} belong to running tests; end some`)
}

export async function releaseSlot(slot: Slot): Promise<void> {
  await clean(slot)
  rmSync(ownerFile(slot.number), { force: true })
}

/** Cleans every slot whose owner has ended. */
export async function sweep(): Promise<void> {
  for (let number = 0; number < SLOTS_MAX; number++) {
    const owner = readOwner(number)
    if (owner === 'none' || (owner !== 'unreadable' && isAlive(owner))) continue
    if (!takeOver(number)) continue
    await releaseSlot(slotOf(number))
  }
}

/** Remembers a process that lives outside the slot's namespaces, so that cleaning ends it. */
export function record(slot: Slot, identity: ProcessIdentity): void {
  appendFileSync(join(slot.runDir, 'processes.jsonl'), `${JSON.stringify(identity)}\n`)
}

/** Ends every process of one host: those in its network namespace and those in its cgroups, shims and orphans included. */
export async function endHostProcesses(netns: string): Promise<void> {
  for (let round = 0; round < CLEAN_ROUNDS_MAX; round++) {
    const pids = (await run('ip', ['netns', 'pids', netns])).stdout.split('\n').filter(Boolean).map(Number)
    const inNamespace = pids.map(identify).filter((identity) => identity !== null)
    const found = [...inNamespace, ...processesInCgroup(netns)]
    if (found.length === 0) return
    for (const identity of found) signal(identity, 'SIGKILL')
    await pause(30)
  }
  throw new Error(`processes of ${netns} do not end`)
}

async function clean(slot: Slot): Promise<void> {
  for (const identity of recorded(slot)) await end(identity)
  const namespaces = (await run('ip', ['netns', 'list'])).stdout.split('\n').map((line) => line.split(' ')[0] ?? '')
  for (const netns of namespaces.filter((name) => name.startsWith(`${slot.name}-`))) {
    await endHostProcesses(netns)
    await run('ip', ['netns', 'del', netns])
    await removeCgroups(netns)
  }
  // The kernel takes a namespace's cables away some time after the namespace; whoever comes next would find them.
  for (const link of await linksOf(slot)) await run('ip', ['link', 'del', link])
  await run('ip', ['link', 'del', slot.name])
  await unmountBelow(slot.runDir)
  await unmountBelow(slot.dataDir)
  await rm(slot.runDir, { recursive: true, force: true })
  await rm(slot.dataDir, { recursive: true, force: true, maxRetries: 3 })
}

/** The machine's ends of the cables to its hosts: `bt0v1`. */
async function linksOf(slot: Slot): Promise<string[]> {
  const { stdout } = await run('ip', ['-o', 'link', 'show', 'type', 'veth'])
  const names = stdout.split('\n').map((line) => /^\d+: ([^@:]+)/.exec(line)?.[1] ?? '')
  return names.filter((name) => name.startsWith(`${slot.name}v`))
}

function recorded(slot: Slot): ProcessIdentity[] {
  const file = join(slot.runDir, 'processes.jsonl')
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as ProcessIdentity)
}

async function removeCgroups(name: string): Promise<void> {
  const roots = ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((entry) => join('/sys/fs/cgroup', entry))]
  for (const root of roots) {
    const path = join(root, name)
    if (existsSync(path)) await run('find', [path, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
  }
}

/** Waits for this process to end, however it ends, and then sweeps. */
function startReaper(): void {
  const script = `tail --pid="$1" -f /dev/null; exec "$2" "$3"`
  const reap = join(import.meta.dirname, 'reap.ts')
  launch('sh', ['-c', script, 'berth-test-reaper', String(process.pid), process.execPath, reap], '/dev/null')
}

const ownerFile = (number: number) => join(RUN_ROOT, `${number}.owner`)

/** Linking fails when the file is there: exactly one of several claimants succeeds, and none sees a half-written file. */
function takeOwnership(number: number): boolean {
  const draft = `${ownerFile(number)}.new.${process.pid}`
  writeFileSync(draft, JSON.stringify(identify(process.pid)))
  try {
    linkSync(draft, ownerFile(number))
    return true
  } catch {
    return false
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Of several that want a slot whose owner has ended one succeeds, and owns it from then on: nobody cleans what another uses. */
function takeOver(number: number): boolean {
  const aside = `${ownerFile(number)}.${process.pid}`
  try {
    renameSync(ownerFile(number), aside)
  } catch {
    return false
  }
  rmSync(aside, { force: true })
  return takeOwnership(number)
}

function readOwner(number: number): ProcessIdentity | 'none' | 'unreadable' {
  if (!existsSync(ownerFile(number))) return 'none'
  try {
    return JSON.parse(readFileSync(ownerFile(number), 'utf8')) as ProcessIdentity
  } catch {
    return 'unreadable'
  }
}

/** What a killed Engine (Podman's overlay for one) left mounted would keep its folder from being removed. */
async function unmountBelow(folder: string): Promise<void> {
  const paths = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
  for (const path of paths.reverse()) await run('umount', ['-l', path]).catch(() => {})
}
