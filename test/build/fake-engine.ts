/** An Engine in memory, for what no real one does when it is asked to: answers that wait, lists that fail, events in between. */
import type { Container } from '../../agent/decide/container.ts'
import type { ContainerEvent, Engine } from '../../agent/docker/engine.ts'
import { BerthError } from '../../shared/errors.ts'

export type FakeEngine = Engine & {
  containers: Map<string, Container>
  /** Every act that was asked for, in order. */
  acts: string[]
  /** Called before each answer, with the act; may wait or throw. */
  before: (act: string) => Promise<void> | void
  tell(action: string, container: Container): void
  /** The event stream ends, as when the Engine drops it. */
  dropEvents(): void
}

export function aFakeEngine(): FakeEngine {
  let onEvent: ((event: ContainerEvent) => void) | null = null
  let drop: (() => void) | null = null
  let made = 0

  async function act(name: string): Promise<void> {
    engine.acts.push(name)
    await engine.before(name)
  }
  function change(id: string, given: Partial<Container>): Container {
    const known = engine.containers.get(id)
    if (!known) throw new BerthError('not-found', `no container ${id}`, { details: { statusCode: 404 } })
    const changed = { ...known, ...given }
    engine.containers.set(id, changed)
    return changed
  }

  const engine: FakeEngine = {
    place: 'memory',
    containers: new Map(),
    acts: [],
    before: () => {},
    tell: (action, { id, task }) => onEvent?.({ container: id, task, action }),
    dropEvents: () => drop?.(),
    async check() {
      await act('check')
      return { version: '1', apiVersion: '1.47' }
    },
    ping: () => act('ping'),
    takesConnections: async () => true,
    endsContainers: async () => true,
    reach: async () => ({ by: 'address' }),
    engineLabels: async () => ({}),
    dataRoot: async () => '/',
    logPathOf: () => null,
    async list() {
      const found = [...engine.containers.values()].map(({ id, task, cluster, node }) => ({ id, task, cluster, node }))
      await act('list')
      return found
    },
    async inspect(id) {
      const found = engine.containers.get(id) ?? [...engine.containers.values()].find(({ name }) => name === id) ?? null
      await act(`inspect ${id}`)
      return found
    },
    image: async () => null,
    pull: () => act('pull'),
    volumeExists: async () => true,
    async create({ name }) {
      await act(`create ${name}`)
      return `made-${++made}`
    },
    async start(id) {
      await act(`start ${id}`)
      const known = engine.containers.get(id)
      if (known) engine.tell('start', change(id, { state: 'running', startedAt: Date.now(), finishedAt: null }))
    },
    async stop(id) {
      await act(`stop ${id}`)
      engine.tell('die', change(id, { state: 'exited', exitCode: 0, finishedAt: Date.now() }))
    },
    kill: (id) => act(`kill ${id}`),
    async remove(id) {
      await act(`remove ${id}`)
      const known = engine.containers.get(id)
      engine.containers.delete(id)
      if (known) engine.tell('destroy', known)
    },
    events(_sinceMs, listener, signal) {
      onEvent = listener
      const ended = new Promise<void>((resolve) => {
        drop = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      return { opened: Promise.resolve(), ended }
    },
    logs: () => Promise.reject(new Error('no logs here')),
    close() {},
  }
  return engine
}
