/** The limit: create and start through the bare Engine API. */
import type { Host } from '../../test/engines/hosts.ts'
import { engineCall, filters } from './engine-client.ts'

const LABEL = 'bench.raw'

/** What every contestant runs. */
export const SLEEPER = { image: 'bb:1', command: ['sleep', '100000'] }

const REQUEST = {
  Image: SLEEPER.image,
  Cmd: SLEEPER.command,
  HostConfig: { NetworkMode: 'bridge' },
  Labels: { [LABEL]: '1' },
  StopTimeout: 1,
}

/** Creates and starts one container. Answers its id and the milliseconds it took. */
export async function rawOne(host: Host): Promise<{ id: string; ms: number }> {
  const began = performance.now()
  const { Id } = await engineCall<{ Id: string }>(host.socket, 'POST', '/containers/create', REQUEST)
  await engineCall(host.socket, 'POST', `/containers/${Id}/start`)
  return { id: Id, ms: performance.now() - began }
}

/**
 * Kills a container that runs and starts it again. `startMs`: the start alone; `wholeMs`: from the kill on, with the Engine's own time to
 * notice the end, which whoever restarts a container cannot begin before.
 */
export async function rawRestart(host: Host, id: string): Promise<{ startMs: number; wholeMs: number }> {
  const began = performance.now()
  await engineCall(host.socket, 'POST', `/containers/${id}/kill`)
  await engineCall(host.socket, 'POST', `/containers/${id}/wait`)
  const ended = performance.now()
  await engineCall(host.socket, 'POST', `/containers/${id}/start`)
  const now = performance.now()
  return { startMs: now - ended, wholeMs: now - began }
}

/** `perHost` containers on each host, `concurrency` at a time on each. Milliseconds for all. */
export async function rawMany(hosts: Host[], perHost: number, concurrency: number): Promise<number> {
  const began = performance.now()
  await Promise.all(
    hosts.map(async (host) => {
      let left = perHost
      const lane = async () => {
        while (left-- > 0) await rawOne(host)
      }
      await Promise.all(Array.from({ length: concurrency }, lane))
    }),
  )
  return performance.now() - began
}

/**
 * `perHost` containers on each host are replaced, `concurrency` at a time on each: the new one is started, then the old one stopped and
 * removed, which nobody waits for. Milliseconds until all new ones run.
 */
export async function rawRollout(hosts: Host[], perHost: number, concurrency: number): Promise<number> {
  const old = await Promise.all(
    hosts.map(async (host) => {
      const ids: string[] = []
      while (ids.length < perHost) ids.push((await rawOne(host)).id)
      return { host, ids }
    }),
  )
  const removals: Promise<unknown>[] = []
  const began = performance.now()
  await Promise.all(
    old.map(async ({ host, ids }) => {
      const lane = async () => {
        for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
          await rawOne(host)
          removals.push(stopAndRemove(host, id))
        }
      }
      await Promise.all(Array.from({ length: concurrency }, lane))
    }),
  )
  const ms = performance.now() - began
  await Promise.all(removals)
  return ms
}

async function stopAndRemove(host: Host, id: string): Promise<void> {
  await engineCall(host.socket, 'POST', `/containers/${id}/stop`)
  await engineCall(host.socket, 'DELETE', `/containers/${id}`)
}

/** Removes every container that the functions above made. */
export async function rawClear(hosts: Host[]): Promise<void> {
  await Promise.all(
    hosts.map(async (host) => {
      const made = await engineCall<{ Id: string }[]>(
        host.socket,
        'GET',
        `/containers/json?all=true&${filters({ label: [LABEL] })}`,
      )
      for (const { Id } of made) await engineCall(host.socket, 'DELETE', `/containers/${Id}?force=true`)
    }),
  )
}
