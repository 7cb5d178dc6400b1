import { expect, onTestFinished, test, vi } from 'vitest'
import { type AgentFiles, filesIn } from '../../agent/files.ts'
import type { ObservedChange, Supervisor } from '../../agent/parts.ts'
import { createSupervisor, type SupervisorOptions } from '../../agent/supervisor.ts'
import { BerthError } from '../../shared/errors.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import { aContainer, anAssignedTask, anEndedContainer, OWNER, SPEC_HASH } from '../build/container.ts'
import { aFakeLog } from '../build/fake-core.ts'
import { aFakeEngine, type FakeEngine } from '../build/fake-engine.ts'
import { aTaskSpec } from '../build/spec.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { until } from '../build/until.ts'

/** How the assignment is written, where it is not as usual. */
type Disk = { replace?: AgentFiles['replace'] }
/** A container that was made and not started. */
const NEVER_RAN = { state: 'created', startedAt: null, health: 'none' } as const
type Watched = { supervisor: Supervisor; told: ObservedChange[]; notices: string[]; log: ReturnType<typeof aFakeLog> }

/** It wants the one task that `anAssignedTask` names, never to be restarted; or those given. */
async function supervise(
  engine: FakeEngine,
  options: Partial<SupervisorOptions> & Disk & { wanted?: AssignedTask[] } = {},
): Promise<Watched> {
  const log = aFakeLog()
  const dataDir = await temporaryFolder()
  const files = { ...filesIn(dataDir), ...(options.replace && { replace: options.replace }) }
  const supervisor = createSupervisor({ engine, owner: OWNER, dataDir, files, log, ...options })
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
  await assign(supervisor, 1, options.wanted ?? [anAssignedTask()])
  return { supervisor, told, notices, log }
}

function assign(supervisor: Supervisor, revision: number, tasks: AssignedTask[]) {
  const specs = { [SPEC_HASH]: aTaskSpec({ restart: { condition: 'none' } }) }
  return supervisor.assign({ kind: 'assignment', revision, specs, tasks })
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
  const { engine: seen, tasks } = await supervisor.observeAll()
  expect(seen.state).toBe('up')
  expect(tasks).toContainEqual(expect.objectContaining({ task: fine.task, state: 'running' }))
  expect(notices).toContain('container-unreadable')
})

test('a container that the Engine cannot describe for a moment is neither gone nor made anew nor ended', async () => {
  const engine = aFakeEngine()
  const container = aContainer()
  const leaving = aContainer({ id: 'leaving', task: 'shop_api.9.z' })
  for (const each of [container, leaving]) engine.containers.set(each.id, each)
  let refusals = 0
  engine.before = (act) => {
    if (!act.startsWith('inspect') || refusals++ >= 2) return
    throw new BerthError('container-refused', 'the Engine refused to inspect: 500')
  }
  const { supervisor, told } = await supervise(engine)
  await until(() => engine.acts.includes('remove leaving'))
  expect(await stateOf(supervisor)).toBe('running')
  expect(engine.acts.some((act) => act.startsWith('create') || act === `remove ${container.id}`)).toBe(false)
  const gone = told.findIndex((change) => change.gone.includes(leaving.task))
  const removed = told.findIndex(({ tasks }) =>
    tasks.some(({ task, state }) => task === leaving.task && state === 'stopping'),
  )
  expect(removed).toBeGreaterThanOrEqual(0)
  if (gone >= 0) expect(gone).toBeGreaterThan(removed)
})

test('a container that is being made is neither forgotten nor told to be gone when its task is to stop meanwhile', async () => {
  const engine = aFakeEngine()
  const gate = Promise.withResolvers<void>()
  engine.before = (act) => (act.startsWith('create') ? gate.promise : undefined)
  const { supervisor } = await supervise(engine)
  await until(() => engine.acts.some((act) => act.startsWith('create')))
  const stopped = { ...anAssignedTask(), desired: 'stopped' as const }
  await supervisor.assign({ kind: 'assignment', revision: 2, specs: {}, tasks: [stopped] })
  expect(await stateOf(supervisor)).toBe('stopping')
  // The list is read anew before the container is there, and says nothing of it.
  const lists = () => engine.acts.filter((act) => act === 'list').length
  engine.dropEvents()
  await vi.waitUntil(() => lists() > 1, WAIT)
  engine.containers.set('made-1', aContainer({ id: 'made-1', state: 'created', startedAt: null }))
  gate.resolve()
  await vi.waitUntil(() => engine.acts.includes('remove made-1'), WAIT)
  await vi.waitUntil(async () => (await stateOf(supervisor)) === 'stopped', WAIT)
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

/** Writes wait until they are let go. */
function aSlowDisk() {
  const gate = Promise.withResolvers<void>()
  let asked = 0
  return {
    replace: async () => {
      asked++
      await gate.promise
    },
    asked: () => asked,
    letGo: () => gate.resolve(),
  }
}

test('a container may be made while its assignment is on its way to the disk, but it is started only once it is there', async () => {
  const engine = aFakeEngine()
  const disk = aSlowDisk()
  const supervising = supervise(engine, disk)
  await until(() => engine.acts.some((act) => act.startsWith('create')))
  await turns()
  expect(engine.acts.filter((act) => act.startsWith('start'))).toEqual([])
  disk.letGo()
  await supervising
  await until(() => engine.acts.some((act) => act.startsWith('start')))
})

test('that a container could not be made is told only once the assignment that names its task is on disk', async () => {
  const engine = aFakeEngine()
  engine.before = (act) => {
    if (act.startsWith('create')) throw new BerthError('container-refused', 'no')
  }
  const disk = aSlowDisk()
  const supervising = supervise(engine, disk)
  await until(() => engine.acts.some((act) => act.startsWith('create')))
  await turns()
  disk.letGo()
  const { supervisor, told } = await supervising
  expect(told.flatMap(({ tasks }) => tasks).filter(({ state }) => state === 'failed')).toEqual([])
  await vi.waitUntil(async () => (await stateOf(supervisor)) === 'failed', WAIT)
})

test('nothing is stopped before the assignment that says so is on disk', async () => {
  const engine = aFakeEngine()
  const container = aContainer()
  engine.containers.set(container.id, container)
  const disk = aSlowDisk()
  let slow = false
  const { supervisor } = await supervise(engine, {
    replace: () => (slow ? disk.replace() : Promise.resolve()),
  })
  await vi.waitUntil(async () => (await stateOf(supervisor)) === 'running', WAIT)
  slow = true
  const assigned = assign(supervisor, 2, [anAssignedTask({ desired: 'stopped' })])
  await until(() => disk.asked() === 1)
  await turns()
  expect(engine.acts.filter((act) => /^(stop|remove)/.test(act))).toEqual([])
  disk.letGo()
  expect(await assigned).toEqual({ outcome: 'applied' })
  await until(() => engine.acts.includes(`remove ${container.id}`))
})

test('an assignment that cannot be written is acted on all the same, and that is said', async () => {
  const engine = aFakeEngine()
  const { notices } = await supervise(engine, { replace: () => Promise.reject(new Error('no space left')) })
  await until(() => engine.acts.some((act) => act.startsWith('start')))
  expect(notices).toContain('assignment-not-kept')
})

/** Whatever could be done by now has been done. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
}

test('a container that is started while the list is read is not taken for one that never ran', async () => {
  const engine = aFakeEngine()
  const { promise: mayStart, resolve: letStart } = Promise.withResolvers<void>()
  let isListed = false
  engine.before = async (act) => {
    if (act.startsWith('create')) engine.containers.set('made-1', aContainer({ id: 'made-1', ...NEVER_RAN }))
    if (act === 'start made-1') await mayStart
    // Asked by the list alone, and answered before it was started.
    if (act !== 'inspect made-1' || isListed) return
    letStart()
    await vi.waitUntil(() => engine.containers.get('made-1')?.state === 'running', WAIT)
    isListed = true
  }
  const { supervisor, told } = await supervise(engine)
  await vi.waitUntil(() => engine.acts.includes('start made-1'), WAIT)
  engine.dropEvents()
  await vi.waitUntil(() => isListed && engine.acts.filter((act) => act === 'inspect made-1').length > 1, WAIT)
  await vi.waitUntil(async () => (await stateOf(supervisor)) === 'running', WAIT)
  expect(told.flatMap(({ tasks }) => tasks.map(({ state }) => state))).not.toContain('restarting')
})

test('an answer that comes after the list was read anew is older than what that shows', async () => {
  const engine = aFakeEngine()
  const image = Promise.withResolvers<null>()
  engine.image = () => image.promise
  engine.before = (act) => {
    if (act.startsWith('create')) engine.containers.set('made-1', aContainer({ id: 'made-1', ...NEVER_RAN }))
  }
  const { supervisor } = await supervise(engine)
  await vi.waitUntil(() => engine.containers.get('made-1')?.state === 'running', WAIT)
  // It ends, and nobody hears of it.
  engine.containers.set('made-1', { ...anEndedContainer(3, 20_000), id: 'made-1' })
  engine.dropEvents()
  await vi.waitUntil(() => engine.acts.filter((act) => act === 'inspect made-1').length > 0, WAIT)
  image.resolve(null)
  await vi.waitUntil(async () => (await stateOf(supervisor)) === 'failed', WAIT)
})

test('a container that was told to be leaving and is wanted after all runs as another attempt', async () => {
  const engine = aFakeEngine()
  const container = aContainer(NEVER_RAN)
  engine.containers.set(container.id, container)
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  engine.before = async (act) => {
    if (!act.startsWith('remove')) return
    asked.resolve()
    await answer.promise
    throw new BerthError('container-refused', 'not now')
  }
  const { supervisor, told } = await supervise(engine, { wanted: [] })
  await asked.promise
  expect(await stateOf(supervisor)).toBe('stopping')
  await assign(supervisor, 2, [anAssignedTask()])
  answer.resolve()
  await vi.waitUntil(async () => (await stateOf(supervisor)) === 'running', WAIT)
  const last = told.at(-1)?.tasks.at(-1)
  // Below (1, stopping) it would be an older word.
  expect(last).toMatchObject({ state: 'running', attempt: 2 })
})

test.each([
  ['json-file', '/engine/made-1.log'],
  ['journald', null],
])(
  'before a container with the log driver %s is started, whoever reads logs is told where its file will be: %s',
  async (driver, path) => {
    const engine = aFakeEngine()
    engine.logPathOf = (id) => `/engine/${id}.log`
    const { supervisor } = await supervise(engine, { wanted: [] })
    const paths: (string | null | undefined)[] = []
    engine.before = (act) => {
      if (act.startsWith('start')) paths.push(supervisor.containers()[0]?.logPath)
    }
    const spec = aTaskSpec({ restart: { condition: 'none' } })
    const specs = { [SPEC_HASH]: { ...spec, container: { ...spec.container, logging: { driver, options: {} } } } }
    await supervisor.assign({ kind: 'assignment', revision: 2, specs, tasks: [anAssignedTask()] })
    await until(() => paths.length > 0)
    expect(paths[0]).toBe(path)
  },
)
