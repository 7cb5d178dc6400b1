/** How much memory placing takes: garbage included, since it is the collecting that costs. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { pictureOf } from '../../coordinator/decide/picture.ts'
import { Engine } from '../../coordinator/decide/placement/engine.ts'
import type { PlaceRequest } from '../../coordinator/decide/requests.ts'
import type { World } from '../../coordinator/world.ts'
import { median } from '../report.ts'

/**
 * Bytes per placement, the engine's own setting up left out: the difference between placing all and placing half of them.
 * So few that no collection comes between; where one did, the round is left out.
 */
export function allocatedPerPlacement(world: World, requests: readonly PlaceRequest[]): number {
  const half = requests.slice(0, requests.length / 2)
  const differences: number[] = []
  for (let round = 0; round < 12; round++) {
    const bytes = (allocated(world, requests) - allocated(world, half)) / (requests.length - half.length)
    if (round > 3 && bytes >= 0) differences.push(bytes)
  }
  return median(differences)
}

function allocated(world: World, requests: readonly PlaceRequest[]): number {
  const picture = pictureOf(world)
  collect()
  const before = process.memoryUsage().heapUsed
  new Engine(picture, 'spread').place(requests, () => {})
  return process.memoryUsage().heapUsed - before
}

function collect(): void {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}
