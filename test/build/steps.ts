/**
 * Counts what a piece of work looks at: each item that a Set or a Map hands out while it runs. Independent of the machine and of how busy
 * it is, so that a test can hold work to its complexity.
 */
type Iterable = { prototype: Record<PropertyKey, unknown> }

const COUNTED: [Iterable, PropertyKey[]][] = [
  [Set as unknown as Iterable, [Symbol.iterator, 'values', 'keys']],
  [Map as unknown as Iterable, [Symbol.iterator, 'values', 'keys', 'entries']],
]

export function stepsOf(work: () => void): number {
  let steps = 0
  const restore: (() => void)[] = []
  for (const [{ prototype }, names] of COUNTED) {
    for (const name of names) {
      const original = prototype[name] as (this: unknown) => Iterator<unknown>
      // Not a generator: what is handed out must stay an iterator with `map`, `filter` and the like.
      prototype[name] = function counting(this: unknown) {
        const items = original.call(this)
        const next = items.next.bind(items)
        return Object.assign(items, {
          next() {
            steps += 1
            return next()
          },
        })
      }
      restore.push(() => {
        prototype[name] = original
      })
    }
  }
  try {
    work()
  } finally {
    for (const undo of restore) undo()
  }
  return steps
}
