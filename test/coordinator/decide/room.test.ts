import { expect, test } from 'vitest'
import { roomOf } from '../../../coordinator/decide/room.ts'
import { GiB } from '../../build/spec.ts'
import { aNode } from '../../build/world.ts'

test('a node may promise what it has, times its overcommit factors, less its system reserve', () => {
  const node = aNode({
    cpuCores: 4,
    memoryBytes: 8 * GiB,
    diskBytes: 100 * GiB,
    generic: { gpu: 2 },
    overcommit: { cpu: 1.5, memory: 1.25 },
    reserve: { cpuCores: 0.5, memoryBytes: GiB, diskBytes: 10 * GiB },
  })
  const room = { cpuCores: 5.5, memoryBytes: 9 * GiB, diskBytes: 90 * GiB, generic: { gpu: 2 } }
  expect(roomOf(node)).toEqual(room)
})

test('a node promises nothing that it has not told, and never less than nothing', () => {
  const nothing = { cpuCores: 0, memoryBytes: 0, diskBytes: 0, generic: {} }
  expect(roomOf(aNode({ inventory: null, overcommit: { cpu: 2 } }))).toEqual(nothing)
  expect(roomOf(aNode({ reserve: { cpuCores: 64, memoryBytes: 64 * GiB, diskBytes: GiB } }))).toEqual(nothing)
})
