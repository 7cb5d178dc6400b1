/** What the benches of logs share: an agent that ships files into a coordinator, and ways to read them back. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoordinatorProcess } from '../../test/build/coordinator.ts'
import { aServiceSpec } from '../../test/build/spec.ts'
import type { LogAgentOrder } from './agent-process.ts'
import { agentSettings } from './agent-settings.ts'

/** Packed: less than a part. */
const LEFT_BYTES = 512 * 1024
const BERTH = join(import.meta.dirname, '../../bin/berth')

/** One task of the service bench_web for each of `paths`; it begins when it is sent anything. */
export async function startAgent(coordinator: CoordinatorProcess, dir: string, paths: string[]): Promise<ChildProcess> {
  const tokenPath = join(dir, 'join-token')
  writeFileSync(tokenPath, await coordinator.joinToken(), { mode: 0o600 })
  const order: LogAgentOrder = { coordinator: coordinator.url, tokenPath, dataDir: join(dir, 'agent'), paths }
  const agent = fork(join(import.meta.dirname, 'agent-process.ts'), [JSON.stringify(order)], agentSettings())
  const web = aServiceSpec({ image: 'bb:1', replicas: paths.length })
  await coordinator.ask('PUT', '/v1/stacks/bench', { name: 'bench', services: { web } })
  for (;;) {
    const { totals } = (await coordinator.ask('GET', '/status')).body as { totals: { tasks: { running: number } } }
    if (totals.tasks.running === paths.length) return agent
    await sleep(100)
  }
}

export async function metric(coordinator: CoordinatorProcess, name: string): Promise<number> {
  const text = await textOf(coordinator, '/metrics')
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? 0)
}

/** Of the segment that is written to, less than one part is without an index. */
export async function untilIndexed(coordinator: CoordinatorProcess): Promise<void> {
  while ((await metric(coordinator, 'berth_logs_unindexed_bytes')) > LEFT_BYTES) await sleep(100)
}

async function textOf(coordinator: CoordinatorProcess, path: string): Promise<string> {
  let text = ''
  for await (const chunk of await open(coordinator, path)) text += chunk
  return text
}

export async function open(coordinator: CoordinatorProcess, path: string): Promise<IncomingMessage> {
  const { token, caPem } = coordinator.access()
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    request(`${coordinator.url}${path}`, { headers, ca: caPem, agent: false }, resolve).on('error', reject).end()
  })
}

export async function readAll(
  coordinator: CoordinatorProcess,
  query: string,
): Promise<{ lines: number; seconds: number }> {
  const from = performance.now()
  let lines = 0
  for await (const chunk of await open(coordinator, `/v1/logs?${query}`)) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1
  }
  // The names of the tasks, and the word that this was all.
  return { lines: lines - 2, seconds: (performance.now() - from) / 1_000 }
}

/** Seconds of `berth logs` into nothing. */
export async function berthLogs(coordinator: CoordinatorProcess, dir: string, ...more: string[]): Promise<number> {
  const { token, caPem } = coordinator.access()
  const ca = join(dir, 'ca.pem')
  writeFileSync(ca, caPem)
  const from = performance.now()
  const env = { ...process.env, BERTH_URL: coordinator.url, BERTH_TOKEN: token, BERTH_CA: ca }
  const child = spawn(BERTH, ['logs', 'bench_web', ...more], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const exit = await new Promise((resolve) => child.once('close', resolve))
  if (exit !== 0) throw new Error(`berth logs ended with ${exit}`)
  return (performance.now() - from) / 1_000
}
