/** An agent that does just what a test tells it, over real TLS: for every rule of the protocol there is one that breaks it. */
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { joinCluster } from '../../agent/link/join.ts'
import { decodeDown, encode } from '../../shared/wire/codec.ts'
import type { DownMessage } from '../../shared/wire/down.ts'
import type { Hello, UpMessage } from '../../shared/wire/up.ts'
import type { Door } from './coordinator-door.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { aFullObservation, aHello } from './wire.ts'

export type RawAgent = {
  websocket: WebSocket
  node: string
  messages: DownMessage[]
  closed: Promise<{ code: number; reason: string }>
  say(message: UpMessage): void
  sayBytes(bytes: Uint8Array): void
  /** The next message of the kind that has not been asked for yet. */
  next<Kind extends DownMessage['kind']>(kind: Kind): Promise<Extract<DownMessage, { kind: Kind }>>
  /** Hello and full observation; resolves once the complete assignment came. */
  open(hello?: Partial<Hello>): Promise<void>
}

export type Credentials = { keyPem: string; certificatePem: string; caPem: string }

export async function credentialsOf(door: Door, node = 'web-1'): Promise<Credentials> {
  return joinCluster({
    coordinator: door.url,
    token: door.security.joinToken(),
    node,
    dataDir: await temporaryFolder(),
    now: Date.now,
  })
}

/** Without `autoPong` it answers no ping. */
export async function aRawAgent(
  door: Door,
  node = 'web-1',
  credentials?: Credentials,
  { autoPong = true } = {},
): Promise<RawAgent> {
  const { keyPem, certificatePem, caPem } = credentials ?? (await credentialsOf(door, node))
  const websocket = new WebSocket(`wss://127.0.0.1:${door.port}/v1/agent`, {
    perMessageDeflate: false,
    autoPong,
    ca: caPem,
    key: keyPem,
    cert: certificatePem,
  })
  onTestFinished(() => websocket.terminate())
  websocket.on('error', () => undefined)
  const messages: DownMessage[] = []
  const asked = new Map<string, number>()
  const waiting = new Set<() => void>()
  websocket.on('message', (data) => {
    const decoded = decodeDown(data as Buffer)
    if (!decoded.ok) throw new Error(decoded.reason)
    messages.push(decoded.message)
    for (const look of waiting) look()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    websocket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  await new Promise<void>((resolve, reject) => {
    websocket.once('open', resolve)
    websocket.once('error', reject)
  })
  const agent: RawAgent = {
    websocket,
    node,
    messages,
    closed,
    say: (message) => websocket.send(encode(message)),
    sayBytes: (bytes) => websocket.send(bytes),
    async next<Kind extends DownMessage['kind']>(kind: Kind) {
      const index = asked.get(kind) ?? 0
      asked.set(kind, index + 1)
      const found = () =>
        messages.filter((each): each is Extract<DownMessage, { kind: Kind }> => each.kind === kind)[index]
      return new Promise<Extract<DownMessage, { kind: Kind }>>((resolve, reject) => {
        const look = () => {
          const message = found()
          if (message === undefined) return
          waiting.delete(look)
          resolve(message)
        }
        waiting.add(look)
        look()
        closed.then(({ code, reason }) => reject(new Error(`closed (${code} ${reason}) while waiting for ${kind}`)))
      })
    },
    async open(hello = {}) {
      agent.say(aHello({ node, ...hello }))
      await agent.next('welcome')
      agent.say(aFullObservation())
      await agent.next('assignment')
    },
  }
  return agent
}
