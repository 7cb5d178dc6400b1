/** `berth up`: coordinator and agent on this host, in the foreground; containers outlive both. */
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeDocument, StatusDocument, TokensAnswer } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { type Client, createClient, segment } from '../client.ts'
import { type Connection, localConnection, writeConfig } from '../config.ts'
import type { Context } from '../context.ts'
import { parseListen } from '../daemon-flags.ts'
import { bytes, duration, plural } from '../figures.ts'
import { type Child, spawnBerth } from '../spawn.ts'
import { deploy } from './deploy.ts'

export type UpOptions = { data: string; listen: string; docker?: string; name?: string; deploy?: string }

const readyWithinMs = 60_000
const pollMs = 100
const deployTimeoutMs = 5 * 60_000
/** A `berth up` that was killed leaves its coordinator to notice it and stop. */
const successionMs = 15_000
const successionPollMs = 500

export async function up(context: Context, options: UpOptions): Promise<void> {
  const children: Child[] = []
  const signal = stopOnSignal(context, children)
  try {
    const ended = await Promise.race([
      run(context, options, children, signal),
      new Promise<null>((done) => signal.addEventListener('abort', () => done(null), { once: true })),
    ])
    if (ended) throw new BerthError('failed', ended)
  } finally {
    await Promise.all(children.map((child) => child.stop()))
  }
  context.out.note('stopped; containers go on, and `berth up` takes them over again')
}

/** Until one of the two ends by itself; gives its last words. */
async function run(context: Context, options: UpOptions, children: Child[], signal: AbortSignal): Promise<string> {
  const data = resolve(options.data)
  const { host, port } = parseListen(options.listen)
  const url = `https://${isEveryAddress(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`
  const dir = join(data, 'coordinator')
  const connection = await startCoordinator(context, dir, url, options.listen, children, signal)
  const client = createClient(connection)
  const { coordinator } = await client.get<StatusDocument>('/status')
  say(context, `✓ coordinator  ${coordinator.url}`)

  const { join: token } = await client.get<TokensAnswer>('/v1/tokens')
  signal.throwIfAborted()
  children.push(startAgent(token, data, url, options))
  const name = options.name ?? context.env.BERTH_NODE_NAME ?? hostname().toLowerCase()
  const node = await nodeIsReady(context, client, name, children)
  say(context, `✓ agent ${node.name}, ${plural(node.cpuCores, 'core')}, ${bytes(node.memoryBytes)}`)
  await writeConfig(connection, context.env)
  client.close()

  if (options.deploy) await deployFirst(context, options.deploy, signal)
  await lookAround(context, coordinator.url, connection)
  return Promise.race(children.map((child) => child.ended))
}

/** Waits for one that is about to stop. @throws BerthError `conflict` when it does not: it is somebody's */
async function startCoordinator(
  context: Context,
  dir: string,
  url: string,
  listen: string,
  children: Child[],
  signal: AbortSignal,
): Promise<Connection> {
  const end = performance.now() + successionMs
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    const coordinator = spawnBerth(['coordinator', '--data', dir, '--listen', listen])
    children.push(coordinator)
    try {
      return await coordinatorServes(coordinator, dir, url)
    } catch (error) {
      const inUse = coordinator.lastLines.find((line) => / is in use by /.test(line))
      if (inUse === undefined) throw error
      children.splice(children.indexOf(coordinator), 1)
      if (performance.now() > end) throw alreadyRunning(inUse)
      if (attempt === 1) context.out.note('another coordinator is running here; waiting for it to stop')
      await sleep(successionPollMs)
    }
  }
}

function alreadyRunning(inUse: string): BerthError {
  return new BerthError(
    'conflict',
    `${inUse}\nA coordinator that runs already needs no second: \`berth status\` shows it. To run it here instead, stop that ` +
      'one first: `systemctl stop berth-coordinator` (and berth-agent), or Ctrl-C at its `berth up`',
  )
}

function startAgent(token: string, data: string, url: string, options: UpOptions): Child {
  const args = ['agent', '--data', join(data, 'agent'), '--coordinator', url]
  if (options.docker) args.push('--docker', options.docker)
  if (options.name) args.push('--name', options.name)
  return spawnBerth(args, { BERTH_JOIN_TOKEN: token })
}

async function coordinatorServes(child: Child, dir: string, url: string): Promise<Connection> {
  const startedAt = performance.now()
  return eventually([child], 'the coordinator', async () => {
    const connection = await localConnection(dir, url)
    if (!connection) return null
    const client = createClient(connection)
    try {
      const { coordinator } = await client.get<StatusDocument>('/status')
      // One that was there before us answers at the same place, until ours has noticed and ends.
      return coordinator.uptimeMs <= performance.now() - startedAt ? connection : null
    } finally {
      client.close()
    }
  })
}

async function nodeIsReady({ out }: Context, client: Client, name: string, children: Child[]): Promise<NodeDocument> {
  let told = ''
  return eventually(children, 'the agent', async () => {
    const node = await client.get<NodeDocument>(`/v1/nodes/${segment(name)}`)
    const isWaiting = node.status === 'engine-down' && node.statusReason !== null
    if (isWaiting && node.statusReason !== told) out.note(`waiting for the Engine: ${node.statusReason}`)
    told = node.statusReason ?? ''
    return node.status === 'ready' ? node : null
  })
}

/** @throws BerthError when a child ended, or it took too long; with its last words */
async function eventually<Value>(children: Child[], what: string, look: () => Promise<Value | null>): Promise<Value> {
  const end = performance.now() + readyWithinMs
  for (;;) {
    const value = await look().catch((error) => {
      if (error instanceof BerthError && NOT_YET.has(error.code)) return null
      throw error
    })
    if (value !== null) return value
    const ended = children.find((child) => child.hasEnded)
    if (ended) throw new BerthError('failed', await ended.ended)
    if (performance.now() > end) {
      const words = children.at(-1)?.lastLines.join('\n')
      throw new BerthError('timed-out', `${what} was not ready after ${duration(readyWithinMs)}\n${words}`)
    }
    await sleep(pollMs)
  }
}

const NOT_YET = new Set<string>(['unreachable', 'node-not-found'])

async function deployFirst(context: Context, file: string, signal: AbortSignal): Promise<void> {
  say(context, `deploying ${file}`)
  await deploy({ ...context, json: false }, { file: [file], timeout: deployTimeoutMs, prune: true, signal })
}

async function lookAround({ out, json }: Context, url: string, connection: Connection): Promise<void> {
  if (json) return out.record({ url })
  const client = createClient(connection)
  const { command } = await client.get<TokensAnswer>('/v1/tokens')
  client.close()
  out.line('')
  out.line('  Look around:   berth status · berth ps · berth events -f')
  out.line(`  Add a host:    ${command}`)
  out.line('  Ctrl-C stops coordinator and agent; containers go on.')
}

/** The first Ctrl-C stops in order, the second at once. */
function stopOnSignal({ out }: Context, children: Child[]): AbortSignal {
  const stop = new AbortController()
  const onSignal = () => {
    if (stop.signal.aborted) for (const child of children) child.kill()
    else {
      out.note('\nstopping coordinator and agent; containers go on (Ctrl-C again stops at once)')
      stop.abort()
    }
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return stop.signal
}

function say({ out, json }: Context, words: string): void {
  if (!json) out.line(`  ${words}`)
}

const isEveryAddress = (host: string) => host === '0.0.0.0' || host === '::'
