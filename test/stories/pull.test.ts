/** Images: what is on a host is used without asking anyone; what is not is fetched, or is a failure that says why. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { assertExactly, type Snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX, BUSYBOX_2, HELLO } from '../engines/image.ts'
import type { Command } from '../engines/processes.ts'
import { hangingRegistry, type Registry, refusedAddress, refusingRegistry, startRegistry } from '../engines/registry.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, makeBed, remake, tasksOf } from './bed.ts'

const PULL_STALL_MS = 2_000
/** Far below the five minutes that `berth deploy` waits by default, with room for a busy machine. */
const SOON_MS = 60_000

let bed: Bed
let hosts: Host[]
let registry: Registry
beforeAll(async () => {
  bed = await makeBed({ hosts: 2, agentArgs: ['--pull-stall', `${PULL_STALL_MS}ms`] })
  hosts = bed.cluster.hosts
  registry = await startRegistry(bed.hosts.slot)
})
afterAll(() => bed?.hosts.stop())
afterEach(() => remake(bed))

function compose(image: string, more = ''): string {
  return `services: { web: { image: "${image}", stop_grace_period: 1s, scale: 2${more} } }`
}

const deploy = (text: string, ...args: string[]) => bed.cluster.deploy('s', text, ...args)

describe('from a registry', () => {
  test('what is missing is fetched by every host that needs it', async () => {
    await registry.push(hosts[0]!, BUSYBOX, 'team/missing:1')
    exits(await deploy(compose(`${registry.address}/team/missing:1`)), 0)
    const now = await assertExactly(hosts, { s_web: 2 })
    expect([...now.values()].map(({ host }) => host).sort()).toEqual(['host-1', 'host-2'])
  })

  test('an image is fetched by its digest', async () => {
    const digest = await registry.push(hosts[0]!, BUSYBOX_2, 'team/digest:1')
    exits(await deploy(compose(`${registry.address}/team/digest@${digest}`)), 0)
    await assertExactly(hosts, { s_web: 2 })
  })

  test('with pull_policy always a tag that moved is fetched again for a new container; without it, it is not', async () => {
    const name = 'team/moving:1'
    const image = `${registry.address}/${name}`
    const version = (number: number) =>
      `, environment: { VERSION: "${number}" }, deploy: { update_config: { monitor: 0s, parallelism: 0 } }`
    const always = ', pull_policy: always'
    await registry.push(hosts[0]!, BUSYBOX, name)
    exits(await deploy(compose(image, always + version(1))), 0)
    const first = await imageIds(await assertExactly(hosts, { s_web: 2 }))
    await registry.push(hosts[0]!, BUSYBOX_2, name)
    // `push` took the tag from the host that pushed.
    for (const host of hosts) await host.docker('pull', '--quiet', image).then(() => host.docker('tag', BUSYBOX, image))
    exits(await deploy(compose(image, version(2))), 0)
    expect(await imageIds(await assertExactly(hosts, { s_web: 2 }))).toEqual(first)
    exits(await deploy(compose(image, always + version(3))), 0)
    const last = await imageIds(await assertExactly(hosts, { s_web: 2 }))
    expect(last).not.toEqual(first)
    expect(last).toEqual(await Promise.all(hosts.map((host) => imageIdOf(host, BUSYBOX_2))))
  })

  test('that is down: what is missing is told, and fetched once it is back, without anybody asking again', async () => {
    await registry.push(hosts[0]!, BUSYBOX, 'team/later:1')
    await registry.kill()
    const said = exits(await deploy(compose(`${registry.address}/team/later:1`), '--timeout', '5s'), 4)
    expect(said).toMatch(/s_web\.\d on host-\d: image .*\/team\/later:1 cannot be fetched now: .*connection refused/)
    await registry.start()
    exits(await bed.cluster.berth('deploy', '--attach', 's'), 0)
    await assertExactly(hosts, { s_web: 2 })
  })
})

describe('without asking anyone', () => {
  test('what is on the host is used', async () => {
    const registry = await hangingRegistry(bed.hosts.slot)
    const image = `${registry.address}/team/here:1`
    for (const host of hosts) await host.docker('tag', BUSYBOX, image)
    exits(await deploy(compose(image)), 0)
    await assertExactly(hosts, { s_web: 2 })
    expect(registry.connections()).toBe(0)
    await registry.stop()
  })

  test('pull_policy never: an image that is not on the host is a failure, exit 1, at once', async () => {
    const image = `${registry.address}/team/never:1`
    const said = exits(await soon(deploy(compose(image, ', pull_policy: never'))), 1)
    expect(said).toContain(`image ${image} is not on this host, and its pull policy is "never"`)
    await assertExactly(hosts, {})
  })
})

describe('a failure', () => {
  test('to find the image: exit 1 soon, with the name and what the registry says', async () => {
    const image = `${registry.address}/team/none:1`
    const said = exits(await soon(deploy(compose(image))), 1)
    expect(said).toMatch(/s_web {2}✗ failed/)
    expect(said).toMatch(
      new RegExp(`s_web\\.\\d on host-\\d: image ${image} cannot be had: .*(not found|manifest unknown)`),
    )
    const { problems } = await bed.cluster.status()
    expect(problems.map(({ message }) => message).join('\n')).toContain(image)
    await assertExactly(hosts, {})
  })

  test('to find the image of a change: it is rolled back, and what ran was not touched', async () => {
    const update = ', deploy: { update_config: { order: start-first, failure_action: rollback, monitor: 1s } }'
    exits(await deploy(compose(HELLO, update)), 0)
    const before = await assertExactly(hosts, { s_web: 2 })
    const said = exits(await soon(deploy(compose(`${registry.address}/team/none:2`, update))), 1)
    expect(said).toMatch(
      /✗ rolled back to version 1: .*\n {2}s_web\.\d on host-\d: image .*\/team\/none:2 cannot be had/,
    )
    await assertExactly(hosts, { s_web: 2 }, { since: before })
  })

  test('that may pass (nobody listens there, an error of the registry) is told while it is waited for', async () => {
    const nobody = `${await refusedAddress(bed.hosts.slot)}/team/a:1`
    const refusing = await refusingRegistry(bed.hosts.slot, 500)
    const broken = `${refusing.address}/team/b:1`
    const said = exits(
      await deploy(`services: { a: { image: "${nobody}" }, b: { image: "${broken}" } }`, '--timeout', '5s'),
      4,
    )
    expect(said).toMatch(/s_a\.1 on host-\d: image .*\/team\/a:1 cannot be fetched now: .*connection refused/)
    expect(said).toMatch(/s_b\.1 on host-\d: image .*\/team\/b:1 cannot be fetched now: .*500/)
    await refusing.stop()
  })

  test('to be let in by the registry: exit 1 soon, since waiting does not help', async () => {
    const refusing = await refusingRegistry(bed.hosts.slot, 401)
    const said = exits(await soon(deploy(compose(`${refusing.address}/team/secret:1`))), 1)
    expect(said).toMatch(/\/team\/secret:1 cannot be had: .*(denied|unauthorized|401)/i)
    await refusing.stop()
  })

  test('of a registry that takes the connection and says nothing: given up, told, tried again; others do not wait', async () => {
    const hanging = await hangingRegistry(bed.hosts.slot)
    const stuck = `stuck: { image: "${hanging.address}/team/stuck:1" }`
    const said = exits(await deploy(`services: { ${stuck}, fine: { image: "${BUSYBOX}" } }`, '--timeout', '9s'), 4)
    expect(said).toMatch(/^s_fine {2}1\/1 running +host-\d/m)
    expect(said).toMatch(/s_stuck\.1 on host-\d: image .*\/team\/stuck:1 cannot be fetched now: no progress for 2 s/)
    const seen = hanging.connections()
    await until(() => hanging.connections() > seen, 'another try')
    const [task] = await tasksOf(bed.cluster, 's_stuck')
    expect(task!.attempt).toBeGreaterThanOrEqual(2)
    // A task that pulls can be removed.
    exits(await soon(bed.cluster.berth('rm', 's')), 0)
    await hanging.stop()
  })
})

async function soon(command: Promise<Command>): Promise<Command> {
  const began = Date.now()
  const ended = await command
  expect(Date.now() - began, ended.stdout + ended.stderr).toBeLessThan(SOON_MS)
  return ended
}

/** By host. */
async function imageIds(containers: Snapshot): Promise<string[]> {
  const sorted = [...containers.values()].sort((a, b) => (a.host < b.host ? -1 : 1))
  return Promise.all(
    sorted.map(async ({ host: name, id }) => {
      const host = hosts.find((each) => each.name === name)!
      return (await host.api<{ Image: string }>('GET', `/containers/${id}/json`)).Image
    }),
  )
}

async function imageIdOf(host: Host, image: string): Promise<string> {
  return (await host.docker('image', 'inspect', '--format', '{{.Id}}', image)).trim()
}
