/** The peer: `docker stats`, with all the processes that work for it: the client, dockerd, containerd and the shims. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host } from '../../test/engines/hosts.ts'
import { cpuSeconds } from '../fleet/usage.ts'

/** It asks for all at once before it shows the first. */
const SETTLE_MS = 10_000

/** CPU seconds of a second of `docker stats`, without what the Engine takes at rest. */
export async function dockerStatsCpu(host: Host, ms: number): Promise<{ perSecond: number; atRest: number }> {
  const atRest = await perSecond(() => engineCpu(host), ms)
  const client = spawn('docker', ['-H', host.dockerHost, 'stats', '--format', '{{.ID}} {{.CPUPerc}} {{.MemUsage}}'], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  try {
    await sleep(SETTLE_MS)
    if (client.exitCode !== null) throw new Error(`docker stats ended with ${client.exitCode}`)
    const both = await perSecond(() => engineCpu(host) + cpuSeconds(client.pid!), ms)
    return { perSecond: both - atRest, atRest }
  } finally {
    client.kill('SIGKILL')
  }
}

async function perSecond(used: () => number, ms: number): Promise<number> {
  const [before, began] = [used(), performance.now()]
  await sleep(ms)
  return ((used() - before) * 1_000) / (performance.now() - began)
}

function engineCpu(host: Host): number {
  let seconds = 0
  for (const pid of engineProcesses(host)) {
    try {
      seconds += cpuSeconds(pid)
    } catch {
      // It has ended.
    }
  }
  return seconds
}

/** They share the host's network namespace; containers have their own. */
function engineProcesses(host: Host): number[] {
  const namespace = readlinkSync(`/proc/${host.engine.pid}/ns/net`)
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const isOfIt = /^(dockerd|containerd)/.test(readFileSync(`/proc/${entry}/comm`, 'utf8'))
      return isOfIt && readlinkSync(`/proc/${entry}/ns/net`) === namespace ? [Number(entry)] : []
    } catch {
      return []
    }
  })
}
