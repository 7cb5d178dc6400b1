/** `berth up`: coordinator and agent on this host, in the foreground; containers outlive both. */

import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeDocument, Page, StatusDocument, TokensAnswer } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { type Client, createClient } from '../client.ts'
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

export async function up(context: Context, options: UpOptions): Promise<void> {
  const data = resolve(options.data)
  const { host, port } = parseListen(options.listen)
  const url = `https://${isEveryAddress(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`
  const children: Child[] = []
  const stopped = stopOnSignal(context, children)
  try {
    const coordinator = spawnBerth(['coordinator', '--data', join(data, 'coordinator'), '--listen', options.listen])
    children.push(coordinator)
    const connection = await coordinatorServes(coordinator, join(data, 'coordinator'), url)
    const client = createClient(connection)
    const { coordinator: facts } = await client.get<StatusDocument>('/status')
    say(context, `✓ coordinator  ${facts.url}`)

    children.push(await startAgent(client, data, url, options))
    const node = await nodeIsReady(client, children)
    say(context, `✓ agent ${node.name}, ${plural(node.cpuCores, 'core')}, ${bytes(node.memoryBytes)}`)
    await writeConfig(connection, context.env)
    client.close()

    if (options.deploy) await deployFirst(context, options.deploy)
    await lookAround(context, facts.url, connection)
    const ended = await Promise.race([stopped, ...children.map((child) => child.ended)])
    if (ended) throw new BerthError('failed', ended)
  } finally {
    await Promise.all(children.map((child) => child.stop()))
  }
  context.out.note('stopped; containers go on, and `berth up` takes them over again')
}

async function startAgent(client: Client, data: string, url: string, options: UpOptions): Promise<Child> {
  const { join: token } = await client.get<TokensAnswer>('/v1/tokens')
  const args = ['agent', '--data', join(data, 'agent'), '--coordinator', url]
  if (options.docker) args.push('--docker', options.docker)
  if (options.name) args.push('--name', options.name)
  return spawnBerth(args, { BERTH_JOIN_TOKEN: token })
}

async function coordinatorServes(child: Child, dir: string, url: string): Promise<Connection> {
  return eventually([child], 'the coordinator', async () => {
    const connection = await localConnection(dir, url)
    if (!connection) return null
    const client = createClient(connection)
    try {
      await client.get('/healthz')
      return connection
    } finally {
      client.close()
    }
  })
}

function nodeIsReady(client: Client, children: Child[]): Promise<NodeDocument> {
  return eventually(children, 'the agent', async () => {
    const { items } = await client.get<Page<NodeDocument>>('/v1/nodes')
    return items.find((node) => node.status === 'ready') ?? null
  })
}

/** @throws BerthError when a child ended, or it took too long; with its last words */
async function eventually<Value>(children: Child[], what: string, look: () => Promise<Value | null>): Promise<Value> {
  const end = performance.now() + readyWithinMs
  for (;;) {
    const value = await look().catch((error) => {
      if (error instanceof BerthError && error.code === 'unreachable') return null
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

async function deployFirst(context: Context, file: string): Promise<void> {
  say(context, `deploying ${file}`)
  await deploy({ ...context, json: false }, { file: [file], timeout: deployTimeoutMs, prune: true })
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
function stopOnSignal({ out }: Context, children: Child[]): Promise<null> {
  return new Promise((resolvePromise) => {
    let count = 0
    const onSignal = () => {
      count += 1
      if (count === 1) {
        out.note('\nstopping coordinator and agent; containers go on (Ctrl-C again stops at once)')
        resolvePromise(null)
      } else for (const child of children) child.kill()
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}

function say({ out, json }: Context, words: string): void {
  if (!json) out.line(`  ${words}`)
}

const isEveryAddress = (host: string) => host === '0.0.0.0' || host === '::'
