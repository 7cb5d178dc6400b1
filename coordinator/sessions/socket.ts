/** The websocket as sessions need it. The only file of the coordinator that knows ws. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { FRAME_BYTES_MAX } from '../../shared/wire/codec.ts'

export interface AgentSocket {
  send(frame: Uint8Array): void
  /** What was sent and not yet taken by the network. */
  readonly bufferedBytes: number
  ping(): void
  pause(): void
  resume(): void
  /** After what was sent has gone out; cut off if the other side does not let it. */
  close(why: string): void
  /** At once. */
  cutOff(): void
}

export interface SocketListener {
  frame(bytes: Uint8Array): void
  pong(): void
  /** The other side broke the rules of websockets, or of our size of frames; `closed` follows. */
  broken(fault: { code: 'too-large' | 'not-msgpack'; reason: string }): void
  closed(why: string): void
}

/** Makes websockets of requests that have been let in. `listen` is called before anything is read. */
export function createDoorway() {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: FRAME_BYTES_MAX })
  return {
    open(
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      listen: (socket: AgentSocket) => SocketListener,
    ): void {
      server.handleUpgrade(request, socket, head, (websocket) => attach(websocket, listen(agentSocket(websocket))))
    },
  }
}

const CLOSE_POLICY = 1008
const CLOSE_TEXT_BYTES_MAX = 120
const CLOSE_GRACE_MS = 2_000

function agentSocket(websocket: WebSocket): AgentSocket {
  return {
    send: (frame) => websocket.send(frame),
    get bufferedBytes() {
      return websocket.bufferedAmount
    },
    ping: () => websocket.ping(),
    pause: () => websocket.pause(),
    resume: () => websocket.resume(),
    close(why) {
      websocket.close(CLOSE_POLICY, shortened(why))
      // A socket that is not read never learns that the other side has closed.
      if (websocket.isPaused) websocket.resume()
      setTimeout(() => websocket.terminate(), CLOSE_GRACE_MS).unref()
    },
    cutOff: () => websocket.terminate(),
  }
}

function attach(websocket: WebSocket, listener: SocketListener): void {
  websocket.on('message', (data, isBinary) => {
    if (!isBinary) listener.broken({ code: 'not-msgpack', reason: 'a text message; frames are binary' })
    else if (data instanceof Buffer) listener.frame(data)
  })
  websocket.on('pong', () => listener.pong())
  websocket.on('error', (error) => {
    const code = 'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' ? 'too-large' : 'not-msgpack'
    // Resets and the like come here too: they are no offence, and `close` follows with all there is to say.
    if ('code' in error && String(error.code).startsWith('WS_ERR_')) listener.broken({ code, reason: error.message })
  })
  websocket.on('close', (code, reason) => {
    listener.closed(reason.length > 0 ? reason.toString() : wordsForClose(code))
  })
}

function wordsForClose(code: number): string {
  if (code === 1000 || code === 1005) return 'the agent closed the connection'
  if (code === 1006) return 'the connection broke'
  return `the connection was closed (code ${code})`
}

/** A close frame has room for 123 bytes; the whole sentence went in the `refused` before it. */
function shortened(text: string): string {
  return Buffer.byteLength(text) <= CLOSE_TEXT_BYTES_MAX ? text : `${text.slice(0, CLOSE_TEXT_BYTES_MAX / 4)}…`
}
