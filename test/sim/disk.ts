/** Disks: the agent's files and the coordinator's store, with full disks, power cuts, and processes that die between writes. */
import type { AgentFiles } from '../../agent/files.ts'
import { createMemoryStore, type MemoryStore } from '../../coordinator/store/memory.ts'
import type { Store } from '../../coordinator/store/store.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'

/** A host's disk: what is written, and what of it would outlive a power cut. */
export class Disk {
  isFull = false
  /** Something that should have been kept was not: it was full, or wiped. */
  hasLost = false
  /** Files of which the latest was not taken. */
  private readonly behind = new Set<string>()
  readonly written = new Map<string, string>()
  private readonly durable = new Map<string, string>()

  /** The process that would have written it later has ended. */
  leave(): void {
    this.hasLost ||= this.behind.size > 0
  }

  /** What was not flushed is lost, each file for itself and whole. */
  losePower(): void {
    this.written.clear()
    for (const [name, text] of this.durable) this.written.set(name, text)
  }

  wipe(): void {
    this.hasLost = true
    this.written.clear()
    this.durable.clear()
  }

  filesOf(life: Life, chance: Chance): AgentFiles {
    const disk = this
    const write = (name: string, text: string) => {
      if (!life.may()) return
      const file = name.replace(/\.new$/, '')
      if (this.isFull) this.behind.add(file)
      else this.behind.delete(file)
      if (this.isFull) throw new BerthError('failed', `ENOSPC: no space left on device, write '${name}'`)
      this.written.set(name, text)
    }
    const flush = (name: string) => {
      const text = this.written.get(name)
      if (life.may() && text !== undefined) this.durable.set(name, text)
    }
    const waited = <T>(minMs: number, maxMs: number, work: () => T) =>
      new Promise<T>((resolve, reject) => {
        life.take(life.timeline.now + chance.skewed(minMs, maxMs), () => {
          try {
            resolve(work())
          } catch (error) {
            reject(error)
          }
        })
      })
    return {
      pathOf: (name) => `/var/lib/berth/${name}`,
      make: () => waited(0.1, 1, () => {}),
      read: (name) => waited(0.1, 5, () => this.written.get(name) ?? null),
      async replace(name, text) {
        // To a file beside it, flushed, then renamed: before the last step the old content stands.
        await waited(0.2, 20, () => write(`${name}.new`, text))
        await waited(0.1, 5, () => write(name, text))
        await waited(0.1, 5, () => flush(name))
      },
      async remove(name) {
        await waited(0.1, 5, () => {
          if (!life.may()) return
          disk.written.delete(name)
          disk.durable.delete(name)
        })
      },
      readNow: (name) => this.written.get(name) ?? null,
      replaceNow: write,
      flushNow: flush,
    }
  }
}

/** The coordinator's disk: what was committed outlives it. */
export class StoreDisk {
  /** What a start of the coordinator finds. */
  kept: MemoryStore = createMemoryStore()
  /** From the call until it is durable, and from then until it is told. */
  flushMs: readonly [number, number] = [0.3, 8]
  isFull = false

  /** A store for one process: its transactions are all or nothing, and it may die before, between and after them. */
  storeOf(life: Life, chance: Chance): Store {
    const { kept } = this
    let last: Promise<unknown> = Promise.resolve()
    const wait = (ms: number) => new Promise<void>((resolve) => life.take(life.timeline.now + ms, resolve))
    const store: Store = {
      ...kept,
      along: async (writes) => void (await store.transact(writes)),
      transact: (writes, compares) => {
        const result = last.then(async () => {
          await wait(chance.skewed(...this.flushMs))
          if (!life.may()) return new Promise<boolean>(() => {})
          kept.setFull(this.isFull)
          const done = await kept.transact(writes, compares)
          await wait(chance.skewed(0.05, 2))
          return done
        })
        last = result.catch(() => {})
        return result
      },
    }
    return store
  }
}
