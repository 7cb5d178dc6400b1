import { readdir, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reportLines } from '../../cli/commands/record.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { aJournal } from '../build/recording.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

async function berth(server: ApiServer, ...args: string[]) {
  return run(BERTH, args, { env: await server.env(), limitMs: 30_000 })
}

const compose = 'services: { web: { image: "example/web:1", deploy: { replicas: 5 } } }\n'

async function aServerWithHistory(): Promise<{ server: ApiServer; dir: string }> {
  const { journal } = await aJournal()
  const server = await anApiServer(['n1', 'n2'], { journal })
  const dir = await temporaryFolder()
  await writeFile(join(dir, 'compose.yaml'), compose)
  expect((await berth(server, 'deploy', '-f', join(dir, 'compose.yaml'), '--stack', 'shop')).exit).toBe(0)
  return { server, dir }
}

test('berth record keeps a private file, and berth replay comes to each decision again without a coordinator', async () => {
  const { server, dir } = await aServerWithHistory()
  const file = join(dir, 'now.recording')
  const recorded = await berth(server, 'record', '--output', file)
  expect([recorded.exit, recorded.stderr]).toEqual([0, expect.stringContaining('berth replay')])
  expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600')

  const again = await berth(server, 'record', '--output', file)
  expect([again.exit, again.stderr]).toEqual([2, expect.stringContaining(`${file} is there already`)])
  await server.close()

  const { exit, stdout } = await berth(server, 'replay', file)
  expect([exit, stdout]).toEqual([0, expect.stringMatching(/✓ \d+ decisions in \d+ beats: each was come to again/)])
  const {
    kind,
    replayed,
    recorded: real,
  } = JSON.parse((await berth(server, 'replay', file, '--policy', 'spread', '--json')).stdout)
  expect(kind).toBe('other')
  expect(replayed.placements).toBe(real.placements)
})

test('a recording that was cut off is not said to be judged whole', async () => {
  const { server, dir } = await aServerWithHistory()
  const file = join(dir, 'cut.recording')
  expect((await berth(server, 'record', '--output', file)).exit).toBe(0)
  await server.close()
  await truncate(file, (await stat(file)).size - 10)
  const { exit, stdout } = await berth(server, 'replay', file)
  expect([exit, stdout]).toEqual([1, expect.stringMatching(/✗ the last \d+ (B|KiB) of the file cannot be read/)])
  expect(stdout).toContain('2 nodes')
})

test('without a file berth replay takes what the coordinator has now, and leaves nothing behind', async () => {
  const { server } = await aServerWithHistory()
  const TMPDIR = await temporaryFolder()
  const { exit, stdout } = await run(BERTH, ['replay'], { env: { ...(await server.env()), TMPDIR }, limitMs: 30_000 })
  expect([exit, stdout]).toEqual([0, expect.stringContaining('each was come to again')])
  expect(await readdir(TMPDIR)).toEqual([])
})

test('what cannot be recorded or replayed is said in a sentence, and nothing is left half done', async () => {
  const server = await anApiServer()
  const dir = await temporaryFolder()
  const none = await berth(server, 'record', '--output', join(dir, 'x.recording'))
  expect([none.exit, none.stderr]).toEqual([1, expect.stringContaining('keeps no journal')])
  expect(await readdir(dir)).toEqual([])
  await writeFile(join(dir, 'compose.yaml'), compose)
  const wrong = await berth(server, 'replay', join(dir, 'compose.yaml'))
  expect([wrong.exit, wrong.stderr]).toEqual([2, expect.stringContaining('is not a recording of Berth')])
  const nowhere = await berth(server, 'record', '--output', join(dir, 'no/such/folder'))
  expect(nowhere.exit).not.toBe(0)
  expect(await readdir(dir)).toEqual(['compose.yaml'])
})

test('a replay by another policy stands beside what was recorded', () => {
  const tally = {
    placements: 41,
    stopped: 3,
    refusals: {},
    waitingMs: 0,
    nodesUsed: 3,
    peakCpu: { share: 0.71, node: 'web-2' },
    peakMemory: { share: 0.4, node: 'web-1' },
  }
  const lines = reportLines(
    {
      kind: 'other',
      policy: 'binpack',
      comparedFrom: '2026-11-23T12:00:00.000Z',
      recording: {
        cluster: 'berth-7f3a',
        versions: ['0.1.0'],
        from: '2026-11-23T12:00:00.000Z',
        to: '2026-11-23T12:12:04.000Z',
        durationMs: 724_000,
        segments: 2,
        gaps: 0,
        bytesUnreadable: 0,
        nodes: 3,
        policy: 'spread',
      },
      recorded: tally,
      replayed: {
        ...tally,
        nodesUsed: 2,
        refusals: { memory: 2 },
        waitingMs: 84_000,
        peakCpu: { share: 0.93, node: 'web-1' },
      },
      placedInBoth: 41,
      placedElsewhere: 23,
      changesRefused: 0,
    },
    100,
  )
  expect(lines).toEqual([
    'berth-7f3a  12 min 4 s until 2026-11-23T12:12:04.000Z, 3 nodes',
    '                                  as recorded (spread)  with binpack',
    'tasks placed                      41                    41',
    'on another node than recorded                           23 of 41',
    'tasks stopped                     3                     3',
    'nodes with tasks, at most         3                     2',
    'peak CPU of a node                71 % (web-2)          93 % (web-1)',
    'peak memory of a node             40 % (web-1)          40 % (web-1)',
    'tasks that had to wait, by check  none                  memory 2',
    'waiting, all tasks together       0.0 s                 84 s',
  ])
})
