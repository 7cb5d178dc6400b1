import { expect, onTestFinished, test, vi } from 'vitest'
import type { ObservedChange, Supervisor } from '../../agent/parts.ts'
import { createSupervisor } from '../../agent/supervisor.ts'
import { BerthError } from '../../shared/errors.ts'
import { aContainer, anAssignedTask, anEndedContainer, OWNER, SPEC_HASH } from '../build/container.ts'
import { aFakeLog } from '../build/fake-core.ts'
import { aFakeEngine, type FakeEngine } from '../build/fake-engine.ts'
import { aTaskSpec } from '../build/spec.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { until } from '../build/until.ts'

type Watched = { supervisor: Supervisor; told: ObservedChange[]; notices: string[]; log: ReturnType<typeof aFakeLog> }

/** It wants the one task that `anAssignedTask` names, never to be restarted. */
async function supervise(engine: FakeEngine): Promise<Watched> {
  const log = aFakeLog()
  const supervisor = createSupervisor({ engine, owner: OWNER, dataDir: await temporaryFolder(), log })
  const told: ObservedChange[] = []
  const notices: string[] = []
  supervisor.onChange((change) => told.push(change))
  supervisor.onNotice(({ code }) => notices.push(code))
  const stop = new AbortController()
  const running = supervisor.run(stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await running
  })
  const spec = aTaskSpec({ restart: { condition: 'none' } })
  await supervisor.assign({
    kind: 'assignment',
    revision: 1,
    specs: { [SPEC_HASH]: spec },
    tasks: [anAssignedTask()],
  })
  return { supervisor, told, notices, log }
}

const WAIT = { timeout: 10_000, interval: 10 }
const stateOf = async (supervisor: Supervisor) => (await supervisor.observeAll()).tasks[0]?.state

test('a container that ends while the list is read is not taken for a running one', async () => {
  const engine = aFakeEngine()
  const container = aContainer()
  engine.containers.set(container.id, container)
  let ended = false
  engine.before = (act) => {
    // The answer was made before; the event overtakes it.
    if (act !== `inspect ${container.id}` || ended) return
    ended = true
    const exited = anEndedContainer(0, 20_000)
    engine.containers.set(container.id, exited)
    engine.tell('die', exited)
  }
  const { supervisor } = await supervise(engine)
  await vi.waitUntil(async () => (await stateOf(supervisor)) === 'completed', WAIT)
})

test('a container that is removed while the list is read is not taken for one that is there', async () => {
  const engine = aFakeEngine()
  const container = aContainer()
  engine.containers.set(container.id, container)
  let removed = false
  engine.before = (act) => {
    if (act !== `inspect ${container.id}` || removed) return
    removed = true
    engine.containers.delete(container.id)
    engine.tell('destroy', container)
  }
  await supervise(engine)
  await until(() => engine.acts.some((act) => act.startsWith('create')))
})

test('an Engine that answers but cannot list its containers is told to be down, and why', async () => {
  const engine = aFakeEngine()
  engine.before = (act) => {
    if (act === 'list')
      throw new BerthError('container-refused', 'the Engine refused to list containers: disk I/O error')
  }
  const { supervisor, notices } = await supervise(engine)
  const { engine: info } = await supervisor.observeAll()
  expect(info).toMatchObject({ state: 'down', message: expect.stringContaining('disk I/O error') })
  expect(notices).toContain('container-refused')
  engine.before = () => {}
  await vi.waitUntil(async () => (await supervisor.observeAll()).engine.state === 'up', WAIT)
})

test('one container that the Engine cannot describe hides none of the others', async () => {
  const engine = aFakeEngine()
  const broken = aContainer({ id: 'broken', task: 'shop_api.9.z' })
  const fine = aContainer()
  for (const each of [broken, fine]) engine.containers.set(each.id, each)
  engine.before = (act) => {
    if (act === 'inspect broken')
      throw new BerthError('container-refused', 'the Engine refused to inspect container broken')
  }
  const { supervisor, notices } = await supervise(engine)
  expect(await supervisor.observeAll()).toMatchObject({ engine: { state: 'up' }, tasks: [{ state: 'running' }] })
  expect(notices).toContain('container-unreadable')
})

test('an event stream that ends again and again is opened anew at growing intervals, and each time is in the log', async () => {
  const engine = aFakeEngine()
  const { supervisor, log } = await supervise(engine)
  await supervisor.observeAll()
  const listed = () => engine.acts.filter((act) => act === 'list').length
  const pausesMs: number[] = []
  for (let round = 0; round < 2; round++) {
    const before = listed()
    const at = performance.now()
    engine.dropEvents()
    await vi.waitUntil(() => listed() > before, WAIT)
    pausesMs.push(performance.now() - at)
    await supervisor.observeAll()
  }
  expect(pausesMs[1]).toBeGreaterThan(1.4 * pausesMs[0]!)
  expect(log.lines.filter(({ message }) => /listed anew/.test(message))).toHaveLength(2)
})
