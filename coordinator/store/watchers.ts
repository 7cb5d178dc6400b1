/** Who wants to hear of writes below a prefix. Told after the flush, in order; a listener that throws is the caller's fault. */
import { hasPrefix } from './keys.ts'
import type { Key, Write } from './store.ts'

export type Watchers = {
  add(prefix: Key, listener: (writes: Write[]) => void): () => void
  tell(writes: Write[]): void
}

export function createWatchers(): Watchers {
  const watchers = new Set<{ prefix: Key; listener: (writes: Write[]) => void }>()
  return {
    add(prefix, listener) {
      const watcher = { prefix, listener }
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    tell(writes) {
      for (const { prefix, listener } of [...watchers]) {
        const concerned = writes.filter((write) => hasPrefix(write.key, prefix))
        if (concerned.length > 0) listener(concerned)
      }
    },
  }
}
