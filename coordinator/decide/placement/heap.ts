/** A binary heap whose best item stands first; after an item's worth changed in place, `sinkFirst` puts it where it belongs. */
export type Heap<T> = { items: T[]; compare: (a: T, b: T) => number }

export function heapOf<T>(items: T[], compare: (a: T, b: T) => number): Heap<T> {
  const heap = { items, compare }
  for (let index = (items.length >> 1) - 1; index >= 0; index -= 1) sink(heap, index)
  return heap
}

export function sinkFirst<T>(heap: Heap<T>): void {
  sink(heap, 0)
}

export function insert<T>(heap: Heap<T>, item: T): void {
  const { items, compare } = heap
  let index = items.push(item) - 1
  while (index > 0) {
    const parent = (index - 1) >> 1
    if (compare(item, items[parent]!) >= 0) break
    items[index] = items[parent]!
    index = parent
  }
  items[index] = item
}

export function removeFirst<T>(heap: Heap<T>): void {
  const last = heap.items.pop()
  if (last === undefined || heap.items.length === 0) return
  heap.items[0] = last
  sink(heap, 0)
}

function sink<T>({ items, compare }: Heap<T>, start: number): void {
  let index = start
  for (;;) {
    let best = index
    for (const child of [2 * index + 1, 2 * index + 2]) {
      if (child < items.length && compare(items[child]!, items[best]!) < 0) best = child
    }
    if (best === index) return
    const item = items[index]!
    items[index] = items[best]!
    items[best] = item
    index = best
  }
}
