/** Values of metrics for people. */
import { bytes, duration, trimmed } from './figures.ts'

export function metricFigure(value: number, unit: string): string {
  switch (unit) {
    case 'cores':
      return value >= 10 ? trimmed(value) : value.toFixed(2)
    case 'bytes':
      return bytes(value)
    case 'bytes/s':
      return `${bytes(value)}/s`
    case 'share':
      return `${trimmed(value * 100)} %`
    case 'percent':
      return `${trimmed(value)} %`
    case 'seconds':
      return duration(value * 1000)
    case 'count':
      return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(2)
    default:
      return value === 0 || value >= 0.1 ? trimmed(value) : value.toPrecision(2)
  }
}
