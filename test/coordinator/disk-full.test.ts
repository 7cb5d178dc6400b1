import { execFileSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { aCoordinatorProcess, type CoordinatorProcess } from '../build/coordinator.ts'
import { aServiceSpec } from '../build/spec.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'

const DISK_BYTES = 6 * 1024 * 1024

let coordinator: CoordinatorProcess | null = null
let disk: string | null = null
afterEach(async () => {
  await coordinator?.kill()
  if (disk !== null) execFileSync('umount', ['--lazy', disk])
  disk = null
})

const aStack = (name: string) => ({
  name,
  // Large enough that it needs room of its own, whatever pages the store has free.
  services: { web: aServiceSpec({ container: { environment: { FILL: 'x'.repeat(100_000) } } }) },
})

test('with its disk full a coordinator refuses changes as disk-full, holds none of them, and takes them again once there is room', async () => {
  const dir = await temporaryFolder()
  disk = await temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk])
  coordinator = await aCoordinatorProcess(dir, {
    dataDir: join(disk, 'coordinator'),
    checkTwice: true,
    logLevel: 'warn',
  })
  await coordinator.start()
  expect((await coordinator.ask('PUT', '/v1/stacks/before', aStack('before'))).status).toBe(200)

  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(statfsSync(disk).bavail * statfsSync(disk).bsize))
  const refused = await coordinator.ask('PUT', '/v1/stacks/during', aStack('during'))
  expect(refused).toMatchObject({ status: 507, body: { code: 'disk-full' } })
  expect(await foundOf(coordinator)).toEqual({ before: 200, during: 404, after: 404 })

  rmSync(ballast)
  let after = await coordinator.ask('PUT', '/v1/stacks/after', aStack('after'))
  while (after.status === 507) {
    await sleep(100)
    after = await coordinator.ask('PUT', '/v1/stacks/after', aStack('after'))
  }
  expect(after.status).toBe(200)
  await coordinator.kill()
  await coordinator.start()
  expect(await foundOf(coordinator)).toEqual({ before: 200, during: 404, after: 200 })
})

async function foundOf({ ask }: CoordinatorProcess) {
  const status = async (stack: string) => (await ask('GET', `/v1/services/${stack}_web`)).status
  return { before: await status('before'), during: await status('during'), after: await status('after') }
}
