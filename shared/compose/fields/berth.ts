/** Berth's own settings of a service, under `x-berth`: all but those of placement. */
import { PRIORITY_CLASSES, type ServiceSpec } from '../../spec.ts'
import type { Field } from '../field.ts'
import { didYouMean } from '../suggest.ts'
import { withoutUndefined } from './healthcheck.ts'

const PRIORITY_MAX = 100
const CLASS_NAMES = Object.keys(PRIORITY_CLASSES)

export function readBerth(service: Field): Pick<ServiceSpec, 'priority' | 'preemption'> {
  const own = service.get('x-berth')
  own?.onlySets(['priority', 'placement', 'preemption', 'reservations', 'health', 'sampling'])
  own?.get('reservations')?.onlySets(['disk'])
  const preemption = own?.get('preemption')
  preemption?.onlySets(['max'])
  const tasksMax = preemption?.get('max')?.integer({ min: 0 })
  return withoutUndefined({
    priority: readPriority(own?.get('priority')),
    preemption: tasksMax === undefined ? undefined : { tasksMax },
  })
}

function readPriority(field: Field | undefined): number | undefined {
  const text = field?.text()
  if (field === undefined || text === undefined) return undefined
  if (Object.hasOwn(PRIORITY_CLASSES, text)) return PRIORITY_CLASSES[text as keyof typeof PRIORITY_CLASSES]
  if (/^[+-]?\d+$/.test(text)) return field.integer({ min: 0, max: PRIORITY_MAX })
  const known = CLASS_NAMES.join(', ')
  return field.error(
    `"${text}" is no class of priority (${known}) and no whole number from 0 to ${PRIORITY_MAX}${didYouMean(text, CLASS_NAMES)}`,
  )
}

/** What a task is promised of the disk that holds the Engine's data. */
export function readDiskReservation(service: Field): number | undefined {
  return service.get('x-berth')?.get('reservations')?.get('disk')?.bytes()
}
