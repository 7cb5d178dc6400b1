/** A system that takes lines and forgets them: what POSTs bring, and what comes over TCP. Tells its ports. */
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'

const http = createHttpServer((request, response) => {
  request.resume().on('end', () => response.writeHead(204).end())
})
const tcp = createTcpServer((socket) => {
  socket.on('error', () => {}).resume()
})
http.listen(0, '127.0.0.1', () =>
  tcp.listen(0, '127.0.0.1', () =>
    process.send!({ http: (http.address() as AddressInfo).port, tcp: (tcp.address() as AddressInfo).port }),
  ),
)
process.once('disconnect', () => process.exit())
