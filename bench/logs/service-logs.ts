/** The peer of reading back: `docker service logs`, of a service of one task on a swarm of one node. */
import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host } from '../../test/engines/hosts.ts'
import { BUSYBOX } from '../../test/engines/image.ts'

const LIMIT_MS = 150_000
const SERVICE = 'peer'

/** Starts a service that prints the lines of `path` and goes on. Answers the Engine's log file when all are in it. */
export async function startWriter(host: Host, path: string, lines: number): Promise<string> {
  await host.docker('swarm', 'init', '--advertise-addr', host.address)
  await host.docker(
    ...['service', 'create', '--detach', '--no-resolve-image', '--name', SERVICE, '--log-driver', 'json-file'],
    ...['--mount', `type=bind,source=${path},target=/lines,readonly`, BUSYBOX],
    ...['sh', '-c', 'cat /lines; exec sleep 100000'],
  )
  const until = performance.now() + LIMIT_MS
  for (let container = ''; ; await sleep(200)) {
    if (performance.now() > until) throw new Error(`the Engine has not written ${lines} lines in ${LIMIT_MS} ms`)
    container ||= (await host.docker('ps', '-q', '--no-trunc')).trim()
    if (container === '') continue
    const log = join(host.dataDir, 'containers', container, `${container}-json.log`)
    if ((await linesOf(log)) >= lines) return log
  }
}

/** Seconds of `docker service logs` into nothing; its lines are counted on the way. */
export async function serviceLogs(host: Host, lines: number): Promise<number> {
  const from = performance.now()
  const child = spawn('docker', ['-H', host.dockerHost, 'service', 'logs', '--raw', SERVICE], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let seen = 0
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) seen += 1
  }
  if (seen !== lines) throw new Error(`docker service logs gave ${seen} of ${lines} lines`)
  return (performance.now() - from) / 1_000
}

async function linesOf(path: string): Promise<number> {
  let lines = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1
  }
  return lines
}
