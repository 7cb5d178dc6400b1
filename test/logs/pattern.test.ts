import { expect, test } from 'vitest'
import { openPattern } from '../../coordinator/logs/pattern.ts'

test('one expression is asked of many batches at once, and each has its own answer', async () => {
  const pattern = openPattern('^a.?$')
  const batches = Array.from({ length: 20 }, (_, number) => (number % 2 === 0 ? ['ab', 'b'] : ['b', 'a', 'abc']))
  const found = await Promise.all(batches.map((texts) => pattern.find(texts)))
  expect(found).toEqual(batches.map((texts) => texts.map((text) => text.length <= 2 && text.startsWith('a'))))
  pattern.close()
})
