import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { identify, isAlive } from './processes.ts'
import { until } from './until.ts'

/** Starts a host with a container in a process of its own, and prints what is needed to look for leftovers. */
const VICTIM = `
const { startHosts } = await import(${JSON.stringify(join(import.meta.dirname, 'hosts.ts'))})
const { loadImages, BUSYBOX } = await import(${JSON.stringify(join(import.meta.dirname, 'image.ts'))})
const { slot, hosts } = await startHosts({ count: 1 })
await loadImages(hosts)
await hosts[0].docker('run', '-d', BUSYBOX)
const [container] = await hosts[0].containers()
console.log(JSON.stringify({ slot, engine: hosts[0].engine.pid, container: container.pid }))
setInterval(() => {}, 1000)`

test('a test run that is killed leaves nothing behind: its hosts are cleaned without a next run', async () => {
  const victim = spawn(process.execPath, ['--input-type=module', '-e', VICTIM], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  victim.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until(() => said.endsWith('\n'), 'the hosts of the run to be killed')
  const { slot, engine, container } = JSON.parse(said) as Left
  const left = [identify(engine)!, identify(container)!]
  expect(left.every(isAlive)).toBe(true)

  victim.kill('SIGKILL')

  await until(() => !left.some(isAlive), 'engine and container to be ended')
  await until(() => !existsSync(slot.runDir) && !existsSync(slot.dataDir), 'the folders to be removed')
  await until(() => !existsSync(`/run/netns/${slot.name}-1`), 'the namespace to be removed')
})

type Left = { slot: { name: string; runDir: string; dataDir: string }; engine: number; container: number }
