import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  ASSIGNMENT_FILE,
  applyMessage,
  type KeptAssignment,
  readAssignment,
  writeAssignment,
} from '../../agent/assignment-file.ts'
import { AssignmentKeeper } from '../../agent/assignment-keeper.ts'
import { NOTHING_REMEMBERED } from '../../agent/decide/memory.ts'
import { filesIn } from '../../agent/files.ts'
import { RestartFile } from '../../agent/restart-file.ts'
import { anAssignedTask, OWNER, SPEC_HASH } from '../build/container.ts'
import { aTaskSpec } from '../build/spec.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'berth-assignment-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const kept: KeptAssignment = { revision: 7, specs: { [SPEC_HASH]: aTaskSpec() }, tasks: [anAssignedTask()] }
const change = (given: object) => ({
  kind: 'assignment-change' as const,
  base: 7,
  revision: 8,
  specs: {},
  put: [],
  remove: [],
  ...given,
})

test('what was written is read again, and only its owner may read the file', async () => {
  expect(await readAssignment(filesIn(dataDir), OWNER)).toEqual({ found: 'nothing' })
  await writeAssignment(filesIn(dataDir), OWNER, kept)
  expect(await readAssignment(filesIn(dataDir), OWNER)).toEqual({ found: 'assignment', assignment: kept })
  expect(statSync(join(dataDir, ASSIGNMENT_FILE)).mode & 0o777).toBe(0o600)
})

test('a file with any byte changed or missing is not used', async () => {
  await writeAssignment(filesIn(dataDir), OWNER, kept)
  const whole = readFileSync(join(dataDir, ASSIGNMENT_FILE))
  for (const cut of [0, 1, 20, whole.length - 1]) {
    writeFileSync(join(dataDir, ASSIGNMENT_FILE), whole.subarray(0, cut))
    expect(await readAssignment(filesIn(dataDir), OWNER)).toMatchObject({ found: 'unusable' })
  }
  for (const at of [0, 30, whole.length - 2]) {
    const changed = Buffer.from(whole)
    changed[at] = changed[at]! ^ 1
    writeFileSync(join(dataDir, ASSIGNMENT_FILE), changed)
    expect(await readAssignment(filesIn(dataDir), OWNER)).toMatchObject({ found: 'unusable' })
  }
})

test('an assignment of another cluster or node is not used', async () => {
  await writeAssignment(filesIn(dataDir), OWNER, kept)
  expect(await readAssignment(filesIn(dataDir), { ...OWNER, cluster: 'c2' })).toMatchObject({ found: 'unusable' })
  expect(await readAssignment(filesIn(dataDir), { ...OWNER, node: 'web-2' })).toMatchObject({ found: 'unusable' })
})

test('a change puts and removes tasks, and drops specs that no task names any more', () => {
  const spec = aTaskSpec({ container: { image: 'example/web:2' } })
  const task = anAssignedTask({ id: 'shop_api.2.b', spec: 'spec-2' })
  const message = change({ specs: { 'spec-2': spec }, put: [task], remove: ['shop_api.1.a'] })
  expect(applyMessage(kept, message)).toEqual({
    outcome: 'applied',
    assignment: { revision: 8, specs: { 'spec-2': spec }, tasks: [task] },
  })
})

test('a change on another revision, or on none, asks for the complete assignment', () => {
  expect(applyMessage(kept, change({ base: 6 }))).toMatchObject({ outcome: 'resync' })
  expect(applyMessage(null, change({}))).toMatchObject({ outcome: 'resync' })
})

test('an older revision is refused, complete or not; the same complete one may come again', () => {
  const complete = { kind: 'assignment' as const, specs: kept.specs, tasks: kept.tasks }
  expect(applyMessage(kept, { ...complete, revision: 6 })).toMatchObject({ outcome: 'stale' })
  expect(applyMessage(kept, change({ base: 6, revision: 7 }))).toMatchObject({ outcome: 'stale' })
  expect(applyMessage(kept, { ...complete, revision: 7 })).toEqual({ outcome: 'applied', assignment: kept })
})

test('a wanted task without its spec makes the message unusable; one that is to stop needs none', () => {
  const wanted = change({ put: [anAssignedTask({ id: 'x.1', spec: 'unknown' })] })
  expect(applyMessage(kept, wanted)).toMatchObject({ outcome: 'resync' })
  const leaving = change({ put: [anAssignedTask({ id: 'x.1', spec: 'unknown', desired: 'stopped' })] })
  expect(applyMessage(kept, leaving)).toMatchObject({ outcome: 'applied' })
})

test('that a task has ended for good is on the disk at once, what only counts restarts a little later', () => {
  const flushed: string[] = []
  const later: (() => void)[] = []
  const clock = {
    after(_ms: number, then: () => void) {
      later.push(then)
      return { stop: () => void later.splice(0) }
    },
  }
  const files = { ...filesIn(dataDir), flushNow: (name: string) => void flushed.push(name) }
  const kept = new RestartFile(files, clock, () => {})
  kept.keep('a', { ...NOTHING_REMEMBERED, attempt: 2, failures: 1 })
  expect(flushed).toHaveLength(0)
  kept.keep('b', { ...NOTHING_REMEMBERED, attempt: 1, endedWith: 0 }, true)
  expect(flushed).toHaveLength(1)
  expect([...kept.read().keys()]).toEqual(['a', 'b'])
})

test('what a full disk did not take of restarts is written once there is room', () => {
  const later: (() => void)[] = []
  const clock = {
    after(_ms: number, then: () => void) {
      later.push(then)
      return { stop: () => {} }
    },
  }
  let isFull = true
  const errors: string[] = []
  const files = filesIn(dataDir)
  const replaceNow = (name: string, text: string) => {
    if (isFull) throw new Error('ENOSPC')
    files.replaceNow(name, text)
  }
  const kept = new RestartFile({ ...files, replaceNow }, clock, ({ message }) => errors.push(message))
  kept.keep('a', { ...NOTHING_REMEMBERED, attempt: 1, endedWith: 0 }, true)
  later.shift()?.()
  expect(errors).toEqual(['ENOSPC'])
  isFull = false
  later.shift()?.()
  expect([...kept.read().keys()]).toEqual(['a'])
})

test('while the disk does not take the assignment no older one stays there, and it is tried again', async () => {
  const files = filesIn(dataDir)
  const failures: string[] = []
  let later: (() => void) | null = null
  let isFull = false
  const keeper = new AssignmentKeeper({
    files: {
      ...files,
      replace: (name, text) => (isFull ? Promise.reject(new Error('ENOSPC')) : files.replace(name, text)),
    },
    clock: {
      after(_ms, then) {
        later = then
        return { stop: () => {} }
      },
    },
    owner: () => OWNER,
    failed: ({ message }) => failures.push(message),
  })
  await keeper.keep(kept)
  isFull = true
  await keeper.keep({ ...kept, revision: 8 })
  expect(failures).toEqual(['ENOSPC'])
  expect(await readAssignment(files, OWNER)).toEqual({ found: 'nothing' })
  isFull = false
  later!()
  await vi.waitUntil(async () => (await readAssignment(files, OWNER)).found === 'assignment')
  expect(await readAssignment(files, OWNER)).toMatchObject({ assignment: { revision: 8 } })
})
