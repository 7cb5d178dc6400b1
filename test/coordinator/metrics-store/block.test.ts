import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BlockWriter, readBlock } from '../../../coordinator/metrics-store/block.ts'

type Point = [second: number, value: number, above: number]

const NOW = 1_790_000_000

function written(points: Point[], isPair: boolean): Uint8Array {
  const block = new BlockWriter(isPair)
  for (const point of points) block.append(...point)
  return block.finish()
}

function read(bytes: Uint8Array, isPair: boolean): Point[] {
  const points: Point[] = []
  readBlock(bytes, isPair, (...point) => points.push(point))
  return points
}

const whole = fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer(), fc.integer({ min: -(2 ** 52), max: 2 ** 52 }))

test('whatever whole points are written, the same are read', () => {
  const gap = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 2 ** 24 }))
  fc.assert(
    fc.property(fc.array(fc.tuple(gap, whole, whole), { maxLength: 200 }), fc.boolean(), (steps, isPair) => {
      let second = 1_000_000
      const points = steps.map(([gap, value, above]): Point => {
        second += gap
        return [second, value, isPair ? above : 0]
      })
      expect(read(written(points, isPair), isPair)).toEqual(points)
    }),
  )
})

test('a block can be looked at while it is still written to', () => {
  const block = new BlockWriter(false)
  block.append(NOW, 7)
  block.append(NOW + 1, 9)
  expect(read(block.finish(), false)).toEqual([
    [NOW, 7, 0],
    [NOW + 1, 9, 0],
  ])
  block.append(NOW + 2, 3)
  expect(read(block.finish(), false).at(-1)).toEqual([NOW + 2, 3, 0])
})

test('a value that does not change costs a quarter of a byte a second', () => {
  const points = Array.from({ length: 3600 }, (_, i): Point => [NOW + i, 123_456, 0])
  expect(written(points, false).length).toBeLessThanOrEqual(3600 / 4 + 16)
})

test('damaged bytes are read to an end, whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, isPair) => {
      const count = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8)
      expect(read(bytes, isPair)).toHaveLength(count)
    }),
  )
})
