import { expect, test } from 'vitest'
import { parseBlock, parseOomKills } from '../../../agent/host/cgroup.ts'

test('bytes of all block devices are added up, in both forms that the kernel has', () => {
  const unified =
    '8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=9 dios=1\n259:0 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n'
  expect(parseBlock(2, unified)).toEqual({ readBytes: 4097, writtenBytes: 8194 })
  const legacy = '8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Total 12288\n8:16 Read 4\n8:16 Write 0\nTotal 12292\n'
  expect(parseBlock(1, legacy)).toEqual({ readBytes: 4100, writtenBytes: 8192 })
  expect(parseBlock(2, '')).toEqual({ readBytes: 0, writtenBytes: 0 })
})

test('OOM kills are counted where the kernel counts them', () => {
  expect(parseOomKills('low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n')).toBe(2)
  expect(parseOomKills('oom_kill_disable 0\nunder_oom 0\noom_kill 5\n')).toBe(5)
  expect(parseOomKills('oom_kill_disable 0\nunder_oom 0\n')).toBe(null)
})
