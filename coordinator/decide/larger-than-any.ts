import { didYouMean } from '../../shared/compose/suggest.ts'
import type { ServiceSpec } from '../../shared/spec.ts'
import type { ServiceName, World } from '../world.ts'
import { type Admission, refused } from './admission.ts'
import { genericNeed } from './generic-need.ts'
import { type Room, roomOf } from './room.ts'

type Demand = { resource: string; needed: number; of: (room: Room) => number; text: (amount: number) => string }

/**
 * Refused when nodes are known and each has too little room when empty: waiting would not help, and the mistake is mostly
 * one of units or of a name. Without any node, or with one that has not told its size yet, it is admitted: that one may be
 * large.
 */
export function largerThanAnyNode(world: World, name: ServiceName, spec: ServiceSpec): Admission | null {
  const nodes = [...world.nodes.values()]
  if (nodes.length === 0 || nodes.some(({ inventory }) => inventory === null)) return null
  const rooms = nodes.map(roomOf)
  const demands = demandsOf(spec)
  if (rooms.some((room) => demands.every(({ needed, of }) => of(room) >= needed))) return null
  const largest = (of: Demand['of']) => Math.max(...rooms.map(of))
  const beyond = demands.filter(({ needed, of }) => largest(of) < needed)
  const told = beyond.length > 0 ? beyond : demands
  const needed = told.map((demand) => demand.text(demand.needed)).join(' and ')
  const most = told.map((demand) => demand.text(largest(demand.of))).join(', ')
  const all = beyond.length > 0 ? '' : ' together'
  const message = `${name} reserves ${needed}, more than any node has${all} (at most ${most}); ${wayOut(told, rooms)}`
  const figures = (amount: (demand: Demand) => number) =>
    Object.fromEntries(told.map((demand) => [demand.resource, amount(demand)]))
  const details = { needed: figures((demand) => demand.needed), largest: figures((demand) => largest(demand.of)) }
  return refused('invalid-request', message, { service: name, ...details })
}

function demandsOf({ task: { container } }: ServiceSpec): Demand[] {
  const { cpuCores, memoryBytes, diskBytes = 0 } = container.resources.reservation
  const demands: Demand[] = [
    { resource: 'cpuCores', needed: cpuCores, of: (room) => room.cpuCores, text: (cores) => `${cores} cores` },
    {
      resource: 'memoryBytes',
      needed: memoryBytes,
      of: (room) => room.memoryBytes,
      text: (bytes) => `${gib(bytes)} memory`,
    },
    { resource: 'diskBytes', needed: diskBytes, of: (room) => room.diskBytes, text: (bytes) => `${gib(bytes)} disk` },
  ]
  for (const [resource, count] of genericNeed(container)) {
    const needed = count === 'all' ? 1 : count
    demands.push({
      resource,
      needed,
      of: (room) => room.generic[resource] ?? 0,
      text: (amount) => `${amount} ${resource}`,
    })
  }
  return demands.filter(({ needed }) => needed > 0)
}

/** What no node was ever said to have is mostly a name misspelt, or an agent that was not told of it. */
function wayOut(demands: readonly Demand[], rooms: readonly Room[]): string {
  const unknown = demands.find(({ resource, of }) => isGeneric(resource) && rooms.every((room) => of(room) === 0))
  if (!unknown) return 'reserve less or add a larger node'
  const { resource, needed } = unknown
  const known = new Set(rooms.flatMap((room) => Object.keys(room.generic)))
  return `start the agent of a node that has it with --resource ${resource}=${needed}${didYouMean(resource, known)}`
}

function isGeneric(resource: string): boolean {
  return resource !== 'cpuCores' && resource !== 'memoryBytes' && resource !== 'diskBytes'
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}
