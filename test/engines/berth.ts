/**
 * A real cluster: a coordinator process on the bridge, an agent process in each host's network namespace, all started through
 * `bin/berth` with data folders of their own, to be killed and restarted at will.
 */
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import type { StatusDocument } from '../../shared/api/cluster.ts'
import { formatJoinToken, publicKeyFingerprint } from '../../shared/join-token.ts'
import { BerthProcess } from './berth-process.ts'
import type { Host, Hosts } from './hosts.ts'
import { type Command, launch, run } from './processes.ts'
import { record } from './slots.ts'
import { until } from './until.ts'

export const BERTH = join(import.meta.dirname, '../../bin/berth')
/** Not the usual one, on which a developer's own coordinator may be listening at every address. */
export const PORT = 23_794
const API_LIMIT_MS = 30_000

export type ClusterOptions = {
  coordinatorArgs?: string[]
  /** For all agents, or for each by its host's name. */
  agentArgs?: string[] | ((host: string) => string[])
  env?: NodeJS.ProcessEnv
  /** Agents measure their host's own cgroup, rather than the machine that all hosts share. */
  hostCgroups?: boolean
  /** How many of the hosts get an agent; all of them when absent. */
  agents?: number
}

/** Starts a coordinator and an agent per host, and waits until every node is ready. */
export async function startCluster(hosts: Hosts, options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = new Cluster(hosts, options)
  await cluster.coordinator.start()
  await cluster.ready()
  await Promise.all(cluster.agents.map((agent) => agent.start()))
  await cluster.nodesReady()
  return cluster
}

export class Cluster {
  readonly hosts: Host[]
  readonly url: string
  readonly dir: string
  readonly coordinator: BerthProcess
  /** `agents[i]` runs on `hosts[i]`, and its node has that host's name. */
  readonly agents: BerthProcess[]
  readonly #hosts: Hosts
  readonly #options: ClusterOptions

  constructor(hosts: Hosts, options: ClusterOptions = {}) {
    this.#hosts = hosts
    this.#options = options
    this.hosts = hosts.hosts
    this.url = `https://${hosts.address}:${PORT}`
    this.dir = join(hosts.slot.dataDir, 'berth')
    mkdirSync(this.dir, { recursive: true })
    this.coordinator = this.#coordinatorProcess()
    this.agents = hosts.hosts.slice(0, options.agents).map((host) => this.agentOn(host))
  }

  get coordinatorDir(): string {
    return join(this.dir, 'coordinator')
  }

  agentDir(host: Host): string {
    return join(this.dir, host.name)
  }

  get operatorToken(): string {
    return readFileSync(join(this.coordinatorDir, 'security/operator-token'), 'utf8').trim()
  }

  get caPem(): string {
    const pem = readFileSync(join(this.coordinatorDir, 'security/ca.pem'), 'utf8')
    return /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(pem)![0]
  }

  /** Waits until the coordinator serves. */
  async ready(limitMs?: number): Promise<void> {
    const serves = async () => {
      this.coordinator.mustLive()
      return existsSync(join(this.coordinatorDir, 'security/operator-token')) && (await this.api('GET', '/healthz'))
    }
    await until(serves, 'the coordinator to serve', limitMs === undefined ? {} : { limitMs })
  }

  /** Waits until the nodes of all agents started here, or those named, are ready. */
  async nodesReady(names = this.agents.map((agent) => agent.name)): Promise<void> {
    const waiting = async () => {
      for (const agent of this.agents) agent.mustNotHaveFailed()
      const { nodes } = await this.status()
      const ready = nodes.filter((node) => node.status === 'ready').map((node) => node.name)
      const missing = names.filter((name) => !ready.includes(name))
      if (missing.length > 0) throw new Error(`${missing.join(', ')} not ready; nodes: ${JSON.stringify(nodes)}`)
      return true
    }
    await until(waiting, `nodes ${names.join(', ')} to be ready`)
  }

  status(): Promise<StatusDocument> {
    return this.api<StatusDocument>('GET', '/status')
  }

  /** @throws Error with the coordinator's answer when its status is 400 or more */
  async api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.request(method, path, body)
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
    return JSON.parse(answer.text) as T
  }

  /** Any answer, as it is. */
  request(method: string, path: string, body?: unknown, token = this.operatorToken): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const headers: Record<string, string> = { authorization: `Bearer ${token}` }
      if (payload !== undefined) headers['content-type'] = 'application/json'
      const options = { method, headers, ca: this.caPem, timeout: API_LIMIT_MS, agent: false }
      const call = request(new URL(path, this.url), options, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        answer.on('error', reject)
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      })
      call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer in ${API_LIMIT_MS} ms`)))
      call.on('error', reject)
      call.end(payload)
    })
  }

  /** Runs the `berth` command as an operator does. */
  async berth(...args: string[]): Promise<Command> {
    return run(BERTH, args, { env: this.operatorEnv(), limitMs: 180_000 })
  }

  /** The command with `--json`, which must succeed. */
  async json<T = unknown>(...args: string[]): Promise<T> {
    const { exit, stdout, stderr } = await this.berth(...args, '--json')
    if (exit !== 0) throw new Error(`berth ${args.join(' ')} exited ${exit}: ${stderr || stdout}`)
    return JSON.parse(stdout) as T
  }

  /** Writes a Compose file and deploys it under the stack's name. */
  deploy(stack: string, compose: string, ...args: string[]): Promise<Command> {
    return this.berth('deploy', '-f', this.composeFile(stack, compose), '--stack', stack, ...args)
  }

  /** Writes a Compose file and gives its path. */
  composeFile(name: string, compose: string): string {
    const dir = join(this.dir, 'compose', name)
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, 'compose.yaml'), compose)
    return join(dir, 'compose.yaml')
  }

  operatorEnv(): NodeJS.ProcessEnv {
    const ca = join(this.dir, 'ca.crt')
    writeFileSync(ca, this.caPem)
    return {
      ...process.env,
      ...{ BERTH_URL: this.url, BERTH_TOKEN: this.operatorToken, BERTH_CA: ca, HOME: this.dir },
      ...{ NO_COLOR: '1', XDG_CONFIG_HOME: join(this.dir, 'config') },
      ...this.#options.env,
    }
  }

  /** An agent process for a host, not started; several on one engine or with one name are for tests of bad input. */
  agentOn(host: Host, options: { name?: string; args?: string[]; dir?: string } = {}): BerthProcess {
    const name = options.name ?? host.name
    const dir = options.dir ?? join(this.dir, name)
    const { agentArgs = [] } = this.#options
    const own = typeof agentArgs === 'function' ? agentArgs(host.name) : agentArgs
    const args = () => {
      const tokenFile = join(this.dir, 'join-token')
      writeFileSync(tokenFile, `${this.joinToken}\n`, { mode: 0o600 })
      return [
        ...['agent', '--data', dir, '--coordinator', this.url, '--join-file', tokenFile],
        ...['--docker', host.dockerHost, '--name', name, ...own, ...(options.args ?? [])],
        ...(this.#options.hostCgroups ? ['--host-cgroup', host.cgroup] : []),
      ]
    }
    return new BerthProcess(name, join(this.#hosts.slot.runDir, `agent-${name}.log`), (log) =>
      host.launch([BERTH, ...args()], log, { ...process.env, ...this.#options.env }),
    )
  }

  get joinToken(): string {
    const dir = join(this.coordinatorDir, 'security')
    const { joinSecret } = JSON.parse(readFileSync(join(dir, 'tokens.json'), 'utf8')) as { joinSecret: string }
    return formatJoinToken({ caPin: publicKeyFingerprint(new X509Certificate(this.caPem)), secret: joinSecret })
  }

  /** Ends agents and coordinator and removes what they kept; the hosts are reset for the next cluster. */
  async stop(): Promise<void> {
    await Promise.all([...this.agents, this.coordinator].map((process) => process.kill('SIGKILL')))
    await this.#hosts.reset()
    rmSync(this.dir, { recursive: true, force: true })
  }

  #coordinatorProcess(): BerthProcess {
    const { slot } = this.#hosts
    const args = [
      ...['coordinator', '--data', this.coordinatorDir, '--listen', `${slot.address}:${PORT}`],
      ...(this.#options.coordinatorArgs ?? []),
    ]
    return new BerthProcess('coordinator', join(slot.runDir, 'coordinator.log'), (log) => {
      const started = launch(BERTH, args, log, { ...process.env, ...this.#options.env })
      record(slot, started.identity)
      return started
    })
  }
}

export type Answer = { status: number; text: string }
