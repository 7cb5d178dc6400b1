import { expect, test } from 'vitest'
import { HEARTBEAT_INTERVAL_SINCE } from '../../../shared/wire/version.ts'
import { aDoor } from '../../build/coordinator-door.ts'
import { aRawAgent } from '../../build/raw-agent.ts'
import { until } from '../../build/until.ts'
import { aHeartbeat } from '../../build/wire.ts'

test('an agent is told to send heartbeats less often as the fleet grows, and the world knows before it is', async () => {
  const door = await aDoor({ heartbeatIntervalMs: 100, heartbeatsPerSecondMax: 20 })
  const agent = await aRawAgent(door)
  await agent.open()
  expect(door.core.seen('connected')[0]?.connection.heartbeatIntervalMs).toBe(100)
  for (let index = 0; index < 7; index++) door.core.addNode({ name: `n${index}` })
  expect(await agent.next('heartbeat-interval')).toEqual({ kind: 'heartbeat-interval', heartbeatIntervalMs: 400 })
  expect(door.core.seen('heartbeat-interval')).toMatchObject([{ node: 'web-1', heartbeatIntervalMs: 400 }])
})

test('more often again as it shrinks, of which the world hears with the next heartbeat', async () => {
  const door = await aDoor({ heartbeatIntervalMs: 100, heartbeatsPerSecondMax: 20 })
  for (let index = 0; index < 7; index++) door.core.addNode({ name: `n${index}` })
  const agent = await aRawAgent(door)
  await agent.open()
  expect(door.core.seen('connected')[0]?.connection.heartbeatIntervalMs).toBe(400)
  for (let index = 0; index < 7; index++) door.core.world.nodes.delete(`n${index}`)
  expect(await agent.next('heartbeat-interval')).toMatchObject({ heartbeatIntervalMs: 100 })
  expect(door.core.seen('heartbeat-interval')).toEqual([])
  agent.say(aHeartbeat(1))
  await until(() => door.core.seen('heartbeat-interval').length > 0)
  expect(door.core.seen('heartbeat-interval')).toMatchObject([{ node: 'web-1', heartbeatIntervalMs: 100 }])
})

test('each interval is told once', async () => {
  const door = await aDoor({ heartbeatIntervalMs: 100, heartbeatsPerSecondMax: 20 })
  const agent = await aRawAgent(door)
  await agent.open()
  for (let index = 0; index < 4; index++) door.core.addNode({ name: `n${index}` })
  await agent.next('heartbeat-interval')
  // Another look at least is taken meanwhile.
  const late = await aRawAgent(door, 'web-2')
  await late.open()
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  for (let index = 4; index < 6; index++) door.core.addNode({ name: `n${index}` })
  await late.next('heartbeat-interval')
  await agent.next('heartbeat-interval')
  const told = agent.messages.flatMap((message) =>
    message.kind === 'heartbeat-interval' ? [message.heartbeatIntervalMs] : [],
  )
  expect(told).toEqual([300, 400])
})

test('an agent of an older version, which would not understand it, is told none', async () => {
  const door = await aDoor({ heartbeatIntervalMs: 100, heartbeatsPerSecondMax: 20 })
  const [old, other] = [await aRawAgent(door), await aRawAgent(door, 'web-2')]
  await old.open({ version: HEARTBEAT_INTERVAL_SINCE - 1 })
  await other.open()
  for (let index = 0; index < 6; index++) door.core.addNode({ name: `n${index}` })
  await other.next('heartbeat-interval')
  old.say(aHeartbeat(1))
  await until(() => door.core.seen('heartbeat').length > 0)
  expect(old.messages.some(({ kind }) => kind === 'heartbeat-interval')).toBe(false)
})
