/** A service that prints numbered lines fast, and what became of them at the coordinator: which are lost, doubled or out of order. */
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventDocument, LogRecordLine, Page } from '../../shared/api.ts'
import type { Cluster } from '../../test/engines/berth.ts'
import { BUSYBOX } from '../../test/engines/image.ts'

/** Of one line, with its number. */
export const LINE_BYTES = 1_000
const EPOCH = new Date(0).toISOString()
const TOLD_TOGETHER_MS = 65_000
const CHUNK_LINES = 2_500

/** A Compose file of one container that prints `lines` lines, `pauseMs` after every 2.5 MB, and then does nothing. */
export function printingService(lines: number, pauseMs: number, logging: string): string {
  const chunk = `BEGIN { for (k = 0; k < ${CHUNK_LINES}; k++) printf "line %d %s\\n", i + k, p }`
  const script = [
    `p=$$(printf '%0${LINE_BYTES - 15}d' 0 | sed 's/0000000000/ab4f-91c0-/g')`,
    `i=0; while [ $$i -lt ${lines} ]; do awk -v i=$$i -v p="$$p" '${chunk}'; i=$$((i+${CHUNK_LINES})); sleep ${pauseMs / 1_000}; done`,
    'while :; do sleep 1000 & wait $$!; done',
  ].join('\n')
  return `services:
  web:
    image: ${BUSYBOX}
    pull_policy: never
    stop_grace_period: 1s
    command: ["/bin/sh", "-c", ${JSON.stringify(script)}]
    logging: ${logging}
`
}

/** Whose logs are read. */
type LogSource = Pick<Cluster, 'url' | 'operatorToken' | 'caPem'>

export type Hole = { lines: number; from: number; to: number }
export type Verdict = {
  lines: number
  lost: number
  doubled: number
  disordered: number
  /** With the times of the lines before and after. */
  holes: Hole[]
  /** From the first to the last line. */
  seconds: number
}

/** Reads all lines of the service and looks at their numbers, which begin with 0. @throws Error for more than one container's */
export async function verdictOf(cluster: LogSource, service: string): Promise<Verdict> {
  const verdict: Verdict = { lines: 0, lost: 0, doubled: 0, disordered: 0, holes: [], seconds: 0 }
  let [last, lastAt, firstAt, task] = [-1, 0, 0, '']
  for await (const line of linesOf(cluster, `service=${service}`)) {
    const number = Number(/^line (\d+) /.exec(line.text)?.[1] ?? Number.NaN)
    if (Number.isNaN(number)) throw new Error(`this is none of its lines: ${line.text.slice(0, 100)}`)
    if (task !== '' && line.task !== task) throw new Error(`lines of ${task} and of ${line.task}`)
    task = line.task
    const { at } = line
    if (verdict.lines++ === 0) firstAt = at
    if (number === last) verdict.doubled += 1
    else if (number < last) verdict.disordered += 1
    else {
      if (number > last + 1) verdict.holes.push({ lines: number - last - 1, from: lastAt, to: at })
      ;[last, lastAt] = [number, at]
    }
  }
  verdict.lost = verdict.holes.reduce((sum, { lines }) => sum + lines, 0)
  verdict.seconds = (lastAt - firstAt) / 1_000
  return verdict
}

/** The number of the last line that is kept; -1: there is none. */
export async function lastNumber(cluster: LogSource, service: string): Promise<number> {
  let last = -1
  for await (const { text } of linesOf(cluster, `service=${service}&tail=1`)) last = Number(text.split(' ')[1])
  return last
}

export async function* keptTexts(cluster: LogSource, service: string): AsyncGenerator<string> {
  for await (const { text } of linesOf(cluster, `service=${service}`)) yield text
}

async function* linesOf({ url, operatorToken, caPem }: LogSource, query: string): AsyncGenerator<LogRecordLine> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { authorization: `Bearer ${operatorToken}` }
    request(`${url}/v1/logs?${query}`, { headers, ca: caPem, agent: false }, resolve).on('error', reject).end()
  })
  let rest = ''
  for await (const chunk of answer.setEncoding('utf8')) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()!
    for (const part of parts) {
      const record = part === '' ? {} : (JSON.parse(part) as Partial<LogRecordLine> & { error?: string })
      if (record.text !== undefined) yield record as LogRecordLine
      else if (record.error !== undefined) throw new Error(record.error)
    }
  }
}

/** Lines missing of which no event says that they may be: after a minute at the latest, when many gaps are told together. */
export async function untoldLines(cluster: Pick<Cluster, 'api'>, { holes }: Verdict): Promise<number> {
  const until = performance.now() + TOLD_TOGETHER_MS
  for (;;) {
    const untold = await untoldNow(cluster, holes)
    if (untold === 0 || performance.now() > until) return untold
    await sleep(1_000)
  }
}

async function untoldNow(cluster: Pick<Cluster, 'api'>, holes: Hole[]): Promise<number> {
  const { items } = await cluster.api<Page<EventDocument>>('GET', '/v1/events?type=log-gap&limit=1000')
  const told = items.flatMap(({ message }) => {
    const span = /(?:between (\S+Z) and|before) (\S+Z) may be missing/.exec(message)
    return span === null ? [] : [{ from: Date.parse(span[1] ?? EPOCH), to: Date.parse(span[2]!) }]
  })
  // Times are told to a millisecond, and lines have more of it.
  const isTold = (hole: Hole) => told.some(({ from, to }) => from <= hole.from + 1 && hole.to - 1 <= to)
  return holes.filter((hole) => !isTold(hole)).reduce((sum, { lines }) => sum + lines, 0)
}
