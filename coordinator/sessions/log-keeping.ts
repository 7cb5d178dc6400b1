/** What agents say of log lines to be kept, and what they are answered: each container is told where to go on, each block when it is on the disk. */
import type { DownMessage, LogPlaces } from '../../shared/wire/down.ts'
import type { LogBlock } from '../../shared/wire/log-block.ts'
import type { LogLooked, LogSources, Notice } from '../../shared/wire/up.ts'
import { taskName } from '../api/view-task.ts'
import { LogGaps } from '../logs/log-gaps.ts'
import type { LogOwner, LogStore } from '../logs/log-store.ts'
import type { World } from '../world.ts'

export type LogKeeping = {
  sources(node: string, message: LogSources): void
  blocks(node: string, blocks: LogBlock[]): void
  looked(node: string, message: LogLooked): void
  nodeClosed(node: string): void
  /** Told of each node whose connection is gone. Returns the way to stop. */
  onNodeClosed(listener: (node: string) => void): () => void
  /** Resolves when all that these nodes' containers had written by now is kept, or after a moment. */
  look(nodes: Iterable<string>): Promise<void>
}

export type LogKeepingNeeds = {
  store: LogStore
  world(): World
  isOpen(node: string): boolean
  send(node: string, message: DownMessage): void
  now(): number
  /** For `berth events`. */
  notice(node: string, notice: Pick<Notice, 'code' | 'message' | 'task'>): void
}

type Places = LogPlaces['places']

/** An agent answers within 400 ms, if it is there. */
const LOOK_MS_MAX = 1_000

export function createLogKeeping({ store, world, isOpen, send, now, notice }: LogKeepingNeeds): LogKeeping {
  /** By node: containers that were told where to go on; until they do, what comes of them was sent before. */
  const told = new Map<string, Set<string>>()
  /** By container: nodes that are told where to go on when what was taken of it is on the disk. */
  const asking = new Map<string, string>()
  const looks = new Map<number, { node: string; done: () => void }>()
  const closedListeners = new Set<(node: string) => void>()
  let lookNumber = 0

  const toldOf = (node: string) => {
    const known = told.get(node) ?? new Set()
    told.set(node, known)
    return known
  }
  /**
   * Where it is to go on; nothing as long as some of what was taken is not on the disk yet, which is told then. An agent takes
   * what is before its place for kept: it lets go of files, and tells readers that all is there.
   */
  const beginOf = (node: string, container: string): Places => {
    if (store.isWaiting(container)) {
      asking.set(container, node)
      return []
    }
    const place = store.beginOf(container)
    return [{ container, what: 'begin', ...(place && { place }) }]
  }

  /** A node speaks for its own tasks, and for those of which it has told lines before. */
  function ownerOf(node: string, container: string, id: string): LogOwner | null {
    const task = world().tasks.get(id)
    if (task !== undefined && task.node === node) return { service: task.service, name: taskName(task), node }
    const before = store.placeOf(container)
    if (before === null || before.node !== node || before.task !== id) return null
    return store.ownerOf(id)
  }

  store.onKept((places) => {
    for (const [node, kept] of Map.groupBy(places, (each) => each.node)) {
      if (!isOpen(node)) continue
      send(node, {
        kind: 'log-places',
        places: kept.map(({ container, place }) => ({ container, what: 'kept', place })),
      })
      const answered = kept.filter(({ container }) => asking.get(container) === node && !store.isWaiting(container))
      for (const { container } of answered) asking.delete(container)
      const places = answered.flatMap(({ container }) => beginOf(node, container))
      if (places.length > 0) send(node, { kind: 'log-places', places })
    }
  })
  const gaps = new LogGaps(({ node, task }, message) => notice(node, { code: 'log-gap', message, task }), now)
  store.onGap((gap) => gaps.add(gap))
  store.onRoom((containers) => {
    for (const [node, waiting] of Map.groupBy(containers, ([, of]) => of)) {
      const places = waiting.flatMap(([container]) => beginOf(node, container))
      if (isOpen(node) && places.length > 0) send(node, { kind: 'log-places', places })
    }
  })

  return {
    sources(node, { sources }) {
      const places = sources.flatMap(({ container, task }): Places => {
        if (ownerOf(node, container, task) === null) return [{ container, what: 'refused' }]
        toldOf(node).add(container)
        return beginOf(node, container)
      })
      if (places.length > 0) send(node, { kind: 'log-places', places })
    },
    blocks(node, blocks) {
      const places: Places = []
      for (const block of blocks) {
        const { container, task } = block.head
        const owner = ownerOf(node, container, task)
        const taking = owner === null ? 'refused' : store.take(block, owner)
        if (taking === 'taken') toldOf(node).delete(container)
        else if (taking === 'refused') places.push({ container, what: 'refused' })
        else if (!toldOf(node).has(container)) {
          toldOf(node).add(container)
          if (taking !== 'full') places.push(...beginOf(node, container))
        }
      }
      if (places.length > 0) send(node, { kind: 'log-places', places })
    },
    looked(node, { look }) {
      const waiting = looks.get(look)
      if (waiting?.node === node) waiting.done()
    },
    nodeClosed(node) {
      told.delete(node)
      for (const [container, asks] of asking) if (asks === node) asking.delete(container)
      for (const waiting of looks.values()) if (waiting.node === node) waiting.done()
      for (const tell of closedListeners) tell(node)
    },
    onNodeClosed(listener) {
      closedListeners.add(listener)
      return () => closedListeners.delete(listener)
    },
    async look(nodes) {
      await Promise.all([...nodes].filter(isOpen).map(lookAt))
    },
  }

  function lookAt(node: string): Promise<void> {
    const look = ++lookNumber
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(), LOOK_MS_MAX)
      const done = () => {
        clearTimeout(timer)
        looks.delete(look)
        resolve()
      }
      looks.set(look, { node, done })
      send(node, { kind: 'log-look', look })
    })
  }
}
