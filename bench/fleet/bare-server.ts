/** The limit for a coordinator with many agents: TLS websockets whose frames are received and forgotten. Says its port through IPC. */
import { createServer } from 'node:https'
import { WebSocketServer } from 'ws'
import { openSecurity } from '../../coordinator/security/open.ts'

const security = await openSecurity({ dir: process.argv[2]!, names: ['127.0.0.1'], now: Date.now })
const { key, cert } = security.serverTls()
const server = createServer({ key, cert, minVersion: 'TLSv1.3' })
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
sockets.on('connection', (socket) => socket.on('message', () => {}))
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.send?.(address.port)
})
process.on('disconnect', () => process.exit(0))
