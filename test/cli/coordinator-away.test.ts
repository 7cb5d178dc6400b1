/** A coordinator that goes away while a command waits: what it has taken goes on, so the command waits for it. */
import { expect, test } from 'vitest'
import type { Client } from '../../cli/client.ts'
import type { Output } from '../../cli/output.ts'
import { type WaitOptions, waitForStack } from '../../cli/wait.ts'
import type { ProgressDocument } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'

const UP: ProgressDocument = { stack: 'shop', deployment: 1, outcome: 'up', services: [] }
const GOING: ProgressDocument = { ...UP, outcome: 'going' }

/** Each connection to the coordinator shows these pictures and then breaks off. */
function clientOf(connections: ProgressDocument[][]): Client {
  const left = [...connections]
  const events = async function* () {
    for (const data of left.shift() ?? []) yield { event: 'progress', data }
    throw new BerthError('unreachable', 'cannot reach the coordinator')
  }
  return { events } as unknown as Client
}

async function wait(connections: ProgressDocument[][], options: Partial<WaitOptions> = {}) {
  const notes: string[] = []
  const out = { note: (text: string) => void notes.push(text), line: () => {}, isTerminal: false, columns: 100 }
  const context = { out: out as unknown as Output, json: false, env: {} }
  const all = { stack: 'shop', timeoutMs: 30_000, leaveHint: 'see you', ...options }
  const progress = await waitForStack(context, clientOf(connections), all)
  return { progress, notes }
}

test('is waited for after it has taken a change, and that is said once for each time it is away', async () => {
  const { progress, notes } = await wait([[], [], [GOING], [], [UP]])
  expect(progress.outcome).toBe('up')
  expect(notes).toHaveLength(2)
  expect(notes[0]).toBe(
    'cannot reach the coordinator\nwhat was asked goes on; waiting for the coordinator to come back',
  )
})

test('is not waited for by a command that only asks, unless it has answered before', async () => {
  await expect(wait([[], [UP]], { mustAnswer: true })).rejects.toThrow('cannot reach the coordinator')
  expect((await wait([[GOING], [UP]], { mustAnswer: true })).progress.outcome).toBe('up')
})
