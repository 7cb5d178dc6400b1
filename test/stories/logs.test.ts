/** What containers print is kept: each line once and in order, whatever is killed, and when nothing of the container is left. */
import { spawn } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { lastNumber, printingService, untoldLines, verdictOf } from '../../bench/logs/numbered.ts'
import type { LogRecordLine } from '../../shared/api.ts'
import { LABEL } from '../../shared/labels.ts'
import { BERTH, type Cluster } from '../engines/berth.ts'
import { type Placed, snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { BUSYBOX } from '../engines/image.ts'
import { must, pause } from '../engines/processes.ts'
import { until } from '../engines/until.ts'
import { deployed, heal, type Scene, shareScene, succeeded } from './trouble.ts'

let scene: Scene
let cluster: Cluster
let host: Host
shareScene((made) => {
  scene = made
  cluster = made.cluster
  host = made.host
})

const LINES = 20_000
/** Bursts of a hundred lines, so many in all, then silence. */
const COUNT = `i=0; while [ $$i -lt ${LINES} ]; do n=0; while [ $$n -lt 100 ]; do echo "line $$i of a service that prints a good deal"; i=$$((i+1)); n=$$((n+1)); done; sleep 0.05; done`

function printing(replicas: number, script: string, options: string): string {
  return `services:
  web:
    image: ${BUSYBOX}
    pull_policy: never
    stop_grace_period: 1s
    command: ["/bin/sh", "-c", ${JSON.stringify(script)}]
    deploy: { replicas: ${replicas} }
    logging: ${options}
`
}

async function kept(target: string, ...args: string[]): Promise<Map<string, string[]>> {
  // More than a command's kept output.
  const child = spawn(BERTH, ['logs', target, '--json', ...args], { env: cluster.operatorEnv() })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  child.stderr.resume()
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
  const lines = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as LogRecordLine]))
  const byTask = Map.groupBy(lines, ({ task }) => task)
  return new Map([...byTask].map(([task, own]) => [task, own.map(({ text }) => text)]))
}

const numbered = Array.from({ length: LINES }, (_, index) => `line ${index} of a service that prints a good deal`)

const allKept = (service: string) =>
  until(async () => {
    const byTask = await kept(service)
    const counts = [...byTask.values()].map((lines) => lines.length)
    if (counts.length < 3 || counts.some((count) => count < LINES)) throw new Error(`${counts} lines are kept`)
    return byTask
  }, 'all lines to be kept')

test('agents and the coordinator are killed while small files rotate: no line is lost, none comes twice, all in order', async () => {
  const script = `${COUNT}; while :; do sleep 1000 & wait $$!; done`
  await deployed(
    cluster,
    'talk',
    printing(3, script, '{ driver: json-file, options: { max-size: 200k, max-file: "10" } }'),
  )
  for (let round = 0; round < 3; round++) {
    await pause(1_000)
    await cluster.agents[round]!.restart('SIGKILL')
    await pause(1_000)
    await cluster.coordinator.restart('SIGKILL')
  }
  await cluster.ready()
  await cluster.nodesReady()
  const all = await allKept('talk_web')
  expect(all.size).toBe(3)
  for (const lines of all.values()) expect(lines).toEqual(numbered)
})

test('what the Engine has compressed while no agent was there is read all the same', async () => {
  const options = '{ driver: json-file, options: { max-size: 100k, max-file: "60", compress: "true" } }'
  await deployed(cluster, 'packed', printing(3, `${COUNT}; while :; do sleep 1000 & wait $$!; done`, options))
  await pause(1_000)
  await Promise.all(cluster.agents.map((agent) => agent.kill('SIGKILL')))
  const [id, { host: name }] = [...(await snapshot(cluster.hosts))][0]!
  const own = cluster.hosts.find((each) => each.name === name)!
  const folder = dirname((await own.docker('inspect', '--format', '{{.LogPath}}', id)).trim())
  const packed = () => readdirSync(folder).filter((file) => file.endsWith('.gz')).length
  const before = packed()
  await until(async () => packed() >= before + 3, 'the Engine to compress three files')
  for (const agent of cluster.agents) await agent.start()
  await cluster.nodesReady()
  const all = await allKept('packed_web')
  expect(all.size).toBe(3)
  for (const lines of all.values()) expect(lines).toEqual(numbered)
  const { stdout } = await cluster.berth('events', '--limit', '200')
  expect(stdout.split('\n').filter((line) => /packed_web.*may be missing/.test(line))).toEqual([])
})

test('through files that hold a tenth of a second: none twice, all in order, and what the Engine threw away is told', async () => {
  const logging = '{ driver: json-file, options: { max-size: 500k, max-file: "3" } }'
  const lines = 20_000
  await deployed(cluster, 'fast', printingService(lines, 100, logging))
  await pause(1_000)
  await cluster.coordinator.restart('SIGKILL')
  await cluster.ready()
  const [[, { host: name }]] = [...(await snapshot(cluster.hosts))] as [[string, Placed]]
  const agent = cluster.agents.find((each) => each.name === name)!
  await agent.restart('SIGKILL')
  await cluster.nodesReady()
  await until(async () => (await lastNumber(cluster, 'fast_web')) === lines - 1, 'the last line to be kept')
  const verdict = await verdictOf(cluster, 'fast_web')
  expect(verdict).toMatchObject({ doubled: 0, disordered: 0 })
  expect(verdict.lines + verdict.lost).toBe(lines)
  expect(await untoldLines(cluster, verdict)).toBe(0)
})

test('lines of a megabyte, empty ones and such as are no text are kept as the Engine has them', async () => {
  const script = `awk 'BEGIN { for (i = 0; i < 65536; i++) printf "%015d ", i; print "" }'; echo; printf 'a\\377\\376\\200z\\n'; printf '\\303'; echo`
  await deployed(
    cluster,
    'odd',
    printing(1, `${script}; while :; do sleep 1000 & wait $$!; done`, '{ driver: json-file }'),
  )
  const [[id, { host: name }]] = [...(await snapshot(cluster.hosts))] as [[string, Placed]]
  const own = cluster.hosts.find((each) => each.name === name)!
  await until(async () => {
    const written = (await own.docker('logs', id)).replaceAll('\n', '')
    if (!written.endsWith('\ufffd')) throw new Error('the container is writing')
    expect(written.length).toBeGreaterThan(1024 * 1024)
    const lines = [...(await kept('odd_web')).values()].flat()
    if (lines.join('') !== written) throw new Error(`${lines.join('').length} of ${written.length} characters`)
    return true
  }, 'all of it to be kept')
})

test('the disk of the coordinator is full: it says so, takes nothing, and has every line once there is room', async () => {
  const dir = join(cluster.coordinatorDir, 'logs')
  await cluster.coordinator.kill('SIGKILL')
  await must('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=0700', 'tmpfs', dir])
  try {
    const ballast = join(dir, '.ballast')
    await must('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1k', 'count=1900', 'status=none'])
    await cluster.coordinator.start()
    await cluster.ready()
    await cluster.nodesReady()
    await deployed(
      cluster,
      'full',
      printing(3, `${COUNT}; while :; do sleep 1000 & wait $$!; done`, '{ driver: json-file }'),
    )
    const isFull = async () => /^berth_logs_full 1$/m.test((await cluster.request('GET', '/metrics')).text)
    await until(isFull, 'the coordinator to say that it takes no lines')
    rmSync(ballast)
    for (const lines of (await allKept('full_web')).values()) expect(lines).toEqual(numbered)
    expect(await isFull()).toBe(false)
  } finally {
    await cluster.coordinator.kill('SIGKILL')
    // The Engines of the hosts have it in their namespaces, too.
    await must('umount', ['--lazy', dir])
    await cluster.coordinator.start()
  }
})

test('an Engine that is killed and comes back: what it has written is kept once', async () => {
  const script = 'i=0; while :; do echo "line $$i"; i=$$((i+1)); sleep 0.01; done'
  await deployed(cluster, 'talk', printing(3, script, '{ driver: json-file }'))
  await pause(1_500)
  await host.killEngine()
  await pause(500)
  await heal(scene)
  await pause(1_500)
  for (const [id, { labels, host: name }] of await snapshot(cluster.hosts)) {
    const own = cluster.hosts.find((each) => each.name === name)!
    const written = (await own.docker('logs', id)).trimEnd().split('\n')
    // The container may have run again after its Engine's death; the task may have had another one before it.
    const runs = written.filter((line) => line === 'line 0').length
    const asMany = await until(async () => {
      const lines = (await kept('talk_web')).get(labels[LABEL.task]!) ?? []
      const starts = lines.flatMap((line, index) => (line === 'line 0' ? [index] : []))
      const own = lines.slice(starts.at(-runs)).slice(0, written.length)
      if (own.length < written.length) throw new Error(`${own.length} of ${written.length} lines are kept`)
      return own
    }, 'as many lines to be kept')
    expect(asMany).toEqual(written)
  }
})

test('a container that is removed right after its last line, and a stack that has gone, can be read still', async () => {
  const script = `trap 'echo the very last line; exit 0' TERM; echo begins; while :; do sleep 1000 & wait $$!; done`
  await deployed(cluster, 'talk', printing(3, script, '{ driver: json-file }'))
  succeeded(await cluster.berth('rm', 'talk'))
  await until(async () => (await snapshot(cluster.hosts)).size === 0, 'no container to be left')
  const last = await kept('talk', '--grep', 'very last')
  expect([...last.values()].flat().filter((text) => text === 'the very last line').length).toBeGreaterThanOrEqual(3)
})

test('a log driver without files is read through the Engine, and one that keeps nothing is said once', async () => {
  const script = 'for i in 1 2 3 4 5; do echo "line $$i"; done; while :; do sleep 1000 & wait $$!; done'
  await deployed(cluster, 'local', printing(1, script, '{ driver: local }'))
  await until(async () => {
    const lines = [...(await kept('local_web')).values()].flat()
    if (lines.length < 5) throw new Error(`${lines.length} lines are kept`)
    expect(lines).toEqual([1, 2, 3, 4, 5].map((number) => `line ${number}`))
    return true
  }, 'the lines to be kept')
  await deployed(cluster, 'mute', printing(1, script, '{ driver: none }'))
  await until(async () => {
    const { stdout } = await cluster.berth('events', '--limit', '50')
    if (!stdout.includes('nothing that mute_web')) throw new Error(stdout)
    expect(stdout.split('nothing that mute_web').length).toBe(2)
    return true
  }, 'the notice')
})
