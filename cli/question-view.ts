/** What `berth plan` and `berth what-if` show alike: counts, moves, what has no place. */
import type { ChangeCounts, UnitChangeDocument, UnplacedDocument } from '../shared/api.ts'
import { plural } from './figures.ts'
import type { Output } from './output.ts'

const changesShown = 10
const checksShown = 4

/** `3 tasks placed, 20 replaced`. */
export function countText(counts: ChangeCounts): string {
  const parts: string[] = []
  const add = (count: number, words: string) => {
    if (count > 0) parts.push(parts.length === 0 ? `${plural(count, 'task')} ${words}` : `${count} ${words}`)
  }
  add(counts.place, 'placed')
  add(counts.replace, 'replaced')
  add(counts.move, 'moved')
  add(counts.stop, 'stopped')
  add(counts.wait, 'would wait')
  add(counts.displace, 'left without a place')
  add(counts.preempted, 'preempted')
  return parts.join(', ')
}

/** One line a task, the first few of them. */
export function changeLines(changes: readonly UnitChangeDocument[]): string[] {
  const shown = changes.slice(0, changesShown).map(({ task, kind, from, to, why }) => {
    const way = [from, to].filter((node) => node !== null).join(' → ')
    return `  ${task}  ${kind}${way === '' ? '' : `  ${way}`}${why === null ? '' : `  (${why})`}`
  })
  return changes.length > changesShown ? [...shown, `  and ${changes.length - changesShown} more (--json)`] : shown
}

export function unplacedLines(unplaced: readonly UnplacedDocument[], paint: Output['paint']): string[] {
  return unplaced.flatMap(({ service, tasks, count, volume, checks, smallestChanges }) => {
    const named = tasks.slice(0, 3).join(', ')
    const head = `${paint('yellow', '!')} ${count === 1 ? named : `${count} of ${service} (${named}${count > 3 ? ', …' : ''})`}`
    if (volume !== null) return [`${head}: the volume ${volume} is on a node that is not there`]
    return [
      `${head} would fit nowhere`,
      ...checks.slice(0, checksShown).map(({ message }) => `    ${message}`),
      ...(smallestChanges.length > 0
        ? [`    smallest change: ${smallestChanges.map(({ message }) => message).join(', or ')}`]
        : []),
    ]
  })
}
