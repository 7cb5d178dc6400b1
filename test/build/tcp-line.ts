/** A line between a client and a server that can go dead without a word, as networks do: neither bytes nor an end come through. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export async function aTcpLine(toUrl: string) {
  const to = new URL(toUrl)
  const ends = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(to.port), to.hostname)
    for (const [a, b] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(a)
      a.on('error', () => b.destroy())
      a.on('close', () => {
        ends.delete(a)
        b.destroy()
      })
      a.pipe(b)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const end of ends) end.destroy()
    server.close()
  })
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return ends.size / 2
    },
    /** What is connected now stays so and hears nothing more; new connections are as ever. */
    goDead() {
      for (const end of ends) {
        end.unpipe()
        end.pause()
      }
    },
    cut() {
      for (const end of ends) end.destroy()
    },
  }
}
