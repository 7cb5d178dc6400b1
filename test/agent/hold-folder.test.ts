import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { holdFolder } from '../../agent/hold-folder.ts'
import { systemClock } from '../../shared/clock.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'

let log: Log
beforeEach(() => {
  log = new Log()
})

class Log {
  readonly warnings: string[] = []
  warn = (_: unknown, message: string) => void this.warnings.push(message)
  debug = () => {}
  info = () => {}
  error = () => {}
}
const never = new AbortController().signal

test('a second agent waits until the first has ended, and says for whom', async () => {
  const dir = join(await temporaryFolder(), 'agent')
  const release = await holdFolder(dir, systemClock, log, never)
  const second = holdFolder(dir, systemClock, log, never)
  await systemClock.sleep(300)
  expect(log.warnings).toEqual([expect.stringContaining(`${dir} is in use by process ${process.pid}; one agent per`)])
  release!()
  expect(await second).toEqual(expect.any(Function))
})

test('one that waits is told to stop: it holds nothing', async () => {
  const dir = await temporaryFolder()
  await holdFolder(dir, systemClock, log, never)
  const stop = new AbortController()
  const second = holdFolder(dir, systemClock, log, stop.signal)
  stop.abort()
  expect(await second).toBeNull()
})

test('an agent that does not end keeps its folder: the second fails after a while', async () => {
  const dir = await temporaryFolder()
  await holdFolder(dir, systemClock, log, never)
  let now = 0
  const sleep = async (ms: number) => {
    now += ms
  }
  const clock = { ...systemClock, monotonicMs: () => now, sleep }
  await expect(holdFolder(dir, clock, log, never)).rejects.toMatchObject({ code: 'conflict' })
})

test('an agent that was killed and that nobody has waited for holds nothing', async () => {
  const dir = await temporaryFolder()
  const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  onTestFinished(() => void parent.kill('SIGKILL'))
  const pid = Number(await new Promise<Buffer>((resolve) => parent.stdout.once('data', resolve)))
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  writeFileSync(join(dir, 'lock'), `${pid} ${stat[21]} ${boot}`)
  expect(await holdFolder(dir, systemClock, log, never)).toEqual(expect.any(Function))
  expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z ')
  expect(log.warnings).toHaveLength(1)
})

test('a disk that takes no lock is told of, and the agent goes on', async () => {
  const dir = join(await temporaryFolder(), 'a file')
  writeFileSync(dir, '')
  expect(await holdFolder(dir, systemClock, log, never)).toEqual(expect.any(Function))
  expect(log.warnings).toEqual([expect.stringContaining(`${dir} cannot be locked`)])
})
