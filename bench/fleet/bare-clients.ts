/** `bare-clients.ts PORT COUNT`: so many websockets, each sending a heartbeat a second. Says through IPC how many are open. */
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { encode } from '../../shared/wire/codec.ts'
import { STEADY } from './life.ts'
import { simulatedLoadMeter } from './simulated-parts.ts'

const HEARTBEAT_MS = 1000
const START_APART_MS = 5
const [port, count] = process.argv.slice(2).map(Number)
const meter = simulatedLoadMeter(STEADY, 'bare')
let open = 0

process.on('disconnect', () => process.exit(0))
for (let client = 0; client < count!; client++) {
  connect()
  await sleep(START_APART_MS)
}

function connect(): void {
  // Nobody is to be trusted or not in a measure of the transport.
  const socket = new WebSocket(`wss://127.0.0.1:${port}`, { rejectUnauthorized: false, perMessageDeflate: false })
  let sequence = 0
  socket.on('open', () => {
    process.send?.(++open)
    setInterval(() => socket.send(heartbeat(sequence++)), HEARTBEAT_MS)
  })
}

function heartbeat(sequence: number): Uint8Array {
  const task = { task: 'bench-0_s0.1', containerId: 'x', attempt: 1, pid: 0, logPath: null, memoryBytesLimit: null }
  return encode({ kind: 'heartbeat', sequence, at: Date.now(), revision: 1, ...meter.sample(Array(10).fill(task)) })
}
