/** Whatever an Engine, a container or a host says: what the agent makes of it passes the door of the coordinator. */
import { describe, expect, test } from 'vitest'
import { observe, taskError } from '../../agent/decide/observe.ts'
import { createReadInventory } from '../../agent/host/inventory.ts'
import { Outbox } from '../../agent/link/outbox.ts'
import { Reporter } from '../../agent/reporter.ts'
import { systemClock } from '../../shared/clock.ts'
import { LineJoiner } from '../../shared/json-log.ts'
import { decodeUp, encode } from '../../shared/wire/codec.ts'
import type { UpMessage } from '../../shared/wire/up.ts'
import { aContainer, aPicture } from '../build/container.ts'
import { anInventory } from '../build/world.ts'

/** Of emoji, so that any cut at an odd place leaves half of one; beginning with a half. */
const awkward = (chars: number) => `\ude00${'😀'.repeat(chars / 2)}`

function passes(message: UpMessage): void {
  const decoded = decodeUp(encode(message))
  expect(decoded.ok ? 'passes' : decoded.reason).toBe('passes')
}

const observation = {
  kind: 'observation' as const,
  full: false,
  revision: 1,
  at: 1,
  gone: [] as string[],
} satisfies Partial<UpMessage>
const engine = { state: 'up' as const }

describe('however long and ill-formed it is', () => {
  test.each([4_095, 4_096, 4_097, 50_000])('the error of a task, of %i characters', (chars) => {
    const error = taskError('failed', awkward(chars))
    const task = { task: 't', spec: 's', attempt: 1, state: 'failed' as const, since: 1, error }
    passes({ ...observation, engine, tasks: [task] })
  })

  test.each([4_095, 4_097, 50_000])('the output of a health test, of %i characters', (chars) => {
    const container = aContainer({ state: 'running', health: 'unhealthy', healthMessage: awkward(chars) })
    const seen = observe(aPicture({ containers: [container] }), null, null, 1)
    expect(seen?.healthMessage?.length).toBeGreaterThan(4_000)
    passes({ ...observation, engine, tasks: [seen!] })
  })

  test('the reason why an Engine is down, and its version', () => {
    const reporter = new Reporter(engine, { ...systemClock, now: () => 1 })
    reporter.engineIs({ state: 'down', message: awkward(50_000), version: awkward(500), apiVersion: awkward(99) })
    passes({ ...observation, ...reporter.all([]) })
    reporter.close()
  })

  test('a notice', () => {
    const outbox = new Outbox()
    outbox.putNotice({ kind: 'notice', at: 1, code: 'x', message: awkward(50_000) })
    for (const notice of outbox.take().notices) passes(notice)
  })

  test('a line of a log', () => {
    const joiner = new LineJoiner('t')
    const line = joiner.add({ atMs: 1, source: 'stdout', text: awkward(2_000_001), endsLine: true })
    passes({ kind: 'log-lines', stream: 's', lines: [line!], dropped: 0 })
  })

  test("the host's kernel, its CPU and the Engine's labels, one of them called __proto__", async () => {
    const read = createReadInventory({
      ask: async () => ({ kernel: awkward(300), cpuModel: awkward(301) }),
      engineLabels: async () =>
        Object.fromEntries([
          [awkward(300), awkward(2_001)],
          ['__proto__', 'x'],
          ['a', 'b'],
        ]),
    })
    const inventory = await read()
    expect(Object.keys(inventory.engineLabels)).toHaveLength(2)
    passes({
      kind: 'hello',
      ...{
        version: 1,
        versionMin: 1,
        node: 'n',
        instance: 'i',
        agentVersion: '1',
        engine,
        labels: {},
        revision: 0,
        at: 1,
      },
      inventory: { ...anInventory(), ...inventory },
    })
  })
})
