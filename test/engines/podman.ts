/**
 * Podman's service with the Docker-compatible API, on a host of the harness: its own storage, in the host's network namespace.
 * Debian's `podman` is all that it needs.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host, Hosts } from './hosts.ts'
import { end, identify, isAlive, must, type ProcessIdentity, run } from './processes.ts'
import { record } from './slots.ts'
import { GiveUp, until } from './until.ts'

/**
 * What Podman takes for granted and a machine that is itself a container may lack: raising limits (CAP_SYS_RESOURCE), which Podman
 * asks for by default, and a cgroup hierarchy that is not mixed of v1 and v2, on which crun insists and runc does not. Locks are files
 * of its own, beside which the machine's Podman and another run's have theirs.
 */
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
lock_type = "file"
`

export class Podman {
  readonly socket: string
  readonly #host: Host
  readonly #slot: Hosts['slot']
  readonly #dir: string
  #service: ProcessIdentity | null = null

  constructor(hosts: Hosts, host: Host) {
    this.#slot = hosts.slot
    this.#host = host
    this.#dir = join(hosts.slot.dataDir, `${host.name}-podman`)
    this.socket = join(hosts.slot.runDir, `${host.name}.podman.sock`)
    mkdirSync(this.#dir, { recursive: true })
    writeFileSync(this.#conf, CONTAINERS_CONF)
  }

  /** As DOCKER_HOST and `--docker` take it. */
  get dockerHost(): string {
    return `unix://${this.socket}`
  }

  /** Starts the service and waits until it answers. */
  async start(): Promise<void> {
    const log = join(this.#slot.runDir, `${this.#host.name}.podman.log`)
    const command = ['podman', ...this.#storage, 'system', 'service', '--time', '0', this.dockerHost]
    this.#service = this.#host.launch(command, log, this.#env).identity
    const answers = async () => {
      if (!this.#service || !isAlive(this.#service)) throw new GiveUp(`podman's service ended at its start; see ${log}`)
      return existsSync(this.socket) && (await this.docker('version', '--format', '{{.Server.Version}}'))
    }
    await until(answers, "podman's service to answer")
  }

  /** Its containers go on: each is held by a conmon of its own. */
  async stop(): Promise<void> {
    if (this.#service) await end(this.#service, 15_000)
    this.#service = null
  }

  /** The Docker command line against it. @throws Error with what it wrote, when it fails */
  docker(...args: string[]): Promise<string> {
    return must('docker', ['-H', this.dockerHost, ...args])
  }

  /** Notes the containers' processes, so that they end with the slot even when this process is killed. */
  async noteContainers(): Promise<void> {
    for (const id of (await this.docker('ps', '-q')).split('\n').filter(Boolean)) {
      const identity = identify(Number(await this.docker('inspect', '--format', '{{.State.Pid}}', id)))
      if (identity) record(this.#slot, identity)
    }
  }

  /** Removes its containers and ends it; the slot's end takes its storage. */
  async clear(): Promise<void> {
    await run('podman', [...this.#storage, 'rm', '--all', '--force', '--time', '0'], { env: this.#env })
    await this.stop()
  }

  get #conf(): string {
    return join(this.#dir, 'containers.conf')
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...process.env, CONTAINERS_CONF: this.#conf }
  }

  get #storage(): string[] {
    const [root, state, temporary] = ['root', 'run', 'tmp'].map((name) => join(this.#dir, name))
    return ['--root', root!, '--runroot', state!, '--tmpdir', temporary!]
  }
}
