import { readdirSync, readFileSync, statSync } from 'node:fs'
import { appendFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FORMAT, readSegments, type Segment } from '../../../coordinator/journal/format.ts'
import { reproduce } from '../../../coordinator/replay/reproduce.ts'
import { aCluster, run } from '../../build/cluster.ts'
import { aJournal, bytesOf, deploy, journalIn, live } from '../../build/recording.ts'

const KiB = 1024

const segmentsOf = (bytes: Buffer): Segment[] => [...readSegments(bytes, 'test')].map((segment) => segment)

/** Each segment judged again while it is read. */
function reproduceAll(bytes: Buffer) {
  const results = []
  for (const segment of readSegments(bytes, 'test'))
    results.push({ follows: segment.header.follows, ...reproduce(segment) })
  return results
}

test('every recorded decision is come to again', async () => {
  const { journal } = await aJournal()
  const cluster = aCluster(['n1', 'n2', 'n3'], { recorder: journal })
  live(cluster)
  const [only, ...others] = reproduceAll(await bytesOf(journal))
  expect(others).toEqual([])
  expect(only?.differing).toBeNull()
  // All but those of the very first beat, before which nothing was recorded.
  expect(only?.decisions).toBe(cluster.decided.length)
  expect(only?.decisions).toBeGreaterThan(50)
})

test('recording changes nothing: the same acts lead to the same decisions without it', async () => {
  const [recorded, plain] = [{ recorder: (await aJournal()).journal }, {}].map((options) => {
    const cluster = aCluster(['n1', 'n2', 'n3'], options)
    live(cluster)
    return cluster.decided
  })
  expect(recorded).toEqual(plain)
})

test('a decision that comes out otherwise is found, with both', async () => {
  const { journal } = await aJournal()
  const cluster = aCluster(['n1', 'n2', 'n3'], { recorder: journal })
  live(cluster)
  for (const segment of readSegments(await bytesOf(journal), 'test')) {
    const entries = [...segment.entries]
    const altered = entries.find((entry) => 'decision' in entry && entry.decision.kind === 'place-task')
    if (!altered || !('decision' in altered) || altered.decision.kind !== 'place-task')
      throw new Error('none was placed')
    altered.decision.node = 'n9'
    const { differing } = reproduce({ ...segment, entries })
    expect(differing?.recorded).toContainEqual(altered.decision)
    expect(differing?.replayed.map((each) => each.kind)).toEqual(differing?.recorded.map((each) => each.kind))
  }
})

test('what is kept is bounded: the oldest goes, and what is left can be replayed', async () => {
  const { journal, dir } = await aJournal(32 * KiB)
  const cluster = aCluster(['n1', 'n2', 'n3'], { recorder: journal })
  for (let round = 0; round < 12; round += 1) {
    live(cluster)
    // What is waiting is written, so that segments become full.
    await journal.read()
  }
  const bytes = await bytesOf(journal)
  const onDisk = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0)
  expect(onDisk).toBe(bytes.length)
  // A segment is closed once it is over its share, so each may be over it by what was waiting.
  expect(onDisk).toBeLessThan(2 * 32 * KiB)
  const results = reproduceAll(bytes)
  expect(results.length).toBeGreaterThan(2)
  expect(results.map(({ differing }) => differing)).toEqual(results.map(() => null))
  expect(results.map(({ follows }) => follows)).toEqual(results.map(() => true))
})

test('no entry is missing between two segments', async () => {
  const { journal } = await aJournal(32 * KiB)
  const cluster = aCluster(['n1', 'n2', 'n3'], { recorder: journal })
  for (let round = 0; round < 3; round += 1) {
    live(cluster)
    await journal.read()
  }
  let decisions = 0
  for (const { entries } of readSegments(await bytesOf(journal), 'test')) {
    for (const entry of entries) if ('decision' in entry) decisions += 1
  }
  expect(decisions).toBe(cluster.decided.length)
})

test('what a crash has torn off is left out, and the next segment does not follow it', async () => {
  const { journal, dir } = await aJournal()
  live(aCluster(['n1', 'n2', 'n3'], { recorder: journal }))
  await journal.close()
  const [name] = readdirSync(dir)
  const path = join(dir, name!)
  const whole = reproduceAll(readFileSync(path))
  await truncate(path, statSync(path).size - 3)
  const [torn] = reproduceAll(readFileSync(path))
  expect(torn?.differing).toBeNull()
  expect(torn!.decisions).toBeLessThan(whole[0]!.decisions)
  await appendFile(path, readFileSync(path))
  expect(reproduceAll(readFileSync(path)).map(({ follows, decisions }) => ({ follows, decisions }))).toEqual([
    { follows: false, decisions: torn!.decisions },
    { follows: false, decisions: torn!.decisions },
  ])
})

test('a coordinator that starts again goes on in another segment, which does not follow', async () => {
  const { journal, dir } = await aJournal()
  live(aCluster(['n1', 'n2', 'n3'], { recorder: journal }))
  await journal.close()
  const second = journalIn(dir, '1.2.4')
  live(aCluster(['n1', 'n2'], { recorder: second }))
  expect(segmentsOf(await bytesOf(second)).map(({ header }) => [header.version, header.follows])).toEqual([
    ['1.2.3', false],
    ['1.2.4', false],
  ])
})

test('when the world was replaced a new picture is taken at the next beat', async () => {
  const { journal } = await aJournal()
  const cluster = aCluster(['n1', 'n2', 'n3'], { recorder: journal })
  live(cluster)
  journal.lost()
  deploy(cluster, { other: { replicas: 2 } })
  run(cluster, 3_000)
  const results = reproduceAll(await bytesOf(journal))
  expect(results.map(({ differing }) => differing)).toEqual(results.map(() => null))
  expect(journal.stats().gaps).toBe(1)
})

test.each([
  ['not a recording', Buffer.from('version: "3"\nservices: {}\n'), /^test is not a recording of Berth; `berth record`/],
  ['binary that is none', Buffer.from([0x1f, 0x8b, 0x0a, 0x00]), /is not a recording of Berth/],
  [
    'one of another format',
    Buffer.from('{"berth":"recording","format":99,"version":"7.0.0","cluster":"c","startedAt":1,"follows":false}\n'),
    new RegExp(`format 99, made by Berth 7.0.0; this Berth replays format ${FORMAT}`),
  ],
])('%s is refused with a sentence', (_what, bytes, message) => {
  expect(() => segmentsOf(bytes)).toThrow(message)
})
