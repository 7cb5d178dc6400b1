/** The flight recorder: what a container printed and how it ended is told when the container, its host and the coordinator are gone. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { IncidentDocument, IncidentsDocument } from '../../shared/api.ts'
import type { Cluster } from '../engines/berth.ts'
import { BUSYBOX } from '../engines/image.ts'
import { until } from '../engines/until.ts'
import { type Bed, exits, expectShape, makeBed } from './bed.ts'
import { deployed, nodeBecomes, succeeded, tasks } from './trouble.ts'

let bed: Bed
let cluster: Cluster
beforeAll(async () => {
  // The other host may be taken for lost on a busy machine, too: that changes nothing here.
  bed = await makeBed({ hosts: 2, coordinatorArgs: ['--agent-grace', '3s'] })
  cluster = bed.cluster
})
// The host that has lost its power stays as it is.
afterAll(() => bed?.hosts.stop())

const SECRET = 'hunter2-of-the-environment'
/** Prints until it is told to fail; being started again in place, it then fails again and again. */
const SCRIPT =
  'i=0; while [ ! -e /tmp/fail ]; do echo "line $$i"; i=$$((i+1)); sleep 0.05; done; echo "cannot reach the database" >&2; exit 3'
const COMPOSE = `services:
  web:
    image: ${BUSYBOX}
    pull_policy: never
    stop_grace_period: 1s
    environment: { PASSWORD: ${SECRET} }
    command: ["/bin/sh", "-c", ${JSON.stringify(SCRIPT)}]
`

/** Takes some 2 MB more each second. */
const GROWING = 'a=$$(head -c 1000000 /dev/zero | tr "\\0" x); while :; do b=$$b$$a; sleep 1; done'

test('a container that takes more memory than it may is told to have been killed for it, with its last seconds; a drain is told, too', async () => {
  const fat = {
    image: BUSYBOX,
    pull_policy: 'never',
    mem_limit: '16m',
    stop_grace_period: '1s',
    command: ['/bin/sh', '-c', GROWING],
    // So seldom that heartbeats tell nothing of how it came to that.
    'x-berth': { sampling: '60s' },
  }
  exits(await cluster.deploy('fat', JSON.stringify({ services: { web: fat } }), '--detach'), 0)
  const killed = await until(async () => {
    const { items } = await cluster.api<IncidentsDocument>('GET', '/v1/incidents?service=fat_web')
    if (items[0] === undefined) throw new Error('none is kept yet')
    return items[0]
  }, 'the incident of a kill for lack of memory')
  expect(killed).toMatchObject({ kind: 'out-of-memory', reason: 'was killed: out of memory', taskName: 'fat_web.1' })
  const shown = exits(await cluster.berth('incident', 'show', String(killed.number)), 0)
  expect(shown).toMatch(/out of memory +yes/)
  expect(shown).toMatch(/load before \(\d+ samples, \d+ s apart/)
  const { samples } = await cluster.api<IncidentDocument>('GET', `/v1/incidents/${killed.number}`)
  const at = samples.map((sample) => Date.parse(sample.at))
  const apartMs = at.slice(1).map((time, index) => time - at[index]!)
  expect(apartMs.length, JSON.stringify(samples)).toBeGreaterThanOrEqual(2)
  expect(Math.min(...apartMs)).toBeGreaterThan(800)
  expect(samples.at(-1)!.memoryBytesUsed).toBeGreaterThan(samples[0]!.memoryBytesUsed)
  expect(at.at(-1)).toBeLessThan(Date.parse(killed.at) + 1_000)

  exits(await cluster.berth('drain', killed.node!), 0)
  await until(
    async () => (await cluster.berth('incident', 'ls', killed.node!)).stdout.includes('was drained'),
    'the incident of the drain',
  )
  exits(await cluster.berth('activate', killed.node!), 0)
  exits(await cluster.berth('rm', 'fat'), 0)
})

test('a container exits 3 and its host goes: berth incident tells code, lines, and that the host was lost', async () => {
  await deployed(cluster, 'talk', COMPOSE)
  const [task] = await tasks(cluster, 'talk_web')
  const host = cluster.hosts.find(({ name }) => name === task!.node)!
  await host.docker('exec', task!.containerId!, 'touch', '/tmp/fail')
  const incident = await until(async () => {
    const { items } = await cluster.api<IncidentsDocument>('GET', '/v1/incidents?service=talk_web')
    const [latest] = items
    if (latest === undefined || latest.count < 2) throw new Error(`incidents: ${JSON.stringify(items)}`)
    const found = await cluster.api<IncidentDocument>('GET', `/v1/incidents/${latest.number}`)
    if (found.lines.state !== 'kept') throw new Error('its lines are not kept yet')
    return found
  }, 'the incident with its lines')
  expectShape(IncidentDocument, incident)
  expect(incident).toMatchObject({ kind: 'exit', task: task!.id, node: host.name, ending: { exitCode: 3, attempt: 1 } })
  // Of the first failure. One that follows within its last moment may be among them, too.
  const said = incident.lines.kept.map(({ text }) => text)
  const lastWords = said.indexOf('cannot reach the database')
  expect(said[lastWords - 1]).toMatch(/^line \d+$/)
  expect(said.slice(lastWords + 1).filter((text) => text !== 'cannot reach the database')).toEqual([])

  // Power loss.
  await cluster.agents[cluster.hosts.indexOf(host)]!.kill()
  await host.crash()
  await nodeBecomes(cluster, host, 'lost')
  // At once, whether its incident has been written yet or not.
  await cluster.coordinator.restart('SIGKILL')
  await cluster.ready()
  await until(
    async () => (await cluster.berth('incident', 'ls', host.name)).stdout.includes('was lost'),
    'its incident',
  )

  const shown = await cluster.berth('incident', 'show', String(incident.number))
  succeeded(shown)
  expect(shown.stdout).toMatch(
    new RegExp(`^incident ${incident.number}: talk_web\\.1 on ${host.name} exited with code 3`),
  )
  expect(shown.stdout).toMatch(/line \d+\n.*! cannot reach the database/)
  expect(shown.stdout + JSON.stringify(incident)).not.toContain(SECRET)

  const ofNode = await cluster.berth('incident', 'ls', host.name)
  succeeded(ofNode)
  expect(ofNode.stdout).toMatch(/was lost/)
  expect(ofNode.stdout).toMatch(/exited with code 3/)
  const listed = await cluster.api<IncidentsDocument>('GET', '/v1/incidents')
  expectShape(IncidentsDocument, listed)
})
