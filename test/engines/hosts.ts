/**
 * Several hosts on one machine: each a network namespace with an address on a bridge and a Docker Engine of its own.
 *
 * A host's engine lives in a mount namespace that a holder process keeps open, so that an engine started again after a
 * kill -9 finds the mounts of the containers that went on without it.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { enterCgroup, limitCpu, makeCgroup } from './cgroups.ts'
import { type ContainerView, engineApi, listContainers } from './engine-api.ts'
import { type Command, end, isAlive, launch, must, type ProcessIdentity, run, signal } from './processes.ts'
import { claimSlot, endHostProcesses, releaseSlot, type Slot, SUBNETS } from './slots.ts'
import { GiveUp, until } from './until.ts'

const ENGINE_START_LIMIT_MS = 60_000
const ENGINE_STOP_GRACE_MS = 15_000
const FIRST_HOST_ADDRESS = 11
const LOG_TAIL_LINES = 8

export type Hosts = {
  slot: Slot
  hosts: Host[]
  /** The machine's own address on the hosts' bridge, for a coordinator or registry. */
  address: string
  /** Pulls the machine's own cable: at one instant no host is reached any more, nor do hosts reach each other. */
  unplugMachine(): Promise<void>
  plugMachine(): Promise<void>
  /** Removes every container, volume and network of every host; images stay. */
  reset(): Promise<void>
  /** Ends all processes and removes namespaces, bridge, cgroups and folders. */
  stop(): Promise<void>
}

/** Takes about two seconds. Whatever a killed run has left is cleaned first. Needs root and Debian's docker.io, iproute2, iptables. */
export async function startHosts(options: { count: number; engineArgs?: string[] }): Promise<Hosts> {
  const slot = await claimSlot()
  const names = Array.from({ length: options.count }, (_, index) => index + 1)
  const hosts = names.map((number) => new Host(slot, number, options.engineArgs ?? []))
  try {
    await makeBridge(slot)
    for (const host of hosts) await host.connect()
    await Promise.all(hosts.map((host) => host.boot()))
  } catch (error) {
    await releaseSlot(slot)
    throw error
  }
  return {
    slot,
    hosts,
    address: slot.address,
    unplugMachine: async () => void (await must('ip', ['link', 'set', slot.name, 'down'])),
    plugMachine: async () => void (await must('ip', ['link', 'set', slot.name, 'up'])),
    reset: async () => void (await Promise.all(hosts.map((host) => host.reset()))),
    stop: () => releaseSlot(slot),
  }
}

export class Host {
  readonly name: string
  readonly address: string
  readonly socket: string
  readonly netns: string
  /** Where the engine keeps images and containers. */
  readonly dataDir: string
  readonly engineLog: string
  readonly #slot: Slot
  readonly #link: string
  readonly #engineArgs: string[]
  #holder: ProcessIdentity | null = null
  #engine: ProcessIdentity | null = null

  constructor(slot: Slot, number: number, engineArgs: string[]) {
    this.#slot = slot
    this.#engineArgs = engineArgs
    this.#link = `${slot.name}v${number}`
    this.name = `host-${number}`
    this.netns = `${slot.name}-${number}`
    this.address = `${slot.subnet}.${FIRST_HOST_ADDRESS - 1 + number}`
    this.socket = join(slot.runDir, `${number}.sock`)
    this.dataDir = join(slot.dataDir, this.name)
    this.engineLog = join(slot.runDir, `${number}.engine.log`)
  }

  /** As DOCKER_HOST and `--host` take it. */
  get dockerHost(): string {
    return `unix://${this.socket}`
  }

  /** The Docker Engine's process. @throws Error when none was started */
  get engine(): ProcessIdentity {
    if (!this.#engine) throw new Error(`${this.name} has no engine running`)
    return this.#engine
  }

  /** Makes the namespace and plugs it into the bridge. */
  async connect(): Promise<void> {
    const { netns } = this
    await must('ip', ['netns', 'add', netns])
    await must('ip', ['link', 'add', this.#link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns])
    await must('ip', ['link', 'set', this.#link, 'master', this.#slot.name, 'up'])
    await must('ip', ['-n', netns, 'link', 'set', 'lo', 'up'])
    await must('ip', ['-n', netns, 'addr', 'add', `${this.address}/24`, 'dev', 'eth0'])
    await must('ip', ['-n', netns, 'link', 'set', 'eth0', 'up'])
    await must('ip', ['-n', netns, 'route', 'add', 'default', 'via', this.#slot.address])
  }

  /** Of all its containers and of what `burn` starts, as `berth agent --host-cgroup` takes it: hosts here share one kernel. */
  get cgroup(): string {
    return `/${this.netns}`
  }

  /** Starts holder and engine, as a host does that is switched on. */
  async boot(): Promise<void> {
    makeCgroup(this.netns)
    this.#holder = launch(
      'nsenter',
      this.#inNetns(['unshare', '-m', '--propagation', 'slave', 'sh', '-c', HOLD]),
      this.engineLog,
    ).identity
    await until(
      async () => (await this.#inHolder(['test', '-f', '/run/containerd/ready'])).exit === 0,
      `${this.name}'s mounts`,
    )
    await this.startEngine()
  }

  /** Power loss: everything on the host ends at once, containers and agent included. Its disk stays. */
  async crash(): Promise<void> {
    await endHostProcesses(this.netns)
    this.#holder = null
    this.#engine = null
  }

  /** Starts the engine and waits until it answers. */
  async startEngine(): Promise<void> {
    if (!this.isOn) throw new Error(`${this.name} is switched off; boot() it`)
    mkdirSync(this.dataDir, { recursive: true })
    // dockerd refuses to start over a pid file whose pid lives, also when it belongs to another process by now.
    rmSync(`${this.socket}.pid`, { force: true })
    // The same for the containerd that died with it: where PID 1 is slow to reap, its zombie counts as "still running".
    await this.#inHolder(['rm', '-f', '/run/docker/engine/containerd/containerd.pid'])
    const args = [
      ...['-H', this.dockerHost, '--data-root', this.dataDir, '--exec-root', '/run/docker/engine'],
      ...['--pidfile', `${this.socket}.pid`, '--cgroup-parent', `/${this.netns}`, '--insecure-registry', SUBNETS],
      ...this.#engineArgs,
    ]
    const enter = ['-t', String(this.#holder?.pid), '-m', '-n', 'dockerd', ...args]
    this.#engine = launch('nsenter', enter, this.engineLog).identity
    await until(() => this.#answers(), `${this.name}'s engine to start`, { limitMs: ENGINE_START_LIMIT_MS })
  }

  /** Containers go on under their shims. */
  async killEngine(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const engine = this.engine
    if (name === 'SIGKILL') await end(engine)
    else if (name === 'SIGSTOP' || name === 'SIGCONT') return void signal(engine, name)
    else await end(engine, ENGINE_STOP_GRACE_MS)
    this.#engine = null
  }

  async restartEngine(name: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#engine) await this.killEngine(name)
    await this.startEngine()
  }

  /** The engine answers no one until it is resumed, though its socket is there. */
  pauseEngine = (): void => void signal(this.engine, 'SIGSTOP')
  resumeEngine = (): void => void signal(this.engine, 'SIGCONT')

  /** Pulls the cable: nothing crosses, and nobody is told. */
  async unplug(): Promise<void> {
    await must('ip', ['link', 'set', this.#link, 'nomaster'])
  }

  async plug(): Promise<void> {
    await must('ip', ['link', 'set', this.#link, 'master', this.#slot.name, 'up'])
  }

  /** Whatever of it is missing is back: power, cable, and an engine that answers. */
  async heal(): Promise<void> {
    await this.plug()
    if (!this.isOn) return this.boot()
    if (!this.hasEngine) return this.startEngine()
    this.resumeEngine()
  }

  get isOn(): boolean {
    return this.#holder !== null && isAlive(this.#holder)
  }

  /** Also while it is paused. */
  get hasEngine(): boolean {
    return this.#engine !== null && isAlive(this.#engine)
  }

  /** Runs a program in the host's network namespace. */
  exec(command: string[], options: Parameters<typeof run>[2] = {}): Promise<Command> {
    return run('nsenter', this.#inNetns(command), options)
  }

  /** Starts a long-lived process in the host's network namespace; `crash` and `stop` end it. */
  launch(command: string[], logPath: string, env?: NodeJS.ProcessEnv): ReturnType<typeof launch> {
    return launch('nsenter', this.#inNetns(command), logPath, env)
  }

  /** A program on this host that Berth knows nothing of uses so many cores, until it is told to stop. */
  burn(cores: number): { stop(): Promise<void> } {
    const name = `${this.netns}/outside`
    makeCgroup(name)
    limitCpu(name, cores)
    const script = `${enterCgroup(name)}; while :; do :; done`
    // The least urgent: it takes what nobody else wants.
    const burners = Array.from({ length: Math.ceil(cores) }, () =>
      this.launch(['nice', '-n', '19', 'sh', '-c', script], '/dev/null'),
    )
    return { stop: async () => void (await Promise.all(burners.map(({ identity }) => end(identity)))) }
  }

  /** The Docker command line against this host's engine. @throws Error with what it wrote, when it fails */
  docker(...args: string[]): Promise<string> {
    return must('docker', ['-H', this.dockerHost, ...args])
  }

  containers(): Promise<ContainerView[]> {
    return listContainers(this.socket)
  }

  api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    return engineApi<T>(this.socket, method, path, body)
  }

  async reset(): Promise<void> {
    const containers = await this.api<{ Id: string }[]>('GET', '/containers/json?all=true')
    await Promise.all(containers.map(({ Id }) => this.api('DELETE', `/containers/${Id}?force=true&v=true`)))
    const { Volumes } = await this.api<{ Volumes: { Name: string }[] | null }>('GET', '/volumes')
    await Promise.all((Volumes ?? []).map(({ Name }) => this.api('DELETE', `/volumes/${Name}?force=true`)))
    await this.api('POST', '/networks/prune')
  }

  async #answers(): Promise<boolean> {
    if (!isAlive(this.engine)) {
      const tail = readFileSync(this.engineLog, 'utf8').split('\n').slice(-LOG_TAIL_LINES).join('\n')
      throw new GiveUp(`${this.name}'s engine ended at its start:\n${tail}`)
    }
    return (await engineApi(this.socket, 'GET', '/_ping')) === 'OK'
  }

  #inNetns(command: string[]): string[] {
    // nsenter rather than `ip netns exec`: the latter mounts a /sys of its own, in which no cgroups are to be seen.
    return [`--net=/run/netns/${this.netns}`, ...command]
  }

  #inHolder(command: string[]): Promise<Command> {
    return run('nsenter', ['-t', String(this.#holder?.pid), '-m', '-n', ...command])
  }
}

const HOLD = `set -e
mkdir -p /run/docker /run/containerd
mount -t tmpfs tmpfs /run/docker
mount -t tmpfs tmpfs /run/containerd
touch /run/containerd/ready
exec sleep 1000000000`

async function makeBridge(slot: Slot): Promise<void> {
  await must('ip', ['link', 'add', slot.name, 'type', 'bridge'])
  await must('ip', ['addr', 'add', `${slot.address}/24`, 'dev', slot.name])
  await must('ip', ['link', 'set', slot.name, 'up'])
  // Traffic between hosts crosses the bridge only; a Docker Engine of the machine itself may have set DROP.
  await run('iptables', ['-P', 'FORWARD', 'ACCEPT'])
  await run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.bridge.bridge-nf-call-iptables=0'])
}
