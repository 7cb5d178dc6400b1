import { expect, test } from 'vitest'
import { nextSteps, printStep } from '../../../agent/decide/next-steps.ts'
import { aContainer, anEndedContainer, aPicture, OWNER, type PictureGiven } from '../../build/container.ts'
import { aTaskSpec } from '../../build/spec.ts'

const NOW = 100_000
const steps = (given: PictureGiven) => nextSteps([aPicture(given)], OWNER, NOW).map(printStep)

test('a task without a container is launched without asking for its image first', () => {
  expect(steps({})).toEqual(['launch shop_api.1.a'])
})

test('an image that turned out to be missing is pulled, and then the task is launched', () => {
  expect(steps({ memory: { image: 'missing' } })).toEqual(['pull shop_api.1.a example/web:1'])
  expect(steps({ memory: { image: 'ready' } })).toEqual(['launch shop_api.1.a'])
})

test('pull policy "always" pulls before each new container, "never" pulls not even what is missing', () => {
  const always = aTaskSpec({ container: { pullPolicy: 'always' } })
  const never = aTaskSpec({ container: { pullPolicy: 'never' } })
  expect(steps({ spec: always })).toEqual(['pull shop_api.1.a example/web:1'])
  expect(steps({ spec: never, memory: { image: 'missing' } })).toEqual(['launch shop_api.1.a'])
})

test('a running container of the right spec is left alone', () => {
  expect(steps({ containers: [aContainer()] })).toEqual([])
})

test('a container that ended is started again in place once its back-off is over', () => {
  const containers = [anEndedContainer(1, 99_000)]
  expect(steps({ containers, memory: { restartAt: 100_500 } })).toEqual([
    'wait shop_api.1.a until 1970-01-01T00:01:40.500Z',
  ])
  expect(steps({ containers, memory: { restartAt: NOW } })).toEqual(['start shop_api.1.a c0ffee'])
})

test('a clock that was set back keeps no container from being started or removed', () => {
  const containers = [anEndedContainer(1, 99_000)]
  const hourAhead = NOW + 3_600_000
  expect(steps({ containers, memory: { restartAt: hourAhead } })).toEqual(['start shop_api.1.a c0ffee'])
  expect(steps({ containers, assigned: null, memory: { holdUntil: hourAhead } })).toEqual([
    'remove shop_api.1.a c0ffee (not-assigned)',
  ])
})

test('the restart condition says whether an end is an end', () => {
  const containers = (exitCode: number) => [anEndedContainer(exitCode, 99_000)]
  const withCondition = (condition: 'any' | 'on-failure' | 'none') => aTaskSpec({ restart: { condition } })
  expect(steps({ spec: withCondition('any'), containers: containers(0) })).toEqual(['start shop_api.1.a c0ffee'])
  expect(steps({ spec: withCondition('on-failure'), containers: containers(0) })).toEqual([])
  expect(steps({ spec: withCondition('on-failure'), containers: containers(1) })).toEqual(['start shop_api.1.a c0ffee'])
  expect(steps({ spec: withCondition('none'), containers: containers(1) })).toEqual([])
})

test('after its most attempts a task is not started again', () => {
  const spec = aTaskSpec({ restart: { maxAttempts: 2 } })
  const containers = [anEndedContainer(1, 99_000)]
  expect(steps({ spec, containers, memory: { failures: 2 } })).toEqual(['start shop_api.1.a c0ffee'])
  expect(steps({ spec, containers, memory: { failures: 3 } })).toEqual([])
})

test('a task that is to stop is stopped with its grace, then its container is removed, then nothing', () => {
  const assigned = { desired: 'stopped' as const }
  expect(steps({ assigned, containers: [aContainer()] })).toEqual(['stop shop_api.1.a c0ffee (asked-to-stop)'])
  expect(steps({ assigned, containers: [anEndedContainer(0, 1)] })).toEqual([
    'remove shop_api.1.a c0ffee (asked-to-stop)',
  ])
  expect(steps({ assigned })).toEqual([])
})

test('a task to be stopped whose container backs off is removed at once', () => {
  const memory = { restartAt: NOW + 60_000 }
  expect(steps({ assigned: { desired: 'stopped' }, containers: [anEndedContainer(1, 1)], memory })).toEqual([
    'remove shop_api.1.a c0ffee (asked-to-stop)',
  ])
})

test('a container that no assigned task asks for is stopped and removed', () => {
  expect(steps({ assigned: null, containers: [aContainer()] })).toEqual(['stop shop_api.1.a c0ffee (not-assigned)'])
  expect(steps({ assigned: null, containers: [anEndedContainer(0, 1)] })).toEqual([
    'remove shop_api.1.a c0ffee (not-assigned)',
  ])
})

test('a container made from another spec gives way before the right one is launched', () => {
  expect(steps({ containers: [aContainer({ spec: 'old' })] })).toEqual(['stop shop_api.1.a c0ffee (other-spec)'])
  expect(steps({ containers: [anEndedContainer(0, 1, { spec: 'old' })] })).toEqual([
    'remove shop_api.1.a c0ffee (other-spec)',
  ])
})

test('of two containers of one task the one that is right and runs stays', () => {
  const right = aContainer({ id: 'right' })
  expect(steps({ containers: [anEndedContainer(0, 1, { id: 'ended' }), right] })).toEqual([
    'remove shop_api.1.a ended (surplus)',
  ])
  expect(steps({ containers: [right, aContainer({ id: 'other', spec: 'old', startedAt: 2_000 })] })).toEqual([
    'stop shop_api.1.a other (surplus)',
  ])
})

test('containers of another cluster or node are never touched', () => {
  const foreign = [aContainer({ cluster: 'c2' }), aContainer({ node: 'web-2' })]
  expect(steps({ assigned: null, containers: foreign })).toEqual([])
  expect(steps({ containers: foreign })).toEqual(['launch shop_api.1.a'])
})

test('a wanted task whose spec is not known is left as it is', () => {
  expect(steps({ spec: null, containers: [aContainer()] })).toEqual([])
})

test('what the Engine is removing already is waited for, and what it calls dead is removed', () => {
  expect(steps({ containers: [aContainer({ state: 'removing' })] })).toEqual([
    'wait shop_api.1.a until 1970-01-01T00:01:41.000Z',
  ])
  expect(steps({ containers: [aContainer({ state: 'broken' })] })).toEqual(['remove shop_api.1.a c0ffee (broken)'])
})

test('after a stop that failed the next try waits', () => {
  const memory = { holdUntil: NOW + 2_000 }
  expect(steps({ assigned: { desired: 'stopped' }, containers: [aContainer()], memory })).toEqual([
    'wait shop_api.1.a until 1970-01-01T00:01:42.000Z',
  ])
})

test('a container that never ran and that the Engine refuses to start gives way to another one, after the back-off', () => {
  const containers = [aContainer({ state: 'created', startedAt: null })]
  expect(steps({ containers })).toEqual(['start shop_api.1.a c0ffee'])
  expect(steps({ containers, memory: { startsRefused: 1, restartAt: 100_500 } })).toEqual([
    'wait shop_api.1.a until 1970-01-01T00:01:40.500Z',
  ])
  expect(steps({ containers, memory: { startsRefused: 1 } })).toEqual(['remove shop_api.1.a c0ffee (broken)'])
})

test('a container that has run before is given three tries, since its data may be in it', () => {
  const containers = [anEndedContainer(1, 99_000)]
  expect(steps({ containers, memory: { startsRefused: 2 } })).toEqual(['start shop_api.1.a c0ffee'])
  expect(steps({ containers, memory: { startsRefused: 3 } })).toEqual(['remove shop_api.1.a c0ffee (broken)'])
})
