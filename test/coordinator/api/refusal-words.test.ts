import { expect, test } from 'vitest'
import { waitReasons } from '../../../coordinator/api/refusal-words.ts'
import type { Refusal } from '../../../coordinator/world.ts'
import { aTask } from '../../build/world.ts'

test('nodes that refuse alike are named together, in the order of their names whatever the order of their joining', () => {
  const refusal = (node: string): Refusal => ({ node, check: 'liveness', figures: {} })
  const task = aTask({ node: null, waitsFor: [refusal('web-3'), refusal('web-1'), refusal('web-2')] })
  expect(waitReasons([task]).map(({ nodes }) => nodes)).toEqual([['web-1', 'web-2', 'web-3']])
})
