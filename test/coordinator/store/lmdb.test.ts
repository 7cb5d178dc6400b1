import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { openLmdbStore } from '../../../coordinator/store/lmdb.ts'

const writer = join(import.meta.dirname, 'writer.ts')
const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

function aFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'berth-lmdb-'))
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A disk of its own that can be filled without hurting anybody. */
function aSmallDisk(bytes: number): string {
  const dir = aFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir])
  cleanups.push(() => execFileSync('umount', ['--lazy', dir]))
  return dir
}

/** Starts a process that writes numbered entries and prints each number once it was told that it is durable. */
function startWriter(dir: string): { child: ChildProcess; lines: AsyncIterableIterator<string> } {
  const child = spawn(process.execPath, [writer, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  cleanups.push(() => child.kill('SIGKILL'))
  return { child, lines: createInterface({ input: child.stdout! })[Symbol.asyncIterator]() }
}

const ended = (child: ChildProcess) => new Promise<void>((resolve) => child.once('exit', () => resolve()))

test('the folder is for its owner only, and so are the files in it', async () => {
  const dir = join(aFolder(), 'deep', 'store')
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  const store = await openLmdbStore({ dir })
  await store.transact([{ key: ['k'], value: 1 }])
  expect((statSync(dir).mode & 0o777).toString(8)).toBe('700')
  for (const file of ['store.mdb', 'store.mdb-lock', 'lock']) {
    expect((statSync(join(dir, file)).mode & 0o777).toString(8), file).toBe('600')
  }
  expect(store.sizeBytes()).toBeGreaterThan(0)
  await store.close()
})

test('what was written is there for the next process, with its revisions', async () => {
  const dir = aFolder()
  const store = await openLmdbStore({ dir })
  await store.transact([{ key: ['a', 1], value: { deep: ['x'] } }])
  await store.transact([{ key: ['b'], value: 2 }])
  const revision = store.revision(['b'])
  await store.close()
  const again = await openLmdbStore({ dir })
  expect([...again.range([])]).toEqual([
    { key: ['a', 1], value: { deep: ['x'] } },
    { key: ['b'], value: 2 },
  ])
  await again.transact([{ key: ['b'], value: 3 }])
  expect(again.revision(['b'])).toBeGreaterThan(revision)
  await again.close()
})

test('a second opening of a folder in use is refused with the holder’s pid', async () => {
  const dir = aFolder()
  const store = await openLmdbStore({ dir })
  await expect(openLmdbStore({ dir })).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining(`in use by process ${process.pid}`),
  })
  await store.transact([{ key: ['k'], value: 1 }])
  await store.close()
})

test('a lock left behind by a process that is gone, or whose pid another has now, is taken over', async () => {
  const dir = aFolder()
  for (const left of ['999999999 1 none', `${process.pid} 1 none`, '']) {
    writeFileSync(join(dir, 'lock'), left)
    const store = await openLmdbStore({ dir })
    expect(readFileSync(join(dir, 'lock'), 'utf8')).toMatch(new RegExp(`^${process.pid} `))
    await store.close()
  }
})

test('a full disk is said as disk-full, nothing of the transaction is written, and the store goes on once there is room', async () => {
  const dir = aSmallDisk(1024 * 1024)
  const store = await openLmdbStore({ dir: join(dir, 'store') })
  const ballast = join(dir, 'ballast')
  writeFileSync(ballast, Buffer.alloc(300 * 1024))
  const write = (number: number) =>
    store.transact(Array.from({ length: 10 }, (_, part) => ({ key: ['b', number, part], value: 'x'.repeat(1000) })))
  let written = 0
  let error: unknown = null
  while (error === null && written < 1000) {
    await write(written).then(
      () => written++,
      (reason) => {
        error = reason
      },
    )
  }
  expect(error).toMatchObject({ code: 'disk-full' })
  expect((error as Error).message).toContain(join(dir, 'store'))
  expect([...store.range(['b'])]).toHaveLength(written * 10)
  expect([...store.range(['b', written])]).toEqual([])
  await expect(write(written)).rejects.toMatchObject({ code: 'disk-full' })
  expect([...store.range(['b'])]).toHaveLength(written * 10)

  rmSync(ballast)
  expect(await write(written)).toBe(true)
  expect([...store.range(['b', written])]).toHaveLength(10)
  await store.close()
  const again = await openLmdbStore({ dir: join(dir, 'store') })
  expect([...again.range(['b'])]).toHaveLength((written + 1) * 10)
  await again.close()
})

test('everything told to be durable is there after kill -9, and no transaction by half', async () => {
  const dir = aFolder()
  let acknowledged = -1
  for (let round = 0; round < 5; round++) {
    const { child, lines } = startWriter(dir)
    const until = acknowledged + 20 + round * 15
    for await (const line of lines) {
      acknowledged = Number(line)
      if (acknowledged >= until) break
    }
    child.kill('SIGKILL')
    await ended(child)
    for await (const line of lines) acknowledged = Number(line)
    const store = await openLmdbStore({ dir })
    const numbers = [...store.range(['n'])].map(({ key }) => key[1] as number)
    const twins = [...store.range(['twin'])].map(({ key }) => key[1] as number)
    await store.close()
    expect(numbers).toEqual(numbers.map((_, index) => index))
    expect(numbers.length).toBeGreaterThan(acknowledged)
    expect(twins).toEqual(numbers)
  }
})

test('the disk is synced between a write and the word that it is durable', async () => {
  const dir = aFolder()
  const trace = join(aFolder(), 'trace')
  const child = spawn(
    'strace',
    [
      '-f',
      '-e',
      'trace=write,pwrite64,writev,pwritev,fdatasync',
      '-s',
      '40',
      '-o',
      trace,
      process.execPath,
      writer,
      dir,
      '5',
    ],
    { stdio: 'ignore' },
  )
  cleanups.push(() => child.kill('SIGKILL'))
  await ended(child)
  const calls = readFileSync(trace, 'utf8').split('\n')
  let synced = false
  let told = 0
  for (const call of calls) {
    if (/ fdatasync\(.*= 0|fdatasync resumed.*= 0/.test(call)) synced = true
    if (/ write\(1, "\d+\\n"/.test(call)) {
      expect(synced, `told before a sync: ${call}`).toBe(true)
      synced = false
      told++
    }
  }
  expect(told).toBe(5)
})
