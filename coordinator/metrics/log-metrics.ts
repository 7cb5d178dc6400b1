/** What the log store tells of itself. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { LogStoreStats } from '../logs/log-store.ts'

export function logMetrics(registry: Registry): (stats: LogStoreStats) => void {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] })
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] })
  const stored = gauge('berth_logs_size_bytes', 'Size of the kept log lines on disk')
  const waiting = gauge('berth_logs_waiting_bytes', 'Log lines that wait for the disk, as they are packed')
  const full = gauge('berth_logs_full', '1 while the disk takes no log lines')
  const raw = counter('berth_logs_received_bytes_total', 'Bytes of log lines that were kept, before packing')
  const lines = counter('berth_logs_received_lines_total', 'Log lines that were kept')
  const gaps = counter('berth_logs_gaps_total', 'Places where lines were thrown away before they could be read')
  const dropped = counter('berth_logs_segments_dropped_total', 'Segments that went, by size or age')
  return (stats) => {
    stored.set(stats.bytes)
    waiting.set(stats.waitingBytes)
    full.set(stats.isFull ? 1 : 0)
    set(raw, stats.rawBytes)
    set(lines, stats.lines)
    set(gaps, stats.gaps)
    set(dropped, stats.segmentsDropped)
  }
}

function set(counter: Counter, value: number): void {
  counter.reset()
  counter.inc(value)
}
