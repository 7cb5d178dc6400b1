/** Whether a node may be set as asked: its taints, its reserve, how many times over it may be promised. */
import { OVERCOMMIT_MAX, OVERCOMMIT_MIN } from '../../shared/overcommit.ts'
import { TAINT_KEY_PATTERN } from '../../shared/taint.ts'
import type { Change, Node } from '../world.ts'
import { type Admission, admitted, refused } from './admission.ts'
import { roomOf } from './room.ts'

type Asked<Kind extends Change['kind']> = Extract<Change, { kind: Kind }>

const TAINTS_MAX = 64

export function admitTaints(node: Node, { set, remove }: Asked<'taint-node'>): Admission {
  if (set.length + remove.length === 0) return nothing(node, 'taints', 'berth node taint NODE gpu=yes:no-schedule')
  for (const { key } of [...set, ...remove]) {
    if (TAINT_KEY_PATTERN.test(key)) continue
    const message = `"${key}" cannot be the key of a taint; use letters, digits, ".", "_", "/" and "-"`
    return refused('invalid-request', message, { key })
  }
  const unknown = remove.find(
    ({ key, effect }) => !node.taints.some((taint) => taint.key === key && (effect ?? taint.effect) === taint.effect),
  )
  if (unknown) {
    const { key, effect } = unknown
    const message = `${node.name} has no taint ${key}${effect ? `:${effect}` : ''}; ${hasTaints(node)}`
    return refused('invalid-request', message, { node: node.name, key })
  }
  if (node.taints.length + set.length <= TAINTS_MAX) return admitted()
  return refused('invalid-request', `${node.name} would have more than ${TAINTS_MAX} taints`, { node: node.name })
}

function hasTaints({ taints }: Node): string {
  return taints.length === 0 ? 'it has none' : `it has ${[...new Set(taints.map(({ key }) => key))].join(', ')}`
}

export function admitNodeSettings(node: Node, { reserve, overcommit }: Asked<'set-node'>): Admission {
  const factors = Object.entries(overcommit)
  const amounts = Object.entries(reserve)
  if (factors.length + amounts.length === 0) return nothing(node, 'settings', 'berth node set NODE cpu-overcommit=1.5')
  for (const [name, factor] of factors) {
    if (factor >= OVERCOMMIT_MIN && factor <= OVERCOMMIT_MAX) continue
    const message = `${name} cannot be overcommitted by ${factor}; give a factor from ${OVERCOMMIT_MIN} to ${OVERCOMMIT_MAX}`
    return refused('invalid-request', message, { node: node.name, overcommit: factor })
  }
  const negative = amounts.find(([, amount]) => amount < 0)
  if (negative)
    return refused('invalid-request', `nothing less than 0 can be kept back (${negative[0]} ${negative[1]})`)
  return leavesRoom(node, {
    ...node,
    reserve: { ...node.reserve, ...reserve },
    overcommit: { ...node.overcommit, ...overcommit },
  })
}

/** A node that keeps back all it has would take nothing, for ever: that is what draining is for. */
function leavesRoom(before: Node, after: Node): Admission {
  if (!after.inventory) return admitted()
  const had = roomOf({ ...before, reserve: { cpuCores: 0, memoryBytes: 0, diskBytes: 0 } })
  const has = roomOf(after)
  for (const name of ['cpuCores', 'memoryBytes', 'diskBytes'] as const) {
    if (has[name] > 0 || had[name] === 0) continue
    const message =
      `${before.name} would have nothing left of ${WORDS[name]} to promise: it keeps back ${amountText(name, after.reserve[name])} ` +
      `of ${amountText(name, after.inventory[name] ?? 0)}; "berth drain ${before.name}" keeps tasks away`
    return refused('invalid-request', message, { node: before.name, [name]: after.reserve[name] })
  }
  return admitted()
}

const WORDS = { cpuCores: 'CPU', memoryBytes: 'memory', diskBytes: 'disk' }

function amountText(name: keyof typeof WORDS, amount: number): string {
  return name === 'cpuCores' ? `${amount} CPU` : `${(amount / 1024 ** 3).toFixed(1)} GiB`
}

function nothing({ name }: Node, what: string, example: string): Admission {
  const message = `no ${what} of ${name} are named; write it like ${example.replace('NODE', name)}`
  return refused('invalid-request', message, { node: name })
}
