import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ownKey, requestFor } from '../../../agent/link/identity.ts'
import { limitsFor } from '../../../coordinator/sessions/limits.ts'
import { FRAME_BYTES_MAX } from '../../../shared/wire/codec.ts'
import { WIRE_VERSION } from '../../../shared/wire/version.ts'
import { aDoor } from '../../build/coordinator-door.ts'
import { aRawAgent, credentialsOf } from '../../build/raw-agent.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'
import { until } from '../../build/until.ts'
import { aFullObservation, aHeartbeat, aHello, aTaskObservation } from '../../build/wire.ts'
import { aService, aTask, NOW, versionMap } from '../../build/world.ts'

describe('a session', () => {
  test('begins with hello and welcome, then everything complete both ways', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    agent.say(aHello({ revision: 3 }))
    expect(await agent.next('welcome')).toMatchObject({ version: WIRE_VERSION, cluster: door.security.cluster })
    expect(door.core.seen('connected')).toMatchObject([
      { node: 'web-1', hello: { revision: 3 }, connection: { instance: 'instance-1', wireVersion: WIRE_VERSION } },
    ])
    agent.say(aFullObservation({ tasks: [aTaskObservation()] }))
    expect(await agent.next('assignment')).toMatchObject({ revision: 1, tasks: [], specs: {} })
    expect(door.core.seen('tasks')).toMatchObject([{ node: 'web-1', full: true, tasks: [{ task: 't1' }] }])
  })

  test('is sent what changed, once', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    await agent.open()
    const { world } = door.core
    const service = aService()
    const task = aTask({ node: 'web-1' })
    world.services.set(service.name, service)
    world.tasks.set(task.id, task)
    world.tasksByNode.set('web-1', new Set([task]))
    world.nodes.get('web-1')!.assignmentRevision = 2
    door.sessions.nodesChanged(['web-1', 'elsewhere'])
    door.sessions.nodesChanged(['web-1'])
    const change = await agent.next('assignment-change')
    expect(change).toMatchObject({ base: 1, revision: 2, put: [{ id: task.id }], remove: [] })
    expect(Object.keys(change.specs)).toHaveLength(1)

    world.tasksByNode.set('web-1', new Set())
    world.nodes.get('web-1')!.assignmentRevision = 3
    door.sessions.nodesChanged(['web-1'])
    expect(await agent.next('assignment-change')).toMatchObject({ base: 2, revision: 3, put: [], remove: [task.id] })
    expect(agent.messages.filter(({ kind }) => kind === 'assignment-change')).toHaveLength(2)
  })

  test('is sent the complete assignment again when the agent asks for it', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    await agent.open()
    agent.say({ kind: 'resync', revision: 0, reason: 'it does not build on mine' })
    await agent.next('assignment')
  })

  test('tells the world what the agent says, and how it ended', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    await agent.open()
    agent.say(aHeartbeat(1))
    agent.say({ kind: 'notice', at: 1, code: 'engine-down', message: 'the Engine went away' })
    agent.say({ kind: 'goodbye', reason: 'upgrade' })
    await agent.closed
    expect(door.core.seen('heartbeat')).toHaveLength(1)
    expect(door.core.seen('notice')).toMatchObject([{ notice: { code: 'engine-down' } }])
    expect(door.core.seen('disconnected')).toMatchObject([{ node: 'web-1', why: 'upgrade', goodbye: true }])
  })

  test('that breaks is known at once', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    await agent.open()
    agent.websocket.terminate()
    await until(() => door.core.seen('disconnected').length > 0)
    expect(door.core.seen('disconnected')).toMatchObject([{ node: 'web-1', instance: 'instance-1', goodbye: false }])
    expect(door.sessions.stats()).toMatchObject({ sessions: 0, welcomed: 0, closed: 1 })
  })

  test('renews the certificate for the key it has, and for no other', async () => {
    const door = await aDoor()
    const credentials = await credentialsOf(door)
    const agent = await aRawAgent(door, 'web-1', credentials)
    await agent.open()
    agent.say({ kind: 'certificate-request', request: requestFor(credentials.keyPem, 'web-1') })
    const { certificate } = await agent.next('certificate')
    const endsAt = new X509Certificate(certificate).validToDate.getTime()
    expect(door.sessions.certificateEnds()).toEqual([{ node: 'web-1', endsAt }])
    const other = await credentialsOf(door, 'web-2')
    agent.say({ kind: 'certificate-request', request: requestFor(other.keyPem, 'web-1') })
    expect(await agent.next('refused')).toMatchObject({ code: 'certificate-mismatch', retry: false })
  })
})

describe('the door', () => {
  test('renews a certificate before the full observation too: after a long time off it is due at once', async () => {
    const door = await aDoor()
    const credentials = await credentialsOf(door)
    const agent = await aRawAgent(door, 'web-1', credentials)
    agent.say(aHello())
    await agent.next('welcome')
    agent.say({ kind: 'certificate-request', request: requestFor(credentials.keyPem, 'web-1') })
    await agent.next('certificate')
    agent.say(aFullObservation())
    await agent.next('assignment')
  })

  test('outlives a time in which the coordinator itself was stopped', async () => {
    let skewMs = 0
    const door = await aDoor({ now: () => Date.now() + skewMs })
    const agent = await aRawAgent(door)
    await agent.open()
    skewMs = 60_000
    await new Promise((resolve) => setTimeout(resolve, 2_200))
    expect(door.core.seen('disconnected')).toEqual([])
  })

  test('is not ended between two heartbeats, however rare they are', () => {
    expect(limitsFor(1_000).silenceMs).toBe(15_000)
    expect(limitsFor(60_000).silenceMs).toBeGreaterThan(2 * 60_000)
  })

  test('opens to nobody without a certificate', async () => {
    const door = await aDoor()
    const status = await new Promise((resolve, reject) => {
      const asking = request(`${door.url}/v1/agent`, {
        rejectUnauthorized: false,
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'x'.repeat(24),
        },
      })
      asking.on('response', (response) => resolve(response.statusCode))
      asking.on('upgrade', () => reject(new Error('let in')))
      asking.on('error', reject)
      asking.end()
    })
    expect(status).toBe(401)
  })

  test('leads to agents only at its own path', async () => {
    const door = await aDoor()
    const credentials = await credentialsOf(door)
    const { WebSocket } = await import('ws')
    const websocket = new WebSocket(`wss://127.0.0.1:${door.port}/v1/elsewhere`, {
      ca: credentials.caPem,
      key: credentials.keyPem,
      cert: credentials.certificatePem,
    })
    const error = await new Promise<Error>((resolve) => websocket.on('error', resolve))
    expect(error.message).toContain('404')
  })

  test.for([
    ['that was removed', 'it was removed, and its certificate is refused'],
    ['whose name another key has by now', 'has another key by now'],
    ['whose certificate expired', 'expired at'],
  ] as const)('refuses a host %s with a clear word', async ([whose, words]) => {
    let now = Date.now()
    const door = await aDoor({ now: () => now })
    const credentials = await credentialsOf(door)
    if (whose === 'that was removed') await door.core.submit({ kind: 'remove-node', node: 'web-1' })
    if (whose === 'whose name another key has by now') door.core.addNode({ name: 'web-1', keyFingerprint: 'other' })
    if (whose === 'whose certificate expired') now += 25 * 3_600_000
    const agent = await aRawAgent(door, 'web-1', credentials)
    const refused = await agent.next('refused')
    expect(refused).toMatchObject({ code: 'certificate-mismatch', retry: false })
    expect(refused.message).toContain(words)
    await agent.closed
    expect(door.core.observations).toEqual([])
  })

  test.for(['valid', 'expired'])(
    'opens no websocket to a stranger, and keeps no log of what he calls himself: certificate of another CA, %s',
    async (state) => {
      const [door, other] = [await aDoor(), await aDoor(state === 'expired' ? { lifetimes: { nodeMs: -1 } } : {})]
      await door.core.submit({ kind: 'join-node', node: 'web-1', keyFingerprint: 'of web-1' })
      const keyPem = await ownKey(await temporaryFolder())
      const { certificatePem } = await other.security.sign(requestFor(keyPem, 'web-1'), 'web-1')
      const caPem = door.security.caCertificatePem
      await expect(aRawAgent(door, 'web-1', { keyPem, certificatePem, caPem })).rejects.toThrow(/401/)
      expect(door.sessions.stats()).toMatchObject({ sessions: 0, refused: new Map([['stranger', 1]]) })
      expect(door.log.lines).toEqual([])
    },
  )

  test('lets in a bounded number of one node, whatever else has room', async () => {
    const door = await aDoor({ limits: { sessionsOfNodeMax: 2 } })
    const credentials = await credentialsOf(door)
    for (let opened = 0; opened < 2; opened++) await aRawAgent(door, 'web-1', credentials)
    await expect(aRawAgent(door, 'web-1', credentials)).rejects.toThrow(/503/)
    await (await aRawAgent(door, 'web-2')).open()
  })

  test('closes on a node that is removed, at the next beat', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    await agent.open()
    await door.core.submit({ kind: 'remove-node', node: 'web-1' })
    door.sessions.nodesChanged(['web-1'])
    expect(await agent.next('refused')).toMatchObject({ code: 'certificate-mismatch', retry: false })
    await agent.closed
  })

  test('closes on a node whose removal was taken back by a full disk, when it had connected meanwhile: it comes anew', async () => {
    const door = await aDoor()
    const { world } = door.core
    const agent = await aRawAgent(door)
    const node = world.nodes.get('web-1')!
    world.nodes.delete('web-1')
    await agent.open()
    world.nodes.set('web-1', node)
    door.sessions.nodesChanged(['web-1'])
    await agent.closed
    expect(door.sessions.stats()).toMatchObject({ welcomed: 0 })
  })

  test('lets in a bounded number', async () => {
    const door = await aDoor({ limits: { sessionsMax: 1 } })
    await (await aRawAgent(door)).open()
    await expect(aRawAgent(door, 'web-2')).rejects.toThrow(/503/)
  })
})

describe('an agent that is refused, closed, counted and without effect', () => {
  const offences: Record<string, { says: (agent: Awaited<ReturnType<typeof aRawAgent>>) => void; words: RegExp }> = {
    'whose first message is not hello': {
      says: (agent) => agent.say(aHeartbeat(1)),
      words: /first message must be hello/,
    },
    'that speaks no version of ours': {
      says: (agent) => agent.say(aHello({ version: 900, versionMin: 800 })),
      words: /the agent of web-1 speaks versions 800 to 900; upgrade the coordinator/,
    },
    'that calls itself otherwise than its certificate': {
      says: (agent) => agent.say(aHello({ node: 'web-2' })),
      words: /certificate is of node web-1, the agent calls itself web-2/,
    },
    'that sends what is not msgpack': {
      says: (agent) => agent.sayBytes(Buffer.from([0xc1, 1, 2])),
      words: /no message/,
    },
    'that sends text': { says: (agent) => agent.websocket.send('hello'), words: /frames are binary/ },
    'that sends a wrong type': {
      says: (agent) => agent.say({ ...aHello(), revision: -1 }),
      words: /hello at \/revision/,
    },
  }
  test.for(Object.entries(offences))('%s', async ([, { says, words }]) => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    says(agent)
    const refused = await agent.next('refused')
    expect(refused.message).toMatch(words)
    await agent.closed
    expect(door.core.observations).toEqual([])
    expect([...door.sessions.stats().refused.values()]).toEqual([1])
  })

  test('whose frame is too large', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    agent.sayBytes(Buffer.alloc(FRAME_BYTES_MAX + 1))
    expect(await agent.closed).toMatchObject({ code: 1009 })
    expect(door.sessions.stats().refused.get('too-large')).toBe(1)
  })

  const openOffences: Record<string, { says: (agent: Awaited<ReturnType<typeof aRawAgent>>) => void; words: RegExp }> =
    {
      'that says hello twice': { says: (agent) => agent.say(aHello()), words: /hello may not come/ },
      'that replays a heartbeat': {
        says: (agent) => {
          agent.say(aHeartbeat(7))
          agent.say(aHeartbeat(7))
        },
        words: /heartbeat 7 came after 7: it is replayed/,
      },
      'that sends an older heartbeat': {
        says: (agent) => {
          agent.say(aHeartbeat(7))
          agent.say(aHeartbeat(6))
        },
        words: /heartbeat 6 came after 7/,
      },
    }
  test.for(Object.entries(openOffences))('%s', async ([, { says, words }]) => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    await agent.open()
    says(agent)
    expect((await agent.next('refused')).message).toMatch(words)
    await agent.closed
    expect(door.core.seen('heartbeat').length).toBeLessThanOrEqual(1)
    expect(door.core.seen('disconnected')).toHaveLength(1)
  })

  test('whose first observation is not full', async () => {
    const door = await aDoor()
    const agent = await aRawAgent(door)
    agent.say(aHello())
    await agent.next('welcome')
    agent.say(aFullObservation({ full: false }))
    expect((await agent.next('refused')).message).toContain('must be a full one')
    expect(door.core.seen('tasks')).toEqual([])
  })

  test.for([
    ['says nothing', 'no hello came', { helloTimeoutMs: 50 }],
    ['never says what it runs', 'no full observation came', { observationTimeoutMs: 50 }],
  ] as const)('that %s', async ([what, words, limits]) => {
    const door = await aDoor({ limits })
    const agent = await aRawAgent(door)
    if (what === 'never says what it runs') agent.say(aHello())
    expect((await agent.next('refused')).message).toContain(words)
    await agent.closed
  })

  test('of which nothing is heard any more', async () => {
    const door = await aDoor({ limits: { silenceMs: 100 } })
    const agent = await aRawAgent(door)
    await agent.open()
    await agent.closed
    expect(door.core.seen('disconnected')).toMatchObject([{ why: 'nothing was heard for 0.1 s' }])
  })
})

describe('two agents of one name', () => {
  test('the one that was there first stays while it answers', async () => {
    const door = await aDoor()
    const credentials = await credentialsOf(door)
    const first = await aRawAgent(door, 'web-1', credentials)
    await first.open({ instance: 'first' })
    const second = await aRawAgent(door, 'web-1', credentials)
    second.say(aHello({ instance: 'second' }))
    const refused = await second.next('refused')
    expect(refused).toMatchObject({ code: 'name-taken', retry: false })
    expect(refused.message).toMatch(/connected from 127\.0\.0\.1 already.*--name/)
    first.say(aHeartbeat(1))
    await until(() => door.core.seen('heartbeat').length === 1)
    expect(door.core.seen('connected')).toHaveLength(1)
  })

  test('a silent one is replaced', async () => {
    const door = await aDoor({ limits: { duplicatePingMs: 100 } })
    const credentials = await credentialsOf(door)
    const first = await aRawAgent(door, 'web-1', credentials)
    await first.open({ instance: 'first' })
    first.websocket.pause()
    const second = await aRawAgent(door, 'web-1', credentials)
    await second.open({ instance: 'second' })
    expect(door.core.observations.map((each) => each.kind)).toEqual([
      'connected',
      'tasks',
      'disconnected',
      'connected',
      'tasks',
    ])
    expect(door.core.seen('disconnected')).toMatchObject([{ instance: 'first' }])
  })

  test('the same agent on a new connection replaces its old one at once', async () => {
    const door = await aDoor({ limits: { duplicatePingMs: 60_000 } })
    const credentials = await credentialsOf(door)
    const first = await aRawAgent(door, 'web-1', credentials)
    await first.open()
    const second = await aRawAgent(door, 'web-1', credentials)
    await second.open()
    expect(door.sessions.stats()).toMatchObject({ sessions: 1, welcomed: 1 })
  })
})

describe('bounds', () => {
  test('a flood of notices does not push out what others told: beyond the rate they are counted only', async () => {
    const door = await aDoor({ limits: { noticesPerSecond: 1, noticesBurst: 5 } })
    const agent = await aRawAgent(door)
    await agent.open()
    for (let sent = 0; sent < 50; sent++) agent.say({ kind: 'notice', at: NOW, code: 'noise', message: 'again' })
    agent.say({ ...aFullObservation(), full: false, revision: 7 })
    await until(() => door.core.seen('tasks').some(({ revision }) => revision === 7))
    const told = door.core.seen('notice').length
    expect(told).toBeGreaterThanOrEqual(5)
    expect(told).toBeLessThan(20)
    expect(door.sessions.stats().refused.get('too-many-notices')).toBe(50 - told)
  })

  test('a flood is read at the rate, not refused, and nothing of it is lost', async () => {
    const door = await aDoor({ limits: { messagesPerSecond: 1000, messagesBurst: 10 } })
    const agent = await aRawAgent(door)
    await agent.open()
    for (let i = 0; i < 300; i++) agent.say(aHeartbeat(i))
    await until(() => door.core.seen('heartbeat').length === 300)
    expect(door.sessions.stats().pauses).toBeGreaterThan(0)
  })

  test('an agent that does not take what it is sent is cut off', async () => {
    const door = await aDoor({ limits: { sendBufferBytesMax: 1_000_000 } })
    const agent = await aRawAgent(door)
    await agent.open()
    agent.websocket.pause()
    const service = aService({ spec: { container: { environment: { LONG: 'x'.repeat(120_000) } } } })
    const { world } = door.core
    for (let revision = 2; door.core.seen('disconnected').length === 0; revision++) {
      const name = `shop_${revision}`
      const version = { ...service.versions.get(1)!, taskHash: `hash-${revision}` }
      world.services.set(name, { ...service, name, versions: versionMap(version) })
      world.tasksByNode.set('web-1', new Set([aTask({ id: `t${revision}`, service: name, node: 'web-1' })]))
      world.nodes.get('web-1')!.assignmentRevision = revision
      door.sessions.nodesChanged(['web-1'])
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(door.core.seen('disconnected')[0]?.why).toMatch(/took too little/)
    expect(door.sessions.stats().refused.get('slow')).toBe(1)
  })
})

test('no bytes bring the coordinator down, and each that is no hello is refused', async () => {
  const door = await aDoor()
  const credentials = await credentialsOf(door)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 5 }), async (frames) => {
      const agent = await aRawAgent(door, 'web-1', credentials)
      for (const frame of frames) agent.sayBytes(frame)
      await agent.next('refused')
      await agent.closed
      expect(door.core.observations).toEqual([])
    }),
    { numRuns: 60 },
  )
  await (await aRawAgent(door, 'web-1', credentials)).open()
})
