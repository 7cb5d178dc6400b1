import { expect, test } from 'vitest'
import { aDoor } from '../../build/coordinator-door.ts'
import { aFakeCore } from '../../build/fake-core.ts'
import { aRawAgent } from '../../build/raw-agent.ts'
import { until } from '../../build/until.ts'
import { aHeartbeat } from '../../build/wire.ts'

test('an agent whose heartbeat is late and which answers a ping has given a sign of life, at the moment of its answer', async () => {
  const door = await aDoor({ heartbeatIntervalMs: 250 })
  const agent = await aRawAgent(door)
  const before = Date.now()
  await agent.open()
  await until(() => door.core.seen('sign-of-life').length >= 2)
  const [first, second] = door.core.seen('sign-of-life')
  expect(first).toMatchObject({ node: 'web-1' })
  expect(first!.seenAt).toBeGreaterThan(before)
  expect(second!.seenAt).toBeGreaterThan(first!.seenAt)
  expect(second!.seenAt).toBeLessThanOrEqual(Date.now())
})

test('one that answers no ping gives none', async () => {
  const door = await aDoor({ heartbeatIntervalMs: 250 })
  const agent = await aRawAgent(door, 'web-1', undefined, { autoPong: false })
  let pings = 0
  agent.websocket.on('ping', () => pings++)
  await agent.open()
  await until(() => pings >= 6)
  expect(door.core.seen('sign-of-life')).toEqual([])
})

test('in a cluster of many nodes nobody is asked', async () => {
  const core = aFakeCore()
  for (let index = 0; index < 200; index++) core.addNode({ name: `n${index}` })
  const door = await aDoor({ core, heartbeatIntervalMs: 250 })
  const agent = await aRawAgent(door)
  let pings = 0
  agent.websocket.on('ping', () => pings++)
  await agent.open()
  for (let sequence = 1; sequence <= 3; sequence++) {
    agent.say(aHeartbeat(sequence))
    await until(() => door.core.seen('heartbeat').length === sequence)
  }
  expect(pings).toBe(0)
  expect(door.core.seen('sign-of-life')).toEqual([])
})
