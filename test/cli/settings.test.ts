import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseClusterSettings, parseNodeSettings, parseTaints } from '../../cli/commands/settings.ts'
import { anApiServer } from '../build/api-server.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

test('settings of cluster and nodes are set and shown', async () => {
  const server = await anApiServer()
  const berth = async (...args: string[]) => run(BERTH, args, { env: await server.env(), limitMs: 30_000 })
  expect(
    (await berth('cluster', 'set', 'policy=binpack', 'survive=any-node', 'preemption=false', 'rebalance=7')).exit,
  ).toBe(0)
  expect((await berth('cluster', 'show')).stdout).toMatch(
    /policy +binpack\nsurvive +any-node\npreemption +false\nrebalance +at most 7 moves an hour by itself\n$/,
  )
  expect((await berth('rebalance', '--auto', 'off')).exit).toBe(0)
  expect((await berth('cluster', 'show')).stdout).toContain('rebalance   when asked\n')
  expect((await berth('node', 'set', 'n1', 'cpu-overcommit=2', 'memory-reserve=512M')).exit).toBe(0)
  expect(server.cluster.world.nodes.get('n1')).toMatchObject({
    overcommit: { cpu: 2, memory: 1 },
    reserve: { memoryBytes: 512 * 2 ** 20 },
  })
  expect((await berth('node', 'taint', 'n1', 'gpu=yes:no-schedule')).exit).toBe(0)
  expect(server.cluster.world.nodes.get('n1')?.taints).toEqual([{ key: 'gpu', value: 'yes', effect: 'no-schedule' }])
  expect((await berth('node', 'taint', 'n1', 'gpu-')).exit).toBe(0)
  expect(server.cluster.world.nodes.get('n1')?.taints).toEqual([])
  const nowhere = await berth('node', 'set', 'n9', 'cpu-reserve=1')
  expect([nowhere.exit, nowhere.stderr]).toEqual([2, expect.stringContaining('there is no node n9')])
})

test('a taint is a key, a value and an effect; with - it goes', () => {
  expect(parseTaints(['disk=slow:prefer-no-schedule', 'old:no-execute', 'gpu-', 'gpu:no-schedule-'])).toEqual({
    set: [
      { key: 'disk', value: 'slow', effect: 'prefer-no-schedule' },
      { key: 'old', value: '', effect: 'no-execute' },
    ],
    remove: [{ key: 'gpu' }, { key: 'gpu', effect: 'no-schedule' }],
  })
})

test.each([
  [
    () => parseClusterSettings(['policy=best']),
    'policy cannot be "best"; it is one of first-fit, binpack, spread, least-loaded',
  ],
  [
    () => parseClusterSettings(['polcy=spread']),
    '"polcy" is no setting of the cluster; there are policy, survive, preemption, rebalance',
  ],
  [() => parseClusterSettings(['policy']), '"policy" sets nothing; write it like KEY=VALUE'],
  [() => parseNodeSettings(['memory-reserve=2GBB']), 'memory-reserve cannot be "2GBB"; write it like 512M or 2G'],
  [() => parseNodeSettings(['cpu=1']), '"cpu" is no setting of a node; there are cpu-reserve, memory-reserve'],
  [() => parseTaints(['gpu=yes:never']), '"gpu=yes:never" is no taint; write KEY=VALUE:EFFECT'],
  [() => parseTaints(['gpu=yes']), '"gpu=yes" is no taint'],
])('what is wrong is named: %#', (parse, words) => {
  expect(parse).toThrow(words)
})
