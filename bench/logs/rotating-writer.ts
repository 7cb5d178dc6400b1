/** Writes a log in the place of the Engine: numbered lines at a rate, into files that are closed, renamed and thrown away as it does. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export type WriterOrder = { path: string; seconds: number; bytesPerSecond: number; fileBytes: number; files: number }

const BURST_LINES = 50
const PAD = 'x'.repeat(900)
const order = JSON.parse(process.argv[2]!) as WriterOrder
let descriptor = openSync(order.path, 'a')
let [size, total, lines] = [0, 0, 0]
const began = performance.now()
const secondsGone = () => (performance.now() - began) / 1_000

while (secondsGone() < order.seconds) {
  while (total > secondsGone() * order.bytesPerSecond) await sleep(1)
  for (let line = 0; line < BURST_LINES; line++) {
    if (size >= order.fileBytes) rotate()
    const time = new Date().toISOString().replace('Z', '000001Z')
    const text = `{"log":"line ${lines++} ${PAD}\\n","stream":"stdout","time":"${time}"}\n`
    size += writeSync(descriptor, text)
    total += text.length
  }
}
process.send!(lines)
process.disconnect()

function rotate(): void {
  const { path, files } = order
  closeSync(descriptor)
  rmSync(`${path}.${files - 1}`, { force: true })
  for (let number = files - 2; number >= 0; number--) {
    const from = number === 0 ? path : `${path}.${number}`
    try {
      renameSync(from, `${path}.${number + 1}`)
    } catch {
      // There are not so many yet.
    }
  }
  descriptor = openSync(path, 'w')
  size = 0
}
