/**
 * How many containers of a service ran, and were healthy, at every moment of a story: read from the Engines' own events, all
 * by one clock, since looking at several hosts one after the other sees things that never were.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { LABEL } from '../../shared/labels.ts'
import { snapshot } from '../engines/exactly.ts'
import type { Host } from '../engines/hosts.ts'
import { pause } from '../engines/processes.ts'

export type Range = { least: number; most: number }
export type Timeline = {
  running: Range
  healthy: Range
  /** Containers that were started while it was watched. */
  started: number
}

/** The Engine tells of what happened within a fraction of this. */
const FLUSH_MS = 300

/** Begins to watch; `stop` gives what was seen since. `service` is its full name. */
export async function watch(hosts: Host[], service: string): Promise<{ stop(): Promise<Timeline> }> {
  const since = (Date.now() / 1000).toFixed(3)
  const streams = hosts.map((host) => followEvents(host, service, since))
  const now = [...(await snapshot(hosts)).values()].filter((one) => one.service === service)
  const running = new Set(now.filter(({ state }) => state === 'running').map(({ id }) => id))
  const healthy = new Set(now.filter(({ health }) => health === 'healthy').map(({ id }) => id))
  return {
    async stop() {
      await pause(FLUSH_MS)
      for (const { child } of streams) child.kill()
      return replay(
        streams.flatMap(({ text }) => readEvents(text())),
        running,
        healthy,
      )
    },
  }
}

type EngineEvent = { id: string; action: string; timeNano: number }

function replay(events: EngineEvent[], running: Set<string>, healthy: Set<string>): Timeline {
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
  return seen
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
