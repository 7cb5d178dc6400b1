import { expect, test } from 'vitest'
import { unreadableContainer } from '../../../agent/decide/container.ts'
import { observe } from '../../../agent/decide/observe.ts'
import { aContainer, aPicture } from '../../build/container.ts'

const NOW = 100_000
const containers = [unreadableContainer(aContainer())]
const seen = (memory: object) => observe(aPicture({ containers, memory: { attempt: 1, ...memory } }), null, null, NOW)

test('of a container that cannot be looked at no more is told than that it was made', () => {
  expect(seen({})).toMatchObject({ attempt: 1, state: 'starting' })
})

test('unless its agent remembers that it has ended for good: it has not come back', () => {
  expect(seen({ endedWith: 0 })).toMatchObject({ attempt: 1, state: 'completed' })
  expect(seen({ endedWith: 3 })).toMatchObject({ attempt: 1, state: 'failed' })
})
