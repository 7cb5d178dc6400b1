/** `berth logs`: lines of a stack, a service or a task from all its hosts, in order of time. */
import type { LogRecordLine, LogsBody } from '../../shared/api.ts'
import { type Context, withClient } from '../context.ts'
import { plural } from '../figures.ts'
import { type LogWord, readLogs } from '../log-reader.ts'
import { lineMerger } from '../merge-lines.ts'
import type { Output, Style } from '../output.ts'
import { parseTarget } from '../target.ts'

/** `since` and `until` in epoch ms. */
export type LogsOptions = {
  follow?: boolean
  tail?: number
  since?: number
  until?: number
  grep?: string
  level?: NonNullable<LogsBody['level']>
  field?: string[]
  context?: number
  timestamps?: boolean
}

/** While following, lines wait this long for older ones of slower hosts. */
const holdMs = 20
const releaseMs = 10
const COLOURS: Style[] = ['cyan', 'yellow', 'green', 'magenta', 'blue', 'red']

export async function logs(context: Context, target: string, options: LogsOptions): Promise<void> {
  const { out, json } = context
  const names = new Map<string, string>()
  const print = json ? (line: LogRecordLine) => out.record(line) : linePrinter(out, names, options.timestamps ?? false)
  const merger = lineMerger(print)
  let isSilent = true
  const query = {
    ...parseTarget(target),
    follow: options.follow ?? false,
    ...(options.tail === undefined ? {} : { tail: options.tail }),
    ...(options.since === undefined ? {} : { since: options.since }),
    ...(options.until === undefined ? {} : { until: options.until }),
    ...(options.grep === undefined ? {} : { grep: options.grep }),
    ...(options.level === undefined ? {} : { level: options.level }),
    ...(options.field === undefined ? {} : { field: options.field }),
    ...(options.context === undefined ? {} : { context: options.context }),
    ...(json ? { parse: true } : {}),
  }
  const timer = options.follow ? setInterval(() => merger.release(performance.now() - holdMs), releaseMs) : undefined
  try {
    await withClient(context, async (client) => {
      for await (const news of readLogs(client, query)) {
        const now = performance.now()
        for (const record of news) {
          if (!('tasks' in record)) isSilent = false
          if ('text' in record) merger.add(record, now)
          else if ('tasks' in record) for (const [id, name] of Object.entries(record.tasks)) names.set(id, name)
          else out.note(noteOf(record, target))
        }
        await out.drained()
      }
    })
  } finally {
    clearInterval(timer)
    merger.end()
  }
  if (isSilent && !json) out.note(`(${nothingOf(target, options)})`)
}

/** Nothing at all could be a mistake in what was asked for. */
function nothingOf(target: string, { grep, level, field, since, until }: LogsOptions): string {
  const isFiltered = [grep, level, field, since, until].some((filter) => filter !== undefined)
  return isFiltered ? `no line of ${target} is as was asked for` : `no lines of ${target} are kept`
}

/** Hosts tell the time of their lines, and one of them may be beyond what a date can hold. */
function isoTime(at: number): string {
  return new Date(Math.max(-TIME_MAX, Math.min(at, TIME_MAX))).toISOString()
}

const TIME_MAX = 8.64e15

function noteOf(word: LogWord, target: string): string {
  if ('dropped' in word) return `(${plural(word.dropped, 'line')} left out: more came than could be sent)`
  if ('missingNodes' in word) return `(no lines from ${word.missingNodes.join(', ')}: not connected)`
  if ('warning' in word) return `(no lines from ${word.warning})`
  if ('broken' in word) return `(${word.broken}; trying again)`
  return word.ended === 'back' ? '(connected again)' : `(nothing is left of ${target})`
}

/** `shop_api.1 | line`, each task in a colour of its own, the bars in one column. */
export function linePrinter(out: Pick<Output, 'line' | 'paint'>, names: Map<string, string>, withTimes: boolean) {
  const prefixes = new Map<string, string>()
  const prefixOf = (task: string): string => {
    const width = Math.max(...[...names.values()].map((name) => name.length), 0)
    const colour = COLOURS[prefixes.size % COLOURS.length] ?? 'cyan'
    return out.paint(colour, `${(names.get(task) ?? task).padEnd(width)} |`)
  }
  return (line: LogRecordLine): void => {
    let prefix = prefixes.get(line.task)
    if (prefix === undefined) {
      prefix = prefixOf(line.task)
      prefixes.set(line.task, prefix)
    }
    // An agent cuts logs at newlines; one that did not could forge the lines of others.
    out.line(`${prefix} ${withTimes ? `${isoTime(line.at)} ` : ''}${line.text.replaceAll('\n', '␊')}`)
  }
}
