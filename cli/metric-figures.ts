/** Values of metrics for people. */
import { bytes, cores, duration, trimmed } from './figures.ts'

export function metricFigure(value: number, unit: string): string {
  switch (unit) {
    case 'cores':
      return cores(value)
    case 'bytes':
      return bytes(value)
    case 'bytes/s':
      return `${bytes(value)}/s`
    case 'share':
      return `${trimmed(value * 100)} %`
    case 'percent':
      return `${trimmed(value)} %`
    case 'seconds':
      return value < 1 ? `${trimmed(value * 1000)} ms` : duration(value * 1000)
    case 'count':
      return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(2)
    default:
      return value === 0 || value >= 0.1 ? trimmed(value) : value.toPrecision(2)
  }
}
