import { X509Certificate } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join as joinPath } from 'node:path'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { joinCluster } from '../../../agent/link/join.ts'
import { aDoor, type Door, type DoorOptions } from '../../build/coordinator-door.ts'
import { aLinkedAgent } from '../../build/linked-agent.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'
import { until } from '../../build/until.ts'
import { aTaskObservation } from '../../build/wire.ts'
import { anEngine } from '../../build/world.ts'

/** Between agent and coordinator: passes bytes on until it is told to pass none, as a network that swallows them. */
async function aNetwork(port: number) {
  let swallows = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk) => swallows || to.write(chunk))
      from.on('error', () => undefined)
      from.on('close', () => to.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    swallow(whether: boolean) {
      swallows = whether
    },
  }
}

/** The host joins and does not connect. */
function join(door: Door, dataDir: string) {
  const token = door.security.joinToken()
  return joinCluster({ coordinator: door.url, token, node: 'web-1', dataDir, now: Date.now })
}

/** Whether each agent that connects has come by ticket. */
function upgradesOf(door: Door): boolean[] {
  const reused: boolean[] = []
  door.server.on('upgrade', (_request, socket) => reused.push((socket as TLSSocket).isSessionReused()))
  return reused
}

describe('the link', () => {
  test('joins, greets, and tells and hears everything', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door)
    agent.supervisor.tasks = [aTaskObservation()]
    await until(() => agent.supervisor.assigned.length === 1)
    expect(door.core.observations.filter(({ kind }) => kind !== 'heartbeat')).toMatchObject([
      { kind: 'connected', node: 'web-1' },
      { kind: 'tasks', full: true, tasks: [{ task: 't1' }] },
    ])
    expect(agent.supervisor.assigned).toMatchObject([{ kind: 'assignment', revision: 1 }])
    expect(agent.link.state.name).toBe('open')
  })

  test('tells the labels of an Engine that was down at the hello as soon as it is up, and only once', async () => {
    const door = await aDoor()
    const engine = { state: 'down' as const, message: 'no answer' }
    const agent = await aLinkedAgent(door, { engine, engineLabels: { disk: 'ssd' } })
    await until(() => agent.supervisor.assigned.length === 1)
    expect(door.core.seen('connected')).toMatchObject([{ hello: { inventory: { engineLabels: {} } } }])
    agent.supervisor.engineIs(anEngine())
    await until(() => door.core.seen('inventory').length > 0)
    for (const state of ['down', 'up'] as const) agent.supervisor.engineIs(anEngine({ state }))
    agent.supervisor.see({ task: 'last' })
    await until(() => door.core.seen('tasks').some(({ tasks }) => tasks.some(({ task }) => task === 'last')))
    expect(door.core.seen('inventory')).toMatchObject([{ node: 'web-1', inventory: { engineLabels: { disk: 'ssd' } } }])
  })

  test('says everything again once the Engine that was down at first is up, and only changes from then on', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door, { engine: { state: 'down', message: 'no answer' } })
    await until(() => agent.supervisor.assigned.length === 1)
    agent.supervisor.tasks = [aTaskObservation({ task: 'kept' })]
    agent.supervisor.engineIs(anEngine())
    await until(() => door.core.seen('tasks').length === 2)
    for (const state of ['down', 'up'] as const) {
      agent.supervisor.engineIs(anEngine({ state }))
      agent.supervisor.see({ task: state })
      await until(() => door.core.seen('tasks').some(({ tasks }) => tasks.some(({ task }) => task === state)))
    }
    const told = door.core
      .seen('tasks')
      .map(({ full, engine, tasks }) => [full, engine.state, tasks.map(({ task }) => task)])
    expect(told).toEqual([
      [true, 'down', []],
      [true, 'up', ['kept']],
      [false, 'down', ['down']],
      [false, 'up', ['up']],
    ])
  })

  test('tells the last minute of what went bad before it tells that, once; and all again over a new connection', async () => {
    const heard: string[] = []
    const dir = await temporaryFolder()
    const lastMinutes: DoorOptions['lastMinutes'] = (node, tasks) =>
      void heard.push(`${node} ${tasks.map(({ task }) => task)}`)
    const door = await aDoor({ dir, lastMinutes })
    const agent = await aLinkedAgent(door)
    const lastMinute = { attempt: 1, at: [1], cpuCoresUsed: [0.5], memoryBytesUsed: [7] }
    for (const task of ['ended', 'ill', 'well']) agent.lastMinutes.set(`${task} 1`, { task, ...lastMinute })
    await until(() => agent.supervisor.assigned.length === 1)
    const told = door.core.observe
    door.core.observe = (observation) => {
      if (observation.kind === 'tasks') heard.push(`told of ${observation.tasks.map(({ task }) => task)}`)
      told(observation)
    }
    const ended = aTaskObservation({ task: 'ended', state: 'restarting', exitCode: 3 })
    const ill = aTaskObservation({ task: 'ill', health: 'unhealthy' })
    agent.supervisor.see(ended)
    agent.supervisor.see(aTaskObservation({ task: 'well' }))
    await until(() => heard.length === 2)
    agent.supervisor.see(ill)
    await until(() => heard.length === 4)
    agent.supervisor.see({ ...ill, healthMessage: 'still ill' })
    agent.supervisor.see({ task: 'unknown', state: 'failed', exitCode: 1 })
    await until(() => heard.length === 5)
    expect(heard).toEqual([...['web-1 ended', 'told of ended,well', 'web-1 ill', 'told of ill', 'told of ill,unknown']])
    agent.supervisor.tasks = [ended, ill]
    await door.kill()
    heard.splice(0)
    await aDoor({ dir, port: door.port, core: door.core, lastMinutes })
    await until(() => heard.length === 2)
    expect(heard).toEqual(['web-1 ended,ill', 'told of ended,ill'])
  })

  test('tells who this host is as soon as it has joined, and from then on without asking anybody', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    const me = `${door.security.cluster} web-1`
    expect(agent.identities).toEqual([me])
    await agent.stop()
    await door.kill()
    const again = await aLinkedAgent(door, { dataDir: agent.dataDir })
    await until(() => again.identities.length > 0)
    expect(again.identities).toEqual([me])
  })

  test('tells changes and notices as they come', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    agent.supervisor.see({ task: 't2', state: 'starting' })
    agent.supervisor.see({ task: 't2', state: 'running' })
    agent.supervisor.notice('engine-down')
    await until(() => door.core.seen('notice').length === 1)
    const told = door.core.seen('tasks').slice(1)
    expect(told).toMatchObject([{ full: false, revision: 1, tasks: [{ task: 't2', state: 'running' }] }])
  })

  test('beats at the interval that the welcome tells, naming all containers first', async () => {
    const door = await aDoor({ heartbeatIntervalMs: 50 })
    const agent = await aLinkedAgent(door)
    await until(() => door.core.seen('heartbeat').length >= 5)
    expect(agent.samples.slice(0, 3)).toEqual([true, false, false])
  })

  test('beats at another interval once it is told one, beginning at once', async () => {
    const door = await aDoor({ heartbeatIntervalMs: 60_000, heartbeatsPerSecondMax: 1 })
    for (let index = 0; index < 100; index++) door.core.addNode({ name: `n${index}` })
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    expect(agent.samples).toHaveLength(1)
    for (let index = 0; index < 100; index++) door.core.world.nodes.delete(`n${index}`)
    await until(() => agent.samples.length === 2)
  })

  test('asks for the complete assignment when a change does not build on what is there', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    agent.supervisor.outcome = (message) =>
      message.kind === 'assignment' ? { outcome: 'applied' } : { outcome: 'resync', reason: 'no base' }
    door.core.world.nodes.get('web-1')!.assignmentRevision = 2
    door.sessions.nodesChanged(['web-1'])
    await until(() => agent.supervisor.assigned.length === 3)
    expect(agent.supervisor.assigned.map(({ kind }) => kind)).toEqual(['assignment', 'assignment-change', 'assignment'])
  })

  test('says that a stale assignment was refused', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door)
    agent.supervisor.outcome = () => ({ outcome: 'stale', reason: 'revision 1 is older than 5' })
    await until(() => door.core.seen('notice').length > 0)
    expect(door.core.seen('notice')[0]?.notice).toMatchObject({ code: 'stale-assignment' })
  })

  test('says goodbye when the agent stops', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    expect(await agent.stop()).toBeNull()
    await until(() => door.core.seen('disconnected').length === 1)
    expect(door.core.seen('disconnected')).toMatchObject([{ goodbye: true }])
    expect(agent.link.state).toEqual({ name: 'closed', why: 'the agent stops' })
  })

  test('comes back to a coordinator that was killed and started again, with everything complete both ways', async () => {
    const dir = await temporaryFolder()
    const first = await aDoor({ dir })
    const agent = await aLinkedAgent(first)
    await until(() => agent.supervisor.assigned.length === 1)
    await first.kill()
    agent.supervisor.see({ task: 'while-away' })
    agent.supervisor.tasks = [aTaskObservation({ task: 'while-away' })]
    const second = await aDoor({ dir, port: first.port, core: first.core })
    await until(() => agent.supervisor.assigned.length === 2)
    expect(agent.supervisor.assigned[1]?.kind).toBe('assignment')
    expect(second.core.seen('tasks')).toMatchObject([{ full: true }, { full: true, tasks: [{ task: 'while-away' }] }])
    expect(second.core.seen('connected')).toHaveLength(2)
  })

  test('notices a coordinator that has gone silent, and connects anew', async () => {
    const door = await aDoor()
    const network = await aNetwork(door.port)
    const times = { pingIntervalMs: 50, silenceMs: 200, greetingTimeoutMs: 500 }
    const agent = await aLinkedAgent({ ...door, url: network.url }, { times })
    await until(() => agent.supervisor.assigned.length === 1)
    network.swallow(true)
    await until(() => agent.link.state.name !== 'open')
    expect(agent.log.lines.some(({ message }) => message.includes('the coordinator has been silent for'))).toBe(true)
    network.swallow(false)
    await until(() => agent.supervisor.assigned.length === 2)
  })
})

describe('an identity', () => {
  test('is renewed before it ends, over the open connection, for the same key', async () => {
    // Certificates are backdated by ten minutes: two thirds of this one's life are over in less than a second.
    const door = await aDoor({ lifetimes: { nodeMs: 301_000 } })
    const agent = await aLinkedAgent(door, { random: () => 0 })
    await until(() => agent.supervisor.assigned.length === 1)
    const read = async () => JSON.parse(await readFile(`${agent.dataDir}/identity/identity.json`, 'utf8'))
    const before = (await read()).certificate
    let after = before
    while (after === before) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      after = (await read()).certificate
    }
    const key = new X509Certificate(before).publicKey
    expect(new X509Certificate(after).publicKey.equals(key)).toBe(true)
    expect(agent.link.state.name).toBe('open')
  })

  test('that ended while the host was off is replaced by joining again', async () => {
    const dir = await temporaryFolder()
    const dataDir = await temporaryFolder()
    const brief = await aDoor({ dir, lifetimes: { nodeMs: 1 } })
    await join(brief, dataDir)
    await brief.kill()
    const door = await aDoor({ dir, core: brief.core })
    const back = await aLinkedAgent(door, { dataDir })
    await until(() => back.supervisor.assigned.length === 1)
    expect(door.core.changes.map(({ kind }) => kind)).toEqual(['join-node', 'join-node'])
  })

  test('that ended and cannot be replaced is said, with the command', async () => {
    const dataDir = await temporaryFolder()
    const door = await aDoor({ lifetimes: { nodeMs: 1 } })
    await join(door, dataDir)
    const late = await aLinkedAgent(door, { dataDir, joinToken: () => null })
    await until(() => late.log.lines.length > 0)
    expect(late.log.lines[0]?.message).toMatch(/certificate of web-1 ended at .*berth agent --join-file FILE/)
    await until(() => late.link.state.name === 'waiting')
  })

  test.each([
    ['ahead', 30],
    ['behind', -30],
  ])('is kept and renewed by the coordinator’s clock when the host’s goes a day %s', async (_side, hours) => {
    const dataDir = await temporaryFolder()
    const door = await aDoor()
    await join(door, dataDir)
    const signed = vi.spyOn(door.security, 'sign')
    const agent = await aLinkedAgent(door, { dataDir, now: () => Date.now() + hours * 3_600_000 })
    await until(() => agent.samples.length > 5)
    expect(agent.link.state.name).toBe('open')
    expect(signed).not.toHaveBeenCalled()
  })

  test('is renewed with a pause, whatever the clocks say', async () => {
    // Backdated by ten minutes and good for another three: two thirds of its life are always over.
    const door = await aDoor({ lifetimes: { nodeMs: 200_000 } })
    const signed = vi.spyOn(door.security, 'sign')
    const agent = await aLinkedAgent(door, { random: () => 0 })
    await until(() => signed.mock.calls.length >= 2)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(signed).toHaveBeenCalledTimes(2)
    expect(agent.link.state.name).toBe('open')
  })

  test('is shown again by ticket after a restart of the coordinator, and the node is the same', async () => {
    const dir = await temporaryFolder()
    const door = await aDoor({ dir })
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    await door.kill()
    const again = await aDoor({ dir, port: door.port, core: door.core })
    const reused = upgradesOf(again)
    await until(() => agent.supervisor.assigned.length === 2)
    expect(reused).toEqual([true])
    expect(door.core.seen('connected').map(({ node }) => node)).toEqual(['web-1', 'web-1'])
  })

  test('whose ticket the coordinator cannot read is shown in a whole handshake', async () => {
    const dir = await temporaryFolder()
    const door = await aDoor({ dir })
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    await door.kill()
    await rm(joinPath(dir, 'ticket-key.json'))
    const again = await aDoor({ dir, port: door.port, core: door.core })
    const reused = upgradesOf(again)
    await until(() => agent.supervisor.assigned.length === 2)
    expect(reused).toEqual([false])
  })

  test('that was removed meanwhile is refused by ticket as well', async () => {
    const dir = await temporaryFolder()
    const door = await aDoor({ dir })
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    await door.kill()
    door.core.world.nodes.delete('web-1')
    const again = await aDoor({ dir, port: door.port, core: door.core })
    const reused = upgradesOf(again)
    await until(() => agent.log.lines.some(({ message }) => message.includes('there is no node web-1')))
    expect(reused).toEqual([true])
  })

  test('is shown to no node that plays coordinator with a certificate of the same CA', async () => {
    const door = await aDoor()
    const dataDir = await temporaryFolder()
    await join(door, dataDir)
    const token = door.security.joinToken()
    const other = { coordinator: door.url, token, node: 'web-2', dataDir: await temporaryFolder(), now: Date.now }
    const { keyPem, certificatePem, caPem } = await joinCluster(other)
    let asked = 0
    const impostor = createTlsServer({ key: keyPem, cert: certificatePem + caPem, requestCert: true }, () => asked++)
    onTestFinished(() => void impostor.close())
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
    const coordinator = `https://127.0.0.1:${(impostor.address() as AddressInfo).port}`
    const agent = await aLinkedAgent(door, { dataDir, coordinator })
    await until(() => agent.log.lines.length > 0)
    expect(agent.log.lines[0]?.message).toMatch(/no connection to .*(purpose|INVALID_PURPOSE)/i)
    expect(asked).toBe(0)
  })

  test('of one cluster does not let the host slip into another', async () => {
    const [door, other] = [await aDoor(), await aDoor()]
    const dataDir = await temporaryFolder()
    const agent = await aLinkedAgent(door, { dataDir })
    await until(() => agent.supervisor.assigned.length === 1)
    await agent.stop()
    const moved = await aLinkedAgent(other, { dataDir })
    expect(await moved.ran).toMatchObject({ code: 'wrong-cluster' })
  })

  test('is required: without one and without a token the agent says what to do', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door, { joinToken: () => null })
    expect(await agent.ran).toMatchObject({ code: 'unauthorized' })
  })

  test('that was removed is refused, and the agent goes on to ask, slowly', async () => {
    const door = await aDoor()
    const agent = await aLinkedAgent(door)
    await until(() => agent.supervisor.assigned.length === 1)
    await door.core.submit({ kind: 'remove-node', node: 'web-1' })
    door.sessions.nodesChanged(['web-1'])
    await until(() => agent.link.state.name === 'waiting')
    expect(agent.log.lines.some(({ message }) => message.includes('was removed from the cluster'))).toBe(true)
    const { state } = agent.link
    expect(state.name === 'waiting' && state.until - Date.now()).toBeGreaterThan(15_000)
  })
})

test('a first join that cannot succeed ends the agent with the reason', async () => {
  const door = await aDoor()
  const agent = await aLinkedAgent(door, { joinToken: () => 'BRTH-1-nonsense' })
  expect(await agent.ran).toMatchObject({ code: 'token-invalid' })
})

test('a coordinator that is not there yet is waited for', async () => {
  const dir = await temporaryFolder()
  const first = await aDoor({ dir })
  await first.kill()
  const agent = await aLinkedAgent(first)
  await until(() => agent.log.lines.length > 0)
  await aDoor({ dir, port: first.port, core: first.core })
  await until(() => agent.supervisor.assigned.length === 1)
})

test('a second agent with the same data folder is refused while the first lives', async () => {
  const door = await aDoor()
  const dataDir = await temporaryFolder()
  const first = await aLinkedAgent(door, { dataDir })
  await until(() => first.supervisor.assigned.length === 1)
  const second = await aLinkedAgent(door, { dataDir })
  await until(() => second.log.lines.some(({ message }) => message.includes('must not share a name')))
  expect(first.link.state.name).toBe('open')
  expect(door.core.seen('connected')).toHaveLength(1)
})
