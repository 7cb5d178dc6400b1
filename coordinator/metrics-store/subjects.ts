/**
 * What series are of: nodes and tasks, each with a number that stands in the frames. Kept in a file of one JSON document a line,
 * appended to as they come and written anew when subjects are forgotten: those of which no point is left.
 */
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { appendFile, writeFile } from 'node:fs/promises'
import { METRICS_MAX } from '../../shared/metric-names.ts'

export type SubjectFacts =
  | { kind: 'node'; node: string }
  /** `id` is the task's; `name` the one for people, which its successor in the slot has, too. */
  | { kind: 'task'; id: string; name: string; service: string; stack: string; node: string }

export type Subject = SubjectFacts & { number: number }

export function seriesOfSubject(subject: Subject, metric: number): number {
  return subject.number * METRICS_MAX + metric
}

export function subjectOfSeries(series: number): number {
  return Math.floor(series / METRICS_MAX)
}

/** Series are numbered in 32 bits. */
const NUMBER_MAX = 2 ** 32 / METRICS_MAX - 1

export class Subjects {
  readonly #path: string
  readonly #byNumber = new Map<number, Subject>()
  readonly #byNode = new Map<string, Subject>()
  readonly #byTask = new Map<string, Subject>()
  readonly #tasksByNode = new Map<string, Set<string>>()
  #next = 1
  /** Not in the file yet. */
  #fresh: Subject[] = []

  constructor(path: string) {
    this.#path = path
    if (existsSync(path)) for (const line of readFileSync(path, 'utf8').split('\n')) this.#take(line)
  }

  get size(): number {
    return this.#byNumber.size
  }

  all(): Iterable<Subject> {
    return this.#byNumber.values()
  }

  numbered(number: number): Subject | undefined {
    return this.#byNumber.get(number)
  }

  /** The one of these facts; null: there is none. */
  known(facts: SubjectFacts): Subject | null {
    const known = facts.kind === 'node' ? this.#byNode.get(facts.node) : this.#byTask.get(facts.id)
    return known ?? null
  }

  /** Ids of those tasks of the node that are known. */
  tasksOn(node: string): ReadonlySet<string> {
    return this.#tasksByNode.get(node) ?? NO_TASKS
  }

  /** The one of these facts, made if need be; null when there are no numbers left. */
  of(facts: SubjectFacts): Subject | null {
    const known = this.known(facts)
    if (known !== null) return known
    if (this.#next > NUMBER_MAX) return null
    const subject = { ...facts, number: this.#next }
    this.#add(subject)
    this.#fresh.push(subject)
    return subject
  }

  /** Before the frames that name them, so that no point is ever of a subject that nobody knows. */
  async save(): Promise<void> {
    const saving = this.#fresh
    if (saving.length === 0) return
    this.#fresh = []
    try {
      await appendFile(this.#path, `\n${textOf(saving)}`, { mode: 0o600 })
    } catch (error) {
      this.#fresh = [...saving, ...this.#fresh]
      throw error
    }
  }

  /** Forgets all but those for which `isKept`. Numbers of the forgotten are not given again before the next start. */
  async keepOnly(isKept: (subject: Subject) => boolean): Promise<void> {
    const gone = [...this.#byNumber.values()].filter((subject) => !isKept(subject))
    if (gone.length === 0) return
    for (const subject of gone) {
      this.#remove(subject)
    }
    this.#fresh = []
    const path = `${this.#path}.new`
    try {
      await writeFile(path, textOf(this.#byNumber.values()), { mode: 0o600 })
      renameSync(path, this.#path)
    } catch (error) {
      this.#fresh = [...this.#byNumber.values()]
      throw error
    }
  }

  /** A line that a crash cut off is left out: the frames that would name it were not written either. */
  #take(line: string): void {
    try {
      const subject = JSON.parse(line) as Subject
      if (Number.isInteger(subject.number) && typeof subject.node === 'string') this.#add(subject)
    } catch {}
  }

  #add(subject: Subject): void {
    this.#byNumber.set(subject.number, subject)
    this.#next = Math.max(this.#next, subject.number + 1)
    if (subject.kind === 'node') {
      this.#byNode.set(subject.node, subject)
      return
    }
    this.#byTask.set(subject.id, subject)
    const onNode = this.#tasksByNode.get(subject.node) ?? new Set()
    this.#tasksByNode.set(subject.node, onNode.add(subject.id))
  }

  #remove(subject: Subject): void {
    this.#byNumber.delete(subject.number)
    if (subject.kind === 'node') {
      this.#byNode.delete(subject.node)
      return
    }
    this.#byTask.delete(subject.id)
    const onNode = this.#tasksByNode.get(subject.node)
    onNode?.delete(subject.id)
    if (onNode?.size === 0) this.#tasksByNode.delete(subject.node)
  }
}

function textOf(subjects: Iterable<Subject>): string {
  return `${[...subjects].map((subject) => JSON.stringify(subject)).join('\n')}\n`
}

const NO_TASKS: ReadonlySet<string> = new Set()
