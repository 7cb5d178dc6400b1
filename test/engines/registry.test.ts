import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Hosts, startHosts } from './hosts.ts'
import { BUSYBOX, loadImages } from './image.ts'
import { run } from './processes.ts'
import { hangingRegistry, type Registry, refusedAddress, refusingRegistry, startRegistry } from './registry.ts'
import { until } from './until.ts'

describe('the harness: image registries', () => {
  let hosts: Hosts
  let registry: Registry
  beforeAll(async () => {
    hosts = await startHosts({ count: 2 })
    await loadImages(hosts.hosts)
    registry = await startRegistry(hosts.slot)
  })
  afterAll(() => hosts?.stop())

  const pull = (image: string, limitMs = 30_000) =>
    run('docker', ['-H', hosts.hosts[1]!.dockerHost, 'pull', image], { limitMs })

  test('what one host pushes another pulls, by tag and by digest', async () => {
    const digest = await registry.push(hosts.hosts[0]!, BUSYBOX, 'team/bb:1')
    expect((await pull(`${registry.address}/team/bb:1`)).exit).toBe(0)
    expect((await pull(`${registry.address}/team/bb@${digest}`)).exit).toBe(0)
  })

  test('an image that is not there, a refused port and a refusing registry fail, each in its words', async () => {
    expect((await pull(`${registry.address}/team/none:1`)).stderr).toMatch(/not found|manifest unknown/)
    expect((await pull(`${await refusedAddress(hosts.slot)}/bb:1`)).stderr).toMatch(/refused/)
    const refusing = await refusingRegistry(hosts.slot, 500)
    expect((await pull(`${refusing.address}/bb:1`)).exit).not.toBe(0)
    await refusing.stop()
  })

  test('a hanging registry takes the connection and says nothing', async () => {
    const hanging = await hangingRegistry(hosts.slot)
    const pulling = pull(`${hanging.address}/bb:1`, 3_000)
    await until(() => hanging.connections() > 0, 'the engine to connect')
    expect((await pulling).exit).not.toBe(0)
    await hanging.stop()
  })

  test('a registry that was killed serves its images again when it is started', async () => {
    await registry.kill()
    expect((await pull(`${registry.address}/team/bb:1`)).exit).not.toBe(0)
    await registry.start()
    expect((await pull(`${registry.address}/team/bb:1`)).exit).toBe(0)
  })
})
