import { expect, test } from 'vitest'
import {
  afterProbe,
  beginProbing,
  type ProbedRun,
  probeTarget,
  type Reach,
  withProbedHealth,
} from '../../../agent/decide/probe.ts'
import type { HealthProbe } from '../../../shared/spec.ts'
import { aContainer } from '../../build/container.ts'
import { aTaskSpec } from '../../build/spec.ts'

const RULE: HealthProbe = {
  test: { kind: 'http', path: '/', scheme: 'http' },
  port: 80,
  intervalMs: 10_000,
  timeoutMs: 1_000,
  retries: 3,
  startPeriodMs: 30_000,
  startIntervalMs: 1_000,
}
const SPEC = aTaskSpec({ container: { probe: RULE } })
const HERE: Reach = { by: 'address' }
const ROOTLESS: Reach = {
  by: 'published-port',
  host: '127.0.0.1',
  why: 'the Engine is rootless: its networks are its own',
}

/** One letter a probe, five seconds apart unless told otherwise: `f` failed, `s` succeeded. */
function afterProbes(letters: string, rule = RULE, stepMs = 5_000): ProbedRun {
  return [...letters].reduce(
    (run, letter, index) => {
      const at = (index + 1) * stepMs
      return afterProbe(run, { ok: letter === 's', message: `said ${letter}`, startedAt: at - 1, endedAt: at }, rule)
    },
    beginProbing('c0ffee/1', 0, 0),
  )
}
const healths = (letters: string, rule?: HealthProbe) => afterProbes(letters, rule).health

test('a success makes it healthy at once, and as many failures in a row as `retries` make it unhealthy', () => {
  expect(healths('s')).toBe('healthy')
  expect(healths('sff')).toBe('healthy')
  expect(healths('sfff')).toBe('unhealthy')
  expect(healths('sffsff')).toBe('healthy')
  expect(healths('sfffs')).toBe('healthy')
})

test('failures do not count in the start period, unless it was healthy before', () => {
  expect(healths('fffff')).toBe('starting')
  expect(healths('sfff')).toBe('unhealthy')
  // The sixth is at 30 s: the period is over, and three in a row count from there.
  expect(healths('fffffff')).toBe('starting')
  expect(healths('ffffffff')).toBe('unhealthy')
  expect(healths('fff', { ...RULE, startPeriodMs: 0 })).toBe('unhealthy')
})

test('it is probed at the start interval until the start period is over or it is healthy, then at the interval', () => {
  expect(beginProbing('c0ffee/1', 0, 7).nextAt).toBe(7)
  expect(afterProbes('f').nextAt).toBe(5_000 + 1_000)
  expect(afterProbes('s').nextAt).toBe(5_000 + 10_000)
  expect(afterProbes('ffffff').nextAt).toBe(30_000 + 10_000)
})

test('the moment of the first success counts, the last failure says why, and few outcomes are kept', () => {
  expect(afterProbes('fsss')).toMatchObject({ healthyAt: 10_000, message: null })
  expect(afterProbes('sf')).toMatchObject({ health: 'healthy', message: 'said f' })
  expect(afterProbes('ssssssssss').outcomes).toHaveLength(5)
})

test('what was found of another run says nothing about this one', () => {
  const container = aContainer({ health: 'none' })
  const run = afterProbes('s')
  expect(withProbedHealth(container, SPEC, 1, run)).toMatchObject({
    ...{
      health: 'healthy',
      healthyAt: 5_000,
      healthCheckMs: run.outcomes.at(-1)!.endedAt - run.outcomes.at(-1)!.startedAt,
    },
  })
  expect(withProbedHealth(container, SPEC, 2, run)).toMatchObject({ health: 'starting', healthyAt: null })
  expect(withProbedHealth(container, aTaskSpec(), 1, run)).toBe(container)
})

test('a container is asked at its own address; with the network of its host at the host', () => {
  const container = aContainer({ addresses: ['172.17.0.2'] })
  expect(probeTarget(container, SPEC, HERE)).toEqual({ host: '172.17.0.2', port: 80 })
  const onHost = aTaskSpec({ container: { probe: RULE, networkMode: 'host' } })
  expect(probeTarget(aContainer(), onHost, HERE)).toEqual({ host: '127.0.0.1', port: 80 })
  expect(probeTarget(aContainer(), SPEC, HERE)).toEqual({
    unreachable: 'the Engine has given the container no address',
  })
})

test('where only published ports are reached, an unpublished one is said clearly', () => {
  const published = aContainer({ ports: [{ containerPort: 80, hostPort: 32768, protocol: 'tcp' }] })
  expect(probeTarget(published, SPEC, ROOTLESS)).toEqual({ host: '127.0.0.1', port: 32768 })
  const udp = aContainer({ ports: [{ containerPort: 80, hostPort: 32768, protocol: 'udp' }] })
  expect(probeTarget(udp, SPEC, ROOTLESS)).toEqual({
    unreachable:
      'the Engine is rootless: its networks are its own, and port 80 is not published: publish it, or use a healthcheck',
  })
})
