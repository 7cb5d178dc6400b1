import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Hosts, startHosts } from './hosts.ts'
import { BUSYBOX, HEALTHY, loadImages, SICK } from './image.ts'
import { isAlive, must } from './processes.ts'
import { until } from './until.ts'

describe('the harness: several hosts on one machine', () => {
  let hosts: Hosts
  beforeAll(async () => {
    hosts = await startHosts({ count: 2 })
    await loadImages(hosts.hosts)
  })
  afterAll(() => hosts?.stop())

  const view = async (index: number, name: string) =>
    (await hosts.hosts[index]!.containers()).find((container) => container.name === name)

  test('each host has an engine of its own, with the same images', async () => {
    const [first, second] = hosts.hosts
    await first!.docker('run', '-d', '--name', 'one', BUSYBOX)
    expect((await first!.containers()).map((container) => container.name)).toEqual(['one'])
    expect(await second!.containers()).toEqual([])
    const ids = await Promise.all(hosts.hosts.map((host) => host.docker('image', 'inspect', '-f', '{{.Id}}', BUSYBOX)))
    expect(ids[0]).toBe(ids[1])
  })

  test('an image with a health check becomes healthy or unhealthy', async () => {
    await hosts.hosts[0]!.docker('run', '-d', '--name', 'well', HEALTHY)
    await hosts.hosts[0]!.docker('run', '-d', '--name', 'ill', SICK)
    await until(async () => (await view(0, 'well'))?.health === 'healthy', 'well to be healthy')
    await until(async () => (await view(0, 'ill'))?.health === 'unhealthy', 'ill to be unhealthy')
  })

  test('hosts reach each other until one is unplugged, and again when it is plugged in', async () => {
    const [first, second] = hosts.hosts
    const reaches = async () => (await first!.exec(['busybox', 'ping', '-c1', '-W1', second!.address])).exit === 0
    await until(reaches, 'host-1 to reach host-2')
    await second!.unplug()
    expect(await reaches()).toBe(false)
    await second!.plug()
    await until(reaches, 'host-1 to reach host-2 again')
  })

  test('containers outlive a killed engine as processes, and the engine comes back', async () => {
    const host = hosts.hosts[0]!
    const before = (await view(0, 'one'))!
    await host.killEngine('SIGKILL')
    expect(existsSync(`/proc/${before.pid}`)).toBe(true)
    await host.startEngine()
    expect((await view(0, 'one'))?.id).toBe(before.id)
  })

  test('a crash ends everything on the host; its disk stays', async () => {
    const host = hosts.hosts[0]!
    const { engine } = host
    await host.crash()
    expect(isAlive(engine)).toBe(false)
    await host.boot()
    const names = (await host.containers()).map((container) => [container.name, container.state])
    expect(names).toContainEqual(['one', 'exited'])
  })

  test('reset leaves no container', async () => {
    await hosts.reset()
    expect(await hosts.hosts[0]!.containers()).toEqual([])
  })

  test('stop leaves neither processes nor namespaces nor folders', async () => {
    const { slot } = hosts
    const engines = hosts.hosts.map((host) => host.engine)
    await hosts.stop()
    expect(engines.some(isAlive)).toBe(false)
    expect(await must('ip', ['netns', 'list'])).not.toContain(`${slot.name}-`)
    expect(existsSync(slot.runDir)).toBe(false)
    expect(existsSync(slot.dataDir)).toBe(false)
  })
})
