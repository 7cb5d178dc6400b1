import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogRecordLine, TaskDocument } from '../../shared/api.ts'
import { LABEL } from '../../shared/labels.ts'
import { BERTH, type Cluster, startCluster } from './berth.ts'
import { assertExactly, snapshot } from './exactly.ts'
import { type Hosts, startHosts } from './hosts.ts'
import { loadImages } from './image.ts'
import { until } from './until.ts'

/** Writes bursts of numbered lines, many in one millisecond, and says farewell when it is asked to stop. */
const TALK = `
i=0
trap 'echo "farewell after $$i"; exit 0' TERM
while :; do
  n=0
  while [ $$n -lt 40 ]; do echo "line $$((i++))"; n=$$((n+1)); done
  sleep 0.1 & wait $$!
done`

const COMPOSE = `
services:
  talker:
    image: bb:1
    pull_policy: never
    command: ["/bin/sh", "-c", ${JSON.stringify(TALK)}]
    deploy: { replicas: 3 }
`

type Follower = ReturnType<typeof follow>

function follow(cluster: Cluster, ...args: string[]) {
  const child = spawn(BERTH, ['logs', '-f', '--json', ...args], { env: cluster.operatorEnv() })
  const byTask = new Map<string, string[]>()
  let rest = ''
  let notes = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) {
      const { task, text } = JSON.parse(part) as LogRecordLine
      byTask.set(task, [...(byTask.get(task) ?? []), text])
    }
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    notes += text
  })
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { byTask, exit, notes: () => notes, end: () => child.kill('SIGKILL') }
}

/** Each life of a container counts from 0, each number once, with a farewell at its end unless it was killed. */
function livesOf(lines: string[]): { lines: number; farewell: boolean; wrong: string[] }[] {
  const lives: { lines: number; farewell: boolean; wrong: string[] }[] = []
  for (const line of lines) {
    const number = /^line (\d+)$/.exec(line)?.[1]
    if (number === '0') lives.push({ lines: 0, farewell: false, wrong: [] })
    const life = lives.at(-1)
    if (life === undefined) throw new Error(`the first line is "${line}"`)
    if (number === undefined && line === `farewell after ${life.lines}`) life.farewell = true
    else if (number === String(life.lines) && !life.farewell) life.lines += 1
    else if (life.wrong.length < 5) life.wrong.push(`"${line}" after ${life.lines} lines`)
  }
  return lives
}

const tasksOf = (cluster: Cluster) => cluster.json<TaskDocument[]>('ps', 'talk_talker')

/** All that the Engines still have of the running containers. */
async function truth(hosts: Hosts): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>()
  for (const container of (await snapshot(hosts.hosts)).values()) {
    const host = hosts.hosts.find(({ name }) => name === container.host)!
    const text = await host.docker('logs', container.id)
    all.set(container.labels[LABEL.task]!, text.trimEnd().split('\n'))
  }
  return all
}

async function heard(follower: Follower, tasks: string[]): Promise<void> {
  await until(() => tasks.every((task) => (follower.byTask.get(task)?.length ?? 0) > 0), 'lines of every task')
}

describe('berth logs over three hosts', () => {
  let hosts: Hosts
  let cluster: Cluster
  beforeAll(async () => {
    hosts = await startHosts({ count: 3 })
    await loadImages(hosts.hosts)
    cluster = await startCluster(hosts)
    const { exit, stderr } = await cluster.deploy('talk', COMPOSE)
    expect(exit, stderr).toBe(0)
  })
  afterAll(() => hosts?.stop())

  test('--tail gives the last lines of each task, --since those of the last moments, in order of time', async () => {
    const tailed = (await cluster.berth('logs', 'talk', '--tail', '3')).stdout.trimEnd().split('\n')
    const byTask = Map.groupBy(tailed, (line) => line.split(' | ')[0]!.trim())
    expect([...byTask.keys()].sort()).toEqual(['talk_talker.1', 'talk_talker.2', 'talk_talker.3'])
    expect([...byTask.values()].map((lines) => lines.length)).toEqual([3, 3, 3])

    const askedAt = Date.now()
    const since = await cluster.berth('logs', 'talk', '--since', '2s', '--json')
    const lines = since.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as LogRecordLine)
    expect(lines.length).toBeGreaterThan(100)
    expect(Math.min(...lines.map(({ at }) => at))).toBeGreaterThanOrEqual(askedAt - 2_000)
    expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => at).toSorted((a, b) => a - b))
    for (const ofTask of Map.groupBy(lines, ({ task }) => task).values()) {
      const numbers = ofTask.map(({ text }) => Number(text.split(' ')[1]))
      expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index))
    }
  })

  test('-f keeps every line of every task once, while tasks come, go, are killed and replaced, and while agents and the coordinator are killed', async () => {
    const follower = follow(cluster, 'talk')
    try {
      await heard(
        follower,
        (await tasksOf(cluster)).map(({ id }) => id),
      )

      expect((await cluster.berth('scale', 'talk_talker=6')).exit).toBe(0)
      const six = (await tasksOf(cluster)).map(({ id }) => id)
      await heard(follower, six)

      const [victim] = await snapshot(hosts.hosts)
      await hosts.hosts.find(({ name }) => name === victim![1].host)!.docker('kill', victim![0])
      const killed = victim![1].labels[LABEL.task]!
      await until(() => livesOf(follower.byTask.get(killed)!).length === 2, 'the killed container to speak again')

      await cluster.agents[0]!.restart('SIGKILL')
      await cluster.coordinator.restart('SIGKILL')
      await cluster.ready()
      await cluster.agents[1]!.restart('SIGKILL')
      await cluster.nodesReady()
      await until(() => follower.notes().includes('(connected again)'), 'the follower to come back')

      expect((await cluster.berth('scale', 'talk_talker=2')).exit).toBe(0)
      const two = (await tasksOf(cluster)).map(({ id }) => id)
      const ended = six.filter((id) => !two.includes(id))
      const lastOf = (id: string) => livesOf(follower.byTask.get(id)!).at(-1)!
      await until(() => ended.every((id) => lastOf(id).farewell), 'the last words of the four that were stopped')

      const changed = await cluster.deploy(
        'talk',
        COMPOSE.replace('bb:1', 'bb:2').replace('replicas: 3', 'replicas: 2'),
      )
      expect(changed.exit, changed.stderr).toBe(0)
      await until(() => two.every((id) => lastOf(id).farewell), 'the last words of the two that were replaced')
      const replaced = (await tasksOf(cluster)).map(({ id }) => id)
      expect(replaced.filter((id) => two.includes(id))).toEqual([])
      await heard(follower, replaced)

      const written = await truth(hosts)
      const hasAll = () => [...written].every(([id, lines]) => follower.byTask.get(id)!.length >= lines.length)
      await until(hasAll, 'all that the Engines have')
      for (const [id, lines] of written) expect(follower.byTask.get(id)!.slice(0, lines.length)).toEqual(lines)

      const lives = new Map([...follower.byTask].map(([id, lines]) => [id, livesOf(lines)]))
      expect([...lives.keys()].sort()).toEqual([...six, ...replaced].sort())
      for (const [id, each] of lives) {
        expect(
          each.flatMap(({ wrong }) => wrong),
          `lines of ${id}`,
        ).toEqual([])
        expect(each.length, `lives of ${id}`).toBe(id === killed ? 2 : 1)
      }

      expect((await cluster.berth('rm', 'talk')).exit).toBe(0)
      expect(await follower.exit).toBe(0)
      expect(follower.notes()).toContain('(nothing is left of talk)')
      for (const id of replaced) expect(lastOf(id), id).toMatchObject({ farewell: true, wrong: [] })
    } finally {
      follower.end()
    }
  })

  test('-f follows tasks that move to other hosts, says which node it hears nothing of, and goes on with it when it is back', async () => {
    const { exit, stderr } = await cluster.deploy('talk', COMPOSE)
    expect(exit, stderr).toBe(0)
    const follower = follow(cluster, 'talk_talker')
    const [plugged, unplugged] = [hosts.hosts[0]!, hosts.hosts[2]!]
    try {
      const first = await tasksOf(cluster)
      await heard(
        follower,
        first.map(({ id }) => id),
      )
      const away = first.filter(({ node }) => node === unplugged.name).map(({ id }) => id)
      const stay = first.find(({ node }) => node === plugged.name)!.id
      expect(away.length).toBeGreaterThan(0)

      await unplugged.unplug()
      await until(() => follower.notes().includes(`(no lines from ${unplugged.name}: not connected)`), 'the word of it')
      const moved = async () => {
        const tasks = (await tasksOf(cluster)).filter(({ node }) => node !== unplugged.name && node !== null)
        const added = tasks.map(({ id }) => id).filter((id) => !first.some((task) => task.id === id))
        return added.length === away.length ? added : null
      }
      const successors = await until(moved, 'the tasks to be placed elsewhere')
      await heard(follower, successors)

      await unplugged.plug()
      await cluster.nodesReady()
      await assertExactly(hosts.hosts, { talk_talker: 3 })
      const count = follower.byTask.get(stay)!.length
      await until(() => follower.byTask.get(stay)!.length > count + 100, 'more lines of a task that was never away')
      // Of the stack of that name which is gone, lines are kept, too.
      const own = new Set([...first, ...(await tasksOf(cluster))].map(({ id }) => id))
      for (const [id, lines] of follower.byTask) {
        if (!own.has(id)) continue
        const lives = livesOf(lines)
        expect([lives.length, lives.flatMap(({ wrong }) => wrong)], `lines of ${id}`).toEqual([1, []])
      }
    } finally {
      follower.end()
      await cluster.berth('rm', 'talk')
    }
  })
})
