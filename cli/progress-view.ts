/** The progress of a stack as lines for people. Pure: documents and times in, text out. */
import type { ProgressDocument, ServiceProgress } from '../shared/api.ts'
import { duration, plural } from './figures.ts'
import type { Output } from './output.ts'

const barCells = 18
const stateWidth = 38
/** From this many tasks on a bar says more than the figures alone. */
const barFrom = 10
const failuresShownMax = 3

export type Times = ReadonlyMap<string, number>

/** `took`: how long each service that is through needed, in ms. */
export function progressLines(progress: ProgressDocument, took: Times, paint: Output['paint']): string[] {
  const width = Math.max(8, ...progress.services.map((service) => service.shortName.length))
  return progress.services.flatMap((service) => {
    const [line = '', ...below] = serviceLines(service, took.get(service.service), true, paint)
    return [`  ${service.shortName.padEnd(width)}  ${line}`, ...below.map((text) => `  ${''.padEnd(width)}  ${text}`)]
  })
}

/** One service in one line, for output that is no terminal: `shop_api  12/20 healthy  4 at a time`. */
export function plainLine(service: ServiceProgress, took: number | undefined): string {
  const [line = '', ...below] = serviceLines(service, took, false, (_style, text) => text)
  return [`${service.service}  ${line.trimEnd()}`, ...below.map((text) => `  ${text}`)].join('\n')
}

export function headLine(progress: ProgressDocument, hint: string): string {
  const tasks = progress.services.reduce((sum, service) => sum + service.counts.wanted, 0)
  const head = `${progress.stack}  ${plural(progress.services.length, 'service')}, ${plural(tasks, 'task')}`
  return hint === '' ? head : `${head.padEnd(50)}${hint}`
}

/** What is missing and why, when waiting ends before the stack is up. */
export function missingLines(progress: ProgressDocument): string[] {
  return progress.services
    .filter((service) => service.stage !== 'up' && service.stage !== 'done')
    .flatMap((service) => plainLine(service, undefined).split('\n'))
}

function serviceLines(
  service: ServiceProgress,
  tookMs: number | undefined,
  withBar: boolean,
  paint: Output['paint'],
): string[] {
  const time = tookMs === undefined ? '' : duration(tookMs)
  switch (service.stage) {
    case 'held':
      return [
        `waiting for ${service.heldBy.map(({ service: name, condition }) => `${shortOf(name, service)} (${condition})`).join(', ') || 'its dependencies'}`,
      ]
    case 'removing':
      return [`being removed, ${service.counts.running + service.counts.stopping} left`]
    case 'done':
      return [`${paint('green', 'done, exit 0'.padEnd(stateWidth))} ${time}`.trimEnd()]
    case 'up':
      return [`${paint('green', countText(service).padEnd(stateWidth))} ${join(place(service), time)}`.trimEnd()]
    case 'failed':
      return [paint('red', `✗ failed${because(service)}`), ...failureLines(service)]
    case 'rolled-back':
      return [paint('red', `✗ rolled back to version ${service.version}${because(service)}`), ...failureLines(service)]
    case 'rolling-back':
      return [
        paint('yellow', `rolling back to version ${service.version}: ${countText(service)}`),
        ...failureLines(service),
      ]
    case 'waiting':
    case 'going':
      return [
        `${progressText(service, withBar).padEnd(stateWidth)} ${motion(service)}`.trimEnd(),
        ...waitLines(service),
      ]
  }
}

function progressText(service: ServiceProgress, withBar: boolean): string {
  const text = countText(service)
  return withBar && service.counts.wanted >= barFrom ? `${bar(service.good, service.counts.wanted)}  ${text}` : text
}

function countText({ good, counts, checked }: ServiceProgress): string {
  return `${good}/${counts.wanted} ${checked ? 'healthy' : 'running'}`
}

function bar(part: number, whole: number): string {
  const full = whole === 0 ? 0 : Math.floor((part / whole) * barCells)
  return '█'.repeat(full) + '░'.repeat(barCells - full)
}

function motion({ counts, parallelism, failures }: ServiceProgress): string {
  const parts: string[] = []
  if (counts.starting > 0) parts.push(`${counts.starting} starting`)
  if (counts.waiting > 0) parts.push(`${counts.waiting} waiting`)
  if (counts.restarting > 0) parts.push(`${counts.restarting} restarting`)
  if (counts.unhealthy > 0) parts.push(`${counts.unhealthy} unhealthy`)
  if (parts.length === 0 && counts.wanted > 1 && parallelism > 0) parts.push(`${parallelism} at a time`)
  if (failures.length > 0) parts.push(`${failures.length} failed`)
  return parts.join(', ')
}

function waitLines(service: ServiceProgress): string[] {
  const waits = service.waits.slice(0, failuresShownMax).map(({ message, nodes }) => {
    const where =
      nodes.length > 0
        ? `${nodes.slice(0, 3).join(', ')}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ''}: `
        : ''
    return `${where}${message}`
  })
  return [...waits, ...failureLines(service)]
}

function failureLines({ failures }: ServiceProgress): string[] {
  return failures
    .slice(0, failuresShownMax)
    .map(
      ({ name, node, why }) =>
        `${name}${node === null ? '' : ` on ${node}`}: ${why.trim().replaceAll(/\s*\n\s*/g, ' ')}`,
    )
}

const because = ({ why }: ServiceProgress) => (why === null ? '' : `: ${why}`)
const place = ({ node, counts }: ServiceProgress) => (counts.wanted === 1 && node !== null ? node : '')
const join = (...parts: string[]) => parts.filter((part) => part !== '').join('  ')
/** Within a stack its own prefix says nothing. */
const shortOf = (name: string, of: ServiceProgress) => {
  const prefix = of.service.slice(0, of.service.length - of.shortName.length)
  return name.startsWith(prefix) ? name.slice(prefix.length) : name
}
