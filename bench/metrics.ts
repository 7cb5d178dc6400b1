/** What the metrics store takes in, what a sample costs on the disk, and how soon a week of a service is drawn. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MetricsStore, openMetricsStore } from '../coordinator/metrics-store/metrics-store.ts'
import { askMetrics } from '../coordinator/metrics-store/query.ts'
import type { SubjectFacts } from '../coordinator/metrics-store/subjects.ts'
import { chanceFrom } from '../test/build/chance.ts'
import { option } from './options.ts'
import type { Bench } from './report.ts'

const TASKS = option('tasks', 100)
const SECONDS = option('seconds', 3600)
const DRAWN = 9
const DAY = 86_400
const START = 1_790_000_000 - (1_790_000_000 % DAY)
const MIB = 1024 * 1024

export const bench: Bench = {
  about: `the metrics store: ${TASKS} tasks for ${SECONDS} s at a point a second, then a week of them`,
  async run({ report, say }) {
    const dir = mkdtempSync(join(tmpdir(), 'berth-bench-metrics-'))
    try {
      say('an hour at full rate')
      const { samples, seconds, bytes } = await fill(join(dir, 'hour'))
      report({ metric: 'samples in', value: samples / seconds, unit: 'per second', goal: { atLeast: 500_000 } })
      report({
        metric: 'a sample on the disk, at full rate',
        value: bytes / samples,
        unit: 'bytes',
        goal: { atMost: 2 },
      })
      say('a week')
      const { medianMs, coldMs, points } = await drawWeek(join(dir, 'week'))
      report({
        metric: `a week of ${TASKS} tasks' CPU (${points} points), first`,
        value: coldMs,
        unit: 'ms',
        goal: { atMost: 100 },
      })
      report({ metric: `the same again, median of ${DRAWN}`, value: medianMs, unit: 'ms', goal: { atMost: 100 } })
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  },
}

type Load = [name: string, value: number][]

/**
 * Busy tasks as they are measured: CPU and network that are never twice the same, memory that grows page by page and is given back,
 * processes that come and go.
 */
function tasks() {
  const chance = chanceFrom(7)
  return Array.from({ length: TASKS }, (_, i) => {
    const facts: SubjectFacts = {
      kind: 'task',
      id: `t${i}`,
      name: `shop_web.${i}`,
      service: 'shop_web',
      stack: 'shop',
      node: `n${i % 10}`,
    }
    let cores = 0.1 + chance()
    let memory = 200 * MIB
    let processes = 12
    return {
      facts,
      load(): Load {
        cores = Math.max(0.005, Math.min(4, cores + (chance() - 0.5) * 0.05))
        memory = chance() < 0.01 ? 200 * MIB : memory + Math.floor(chance() * 16) * 4096
        if (chance() < 0.1) processes = 10 + Math.floor(chance() * 6)
        return [
          ['cpu', cores * (0.97 + chance() * 0.06)],
          ['memory', memory],
          ['memory-limit', 512 * MIB],
          ['network-receive', 50_000 * cores * (0.9 + chance() * 0.2)],
          ['network-send', 120_000 * cores * (0.9 + chance() * 0.2)],
          ['throttled', 0],
          ['processes', processes],
          ['restarts', 0],
        ]
      },
    }
  })
}

async function fill(dir: string) {
  const store = await open(dir)
  const all = tasks()
  // What makes the loads is not what is measured.
  const minute = Array.from({ length: 60 }, () => all.map(({ load }) => load()))
  let seconds = 0
  for (let second = START; second < START + SECONDS; second++) {
    const loads = minute[second % 60]!
    const began = performance.now()
    for (const [i, { facts }] of all.entries()) store.append(facts, second, loads[i]!)
    if (second % 60 === 0) await store.written()
    seconds += (performance.now() - began) / 1000
    if (second % 60 === 0) {
      for (const [i, { load }] of all.entries()) for (const one of minute) one[i] = load()
    }
  }
  const began = performance.now()
  await store.close()
  seconds += (performance.now() - began) / 1000
  return { samples: TASKS * SECONDS * 8, seconds, bytes: sizeOf(join(dir, 'full')) }
}

async function drawWeek(dir: string) {
  const store = await open(dir)
  const all = tasks()
  const end = START + 7 * DAY
  for (let second = START; second < end; second += 30) {
    for (const { facts, load } of all) store.append(facts, second, load())
    if (second % 3600 === 0) await store.written()
  }
  await store.close()
  const again = await open(dir)
  const times: number[] = []
  let points = 0
  for (let i = 0; i <= DRAWN; i++) {
    const began = performance.now()
    const { lines } = await askMetrics(
      again,
      {
        metric: 'cpu',
        service: 'shop_web',
        from: START,
        to: end,
        stepSeconds: 1800,
        reduce: { kind: 'mean' },
        by: 'task',
      },
      end * 1000,
    )
    times.push(performance.now() - began)
    points = lines.reduce((sum, line) => sum + line.points.filter((point) => point !== null).length, 0)
  }
  if (points !== TASKS * 336) throw new Error(`${points} points were drawn, not ${TASKS * 336}`)
  await again.close()
  const [coldMs, ...warm] = times as [number, ...number[]]
  return { coldMs, medianMs: warm.sort((a, b) => a - b)[Math.floor(warm.length / 2)]!, points }
}

function open(dir: string): Promise<MetricsStore> {
  const log = { debug() {}, info() {}, warn: console.error, error: console.error }
  return openMetricsStore({ dir, bytesMax: 4e9, seriesMax: 1_000_000, log })
}

function sizeOf(dir: string): number {
  return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0)
}
