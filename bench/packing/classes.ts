/**
 * Random instances of two-dimensional vector packing, as in the literature: classes 1 to 10 of Caprara and Toth, "Lower
 * bounds and algorithms for the 2-dimensional vector packing problem" (2001); 6 goes back to Spieksma, "A branch-and-bound
 * algorithm for the two-dimensional vector packing problem" (1994). In 9 the room is what makes the sums come out even; in
 * 10 three tasks fill each node without a gap.
 */
import type { Problem } from '../../coordinator/decide/packing/problem.ts'
import { type Dice, diceFrom } from '../../test/build/chance.ts'

export type Instance = { sizes: [cpu: number, memory: number][]; room: [cpu: number, memory: number] }

export const CLASSES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const
export type Class = (typeof CLASSES)[number]

/** Of class 10 there are the next multiple of three. */
export function instanceOf(kind: Class, count: number, seed: number): Instance {
  const dice = diceFrom(seed * 1000 + kind * 100 + count)
  const uniform = (from: number, to: number) => Array.from({ length: count }, () => pair(() => between(dice, from, to)))
  if (kind <= 5) {
    const [from, to] = RANGES[kind as 1]!
    return { sizes: uniform(from, to), room: [1000, 1000] }
  }
  if (kind === 6) return { sizes: uniform(20, 100), room: [150, 150] }
  if (kind === 7 || kind === 8) {
    const sizes = Array.from({ length: count }, (): [number, number] => {
      const cpu = between(dice, 20, 100)
      return [cpu, kind === 7 ? between(dice, cpu - 10, cpu + 10) : between(dice, 110 - cpu, 130 - cpu)]
    })
    return { sizes, room: [150, 150] }
  }
  if (kind === 9) {
    const sizes = uniform(100, 400)
    const sums = pair((at) => sizes.reduce((sum, size) => sum + size[at], 0))
    const nodes = Math.ceil(Math.max(...sums) / 1000)
    return { sizes, room: pair((at) => Math.ceil(sums[at] / nodes)) }
  }
  return { sizes: Array.from({ length: Math.ceil(count / 3) }, () => triplet(dice)).flat(), room: [100, 100] }
}

const RANGES: Record<1 | 2 | 3 | 4 | 5, [number, number]> = {
  1: [100, 400],
  2: [1, 1000],
  3: [200, 800],
  4: [50, 200],
  5: [25, 100],
}

function triplet(dice: Dice): [number, number][] {
  const a = pair(() => between(dice, 25, 50))
  const b = pair(() => between(dice, 25, 50))
  return [a, b, pair((at) => 100 - a[at] - b[at])]
}

function pair(of: (at: 0 | 1) => number): [number, number] {
  return [of(0), of(1)]
}

function between(dice: Dice, from: number, to: number): number {
  return from + dice.below(to - from + 1)
}

/** On as many empty nodes as there are tasks. */
export function problemOf({ sizes, room }: Instance): Problem {
  return {
    cpu: Float64Array.from(sizes, ([cpu]) => cpu / room[0]),
    memory: Float64Array.from(sizes, ([, memory]) => memory / room[1]),
    cpuFree: new Float64Array(sizes.length).fill(1),
    memoryFree: new Float64Array(sizes.length).fill(1),
    begun: 0,
  }
}
