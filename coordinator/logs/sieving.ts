/**
 * Filters over a reader that knows none. Without a log store (`--logs-size 0`) lines come from agents, which send them as they are;
 * whoever asked for some of them must not be given all.
 */
import type { LogReader } from '../core.ts'
import { LineSieve } from './line-filter.ts'
import { openPattern } from './pattern.ts'

/** `tailLines` is what the agents make of it: so many lines before they are filtered. */
export function sieving(reader: LogReader): LogReader {
  return {
    async *read(query) {
      const pattern = query.grep === undefined ? null : openPattern(query.grep)
      const sieve = new LineSieve(query)
      try {
        for await (const batch of reader.read(query)) {
          const found =
            pattern && batch.lines.length > 0 ? await pattern.find(batch.lines.map(({ text }) => text)) : null
          yield { ...batch, lines: sieve.sieve(batch.lines, found) }
        }
      } finally {
        pattern?.close()
      }
    },
  }
}
