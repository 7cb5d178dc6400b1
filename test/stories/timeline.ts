/**
 * How many containers of a service ran, and were healthy, at every moment of a story: read from the Engines' own events, all
 * by one clock, since looking at several hosts one after the other sees things that never were.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { LABEL } from '../../shared/labels.ts'
import { snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { until } from '../engines/until.ts'

export type Range = { least: number; most: number }
export type Timeline = {
  running: Range
  healthy: Range
  /** Containers that were started while it was watched. */
  started: number
}

/**
 * Begins to watch; `stop` gives what was seen since, up to what is so by then: it waits until the events lead there.
 * `service` is its full name.
 */
export async function watch(hosts: Host[], service: string): Promise<{ stop(): Promise<Timeline> }> {
  const since = (Date.now() / 1000).toFixed(3)
  const streams = hosts.map((host) => followEvents(host, service, since))
  const first = await standing(hosts, service)
  return {
    async stop() {
      try {
        return await until(async () => {
          const now = await standing(hosts, service)
          const { seen, last } = replay(
            streams.flatMap(({ text }) => readEvents(text())),
            first,
          )
          if (!sameStanding(last, now)) throw new Error('the Engines have not told all of it yet')
          return seen
        }, `what became of the containers of ${service} to be told`)
      } finally {
        for (const { child } of streams) child.kill()
      }
    },
  }
}

/** Ids of those that run, and of those that are healthy. */
type Standing = { running: ReadonlySet<string>; healthy: ReadonlySet<string> }
type EngineEvent = { id: string; action: string; timeNano: number }

async function standing(hosts: Host[], service: string): Promise<Standing> {
  const now = [...(await snapshot(hosts)).values()].filter((one) => one.service === service)
  const running = now.filter(({ state }) => state === 'running')
  const healthy = running.filter(({ health }) => health === 'healthy')
  return { running: new Set(running.map(({ id }) => id)), healthy: new Set(healthy.map(({ id }) => id)) }
}

function sameStanding(a: Standing, b: Standing): boolean {
  const same = (one: ReadonlySet<string>, other: ReadonlySet<string>) => one.symmetricDifference(other).size === 0
  return same(a.running, b.running) && same(a.healthy, b.healthy)
}

function replay(events: EngineEvent[], first: Standing): { seen: Timeline; last: Standing } {
  const running = new Set(first.running)
  const healthy = new Set(first.healthy)
  const seen: Timeline = { running: rangeOf(running.size), healthy: rangeOf(healthy.size), started: 0 }
  for (const { id, action } of events.toSorted((a, b) => a.timeNano - b.timeNano)) {
    if (action === 'start') {
      running.add(id)
      seen.started += 1
    }
    if (action === 'die') running.delete(id)
    if (action === 'health_status: healthy') healthy.add(id)
    else if (action !== 'start') healthy.delete(id)
    widen(seen.running, running.size)
    widen(seen.healthy, healthy.size)
  }
  return { seen, last: { running, healthy } }
}

const rangeOf = (count: number): Range => ({ least: count, most: count })

function widen(range: Range, count: number): void {
  range.least = Math.min(range.least, count)
  range.most = Math.max(range.most, count)
}

function followEvents(host: Host, service: string, since: string): { child: ChildProcess; text(): string } {
  const filters = [`label=${LABEL.service}=${service}`, 'event=start', 'event=die', 'event=health_status']
  const child = spawn('docker', [
    ...['-H', host.dockerHost, 'events', '--since', since, '--format', '{{json .}}'],
    ...filters.flatMap((filter) => ['--filter', filter]),
  ])
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return { child, text: () => text }
}

function readEvents(text: string): EngineEvent[] {
  const lines = text.split('\n').filter((line) => line.endsWith('}'))
  return lines
    .map((line) => JSON.parse(line) as { Action: string; Actor: { ID: string }; timeNano: number })
    .map(({ Action, Actor, timeNano }) => ({ id: Actor.ID, action: Action, timeNano }))
}
