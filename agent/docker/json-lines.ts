/** Streams of JSON documents, one a line, as the Engine sends events and pull progress. */
import type { Readable } from 'node:stream'

/** A line longer than this is no event or progress; the stream is given up. */
const LINE_CHARS_MAX = 1_048_576

/** Calls back for each document. Resolves at the end of the stream. @throws what broke the stream */
export async function eachJsonLine(stream: Readable, onDocument: (document: unknown) => void): Promise<void> {
  let rest = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LINE_CHARS_MAX)
      throw new Error(`a line of more than ${LINE_CHARS_MAX} characters came from the Engine`)
    for (const line of lines) if (line.trim()) onDocument(JSON.parse(line))
  }
  if (rest.trim()) onDocument(JSON.parse(rest))
}
