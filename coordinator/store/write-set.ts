/** Writes of which only the last to each key counts. A tree by the parts of the keys: making a text of each key takes three times as long. */
import type { Key, Write } from './store.ts'

type Branch = { write: Write | null; next: Map<string | number, Branch> | null }

export class WriteSet {
  readonly #root: Branch = { write: null, next: null }
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Takes the place of an earlier one to the same key. */
  add(write: Write): void {
    let branch = this.#root
    for (const part of write.key) {
      branch.next ??= new Map()
      let next = branch.next.get(part)
      if (next === undefined) {
        next = { write: null, next: null }
        branch.next.set(part, next)
      }
      branch = next
    }
    if (branch.write === null) this.#size += 1
    branch.write = write
  }

  /** Takes out what was to be written to the key; false: nothing was. */
  drop(key: Key): boolean {
    let branch: Branch | undefined = this.#root
    for (const part of key) branch = branch?.next?.get(part)
    if (!branch?.write) return false
    branch.write = null
    this.#size -= 1
    return true
  }

  *[Symbol.iterator](): Iterator<Write> {
    yield* writesOf(this.#root)
  }
}

function* writesOf({ write, next }: Branch): Iterable<Write> {
  if (write) yield write
  // No generator for each leaf: there may be a hundred thousand.
  for (const branch of next?.values() ?? []) {
    if (branch.next) yield* writesOf(branch)
    else if (branch.write) yield branch.write
  }
}
