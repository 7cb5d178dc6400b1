/** `deploy.resources`, and the older `cpus`, `mem_limit`, `mem_reservation`, `memswap_limit` and `pids_limit`. */
import type { Resources } from '../../spec.ts'
import type { Field } from '../field.ts'
import { readDiskReservation } from './berth.ts'
import { readGeneric } from './devices.ts'
import { withoutUndefined } from './healthcheck.ts'

/** The Engine refuses to limit memory to less. */
const LEAST_MEMORY_BYTES = 6 * 2 ** 20
const USUAL_CPU_PERIOD_US = 100_000

export function readResources(service: Field): Resources {
  const resources = service.get('deploy')?.get('resources')
  resources?.onlyKnows(['limits', 'reservations'])
  const limits = resources?.get('limits')
  limits?.onlyKnows(['cpus', 'memory', 'pids'])
  const reservations = resources?.get('reservations')
  reservations?.onlyKnows(['cpus', 'memory', 'devices', 'generic_resources', 'pids'])
  reservations?.get('pids')?.notHonoured('is not honoured yet: the task could be placed on a node without them')
  const limit = {
    cpuCores: unlimited(
      same(service.get('cpus') ?? service.get('cpu_quota'), limits?.get('cpus'), (field) => readCores(field, service)),
    ),
    memoryBytes: unlimited(same(service.get('mem_limit'), limits?.get('memory'), (field) => field.bytes())),
    pids: positive(same(service.get('pids_limit'), limits?.get('pids'), (field) => field.integer({ min: -1 }))),
    memorySwapBytes: readSwap(service.get('memswap_limit')),
  }
  const reservation = {
    cpuCores: reservations?.get('cpus')?.number({ min: 0 }) ?? 0,
    memoryBytes: same(service.get('mem_reservation'), reservations?.get('memory'), (field) => field.bytes()) ?? 0,
    diskBytes: readDiskReservation(service),
    generic: readGeneric(reservations?.get('generic_resources')),
  }
  checkTogether(service, limit, reservation)
  return { reservation: withoutUndefined(reservation), limit: withoutUndefined(limit) }
}

/** Two fields for one thing: either may say it, and both only if they agree. */
function same(
  older: Field | undefined,
  newer: Field | undefined,
  read: (field: Field) => number | undefined,
): number | undefined {
  const [a, b] = [older && read(older), newer && read(newer)]
  if (a !== undefined && b !== undefined && a !== b)
    older!.error(`says something else than ${newer!.path}; say it in one place`)
  return b ?? a
}

function readCores(field: Field, service: Field): number | undefined {
  if (field.key !== 'cpu_quota') return field.number({ min: 0 })
  const quotaUs = field.integer()
  const periodUs = service.get('cpu_period')?.integer({ min: 1000, max: 1_000_000 }) ?? USUAL_CPU_PERIOD_US
  return quotaUs === undefined || quotaUs <= 0 ? undefined : quotaUs / periodUs
}

/** -1: as much swap as there is. */
function readSwap(field: Field | undefined): number | undefined {
  if (!field) return undefined
  return field.text() === '-1' ? -1 : unlimited(field.bytes())
}

function unlimited(limit: number | undefined): number | undefined {
  return limit === 0 ? undefined : limit
}

function positive(limit: number | undefined): number | undefined {
  return limit !== undefined && limit > 0 ? limit : undefined
}

type Limit = { cpuCores?: number; memoryBytes?: number; memorySwapBytes?: number }

function checkTogether(service: Field, limit: Limit, reservation: { cpuCores: number; memoryBytes: number }): void {
  const at = (older: string, kind: 'limits' | 'reservations', newer: string) =>
    service.get('deploy')?.get('resources')?.get(kind)?.get(newer) ?? service.get(older) ?? service
  if (limit.memoryBytes !== undefined && limit.memoryBytes < LEAST_MEMORY_BYTES) {
    at('mem_limit', 'limits', 'memory').error('is less than 6M, the least that the Engine can limit memory to')
  }
  if (limit.memoryBytes !== undefined && reservation.memoryBytes > limit.memoryBytes) {
    at('mem_reservation', 'reservations', 'memory').error('reserves more memory than the limit allows')
  }
  if (limit.cpuCores !== undefined && reservation.cpuCores > limit.cpuCores) {
    at('cpus', 'reservations', 'cpus').error('reserves more cores than the limit allows')
  }
  const swap = service.get('memswap_limit')
  if (!swap || limit.memorySwapBytes === undefined || limit.memorySwapBytes < 0) return
  if (limit.memoryBytes === undefined) swap.error('needs a limit of memory beside it')
  else if (limit.memorySwapBytes < limit.memoryBytes)
    swap.error('is memory and swap together, so it cannot be less than the limit of memory')
}
