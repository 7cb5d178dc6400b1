import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLoadMeter, RINGS_OF_ENDED_MAX } from '../../../agent/host/load-meter.ts'
import type { ContainerHandle } from '../../../agent/parts.ts'
import { DEVICES_MAX } from '../../../shared/wire/bounds.ts'
import { diskStats, netDev, ProcFolder, procStat } from './proc-folder.ts'

const MiB = 1024 * 1024
let files: ProcFolder
type LoadMeter = ReturnType<typeof createLoadMeter>
let meter: LoadMeter | null = null
let nowMs = 0
const NOW = 1_700_000_000_000

beforeEach(() => {
  files = new ProcFolder()
  nowMs = 0
  files.proc({
    stat: procStat(1000, 1000),
    meminfo:
      'MemTotal:       8388608 kB\nMemFree:         100 kB\nMemAvailable:    6291456 kB\nBuffers: 1 kB\nCached: 1 kB\n',
    loadavg: '0.75 0.50 0.25 2/345 6789\n',
    diskstats: diskStats({ sda: [1000, 2000], sda1: [1000, 2000], 'dm-0': [1000, 2000], loop0: [9, 9] }),
    'net/dev': netDev({ lo: [500, 500], eth0: [1000, 2000], docker0: [1000, 2000], veth12: [1000, 2000] }),
  })
})

afterEach(() => {
  meter?.close()
  files.remove()
})

function aMeter(given: { hostCgroup?: string } = {}): LoadMeter {
  const { procRoot, cgroupRoot } = files
  meter = createLoadMeter({ procRoot, cgroupRoot, now: () => nowMs, ...given })
  return meter
}

function sampleAfter(ms: number, handles: ContainerHandle[] = [], options?: { all?: boolean }) {
  nowMs += ms
  return meter!.sample(handles, options)
}

const aHandle = (given: Partial<ContainerHandle> = {}): ContainerHandle => ({
  task: 't1',
  containerId: 'c1',
  attempt: 1,
  pid: 42,
  logPath: null,
  memoryBytesLimit: 512 * MiB,
  // Looked at in each sample.
  sign: 'rollout',
  ...given,
})

describe('the load of a host', () => {
  test('rates are over the time since the sample before', () => {
    aMeter()
    files.proc({
      stat: procStat(1150, 1050),
      diskstats: diskStats({ sda: [1200, 2400], sda1: [1200, 2400], 'dm-0': [1200, 2400], loop0: [999, 999] }),
      'net/dev': netDev({ lo: [9999, 9999], eth0: [3000, 6000], docker0: [5000, 5000], veth12: [5000, 5000] }),
    })
    expect(sampleAfter(2000).load).toMatchObject({
      cpuCoresUsed: 1.5,
      memoryBytesUsed: 2048 * MiB,
      memoryBytesTotal: 8192 * MiB,
      loadAverage1m: 0.75,
      diskReadBytesPerSecond: (200 * 512) / 2,
      diskWriteBytesPerSecond: (400 * 512) / 2,
      networkReceiveBytesPerSecond: 1000,
      networkSendBytesPerSecond: 2000,
    })
  })

  test('its devices are told each by itself: the ones over which its load is, and so many at most', () => {
    aMeter()
    expect(meter!.devices()).toEqual({
      disks: [{ device: 'sda', readBytes: 1000 * 512, writtenBytes: 2000 * 512 }],
      networks: [{ device: 'eth0', receivedBytes: 1000, sentBytes: 2000 }],
    })
    const many = (name: string) => Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`${name}${at}x`, [1, 1]]))
    files.proc({ diskstats: diskStats(many('vd') as never), 'net/dev': netDev(many('eth') as never) })
    const { disks, networks } = meter!.devices()!
    expect([disks.length, networks.length]).toEqual([DEVICES_MAX, DEVICES_MAX])
    meter!.close()
    expect(aMeter({ hostCgroup: '/lxc/web-1' }).devices()).toBeNull()
  })

  test('its detail is told in every fifth sample, its modes over the time since the detail before', () => {
    files.proc({
      meminfo: 'MemTotal: 100 kB\nMemAvailable: 50 kB\nSwapTotal:  2048 kB\nSwapFree:   1024 kB\n',
      uptime: '3600.25 7000.00\n',
    })
    aMeter()
    const told = Array.from({ length: 6 }, (_, i) => {
      const ticks = (i + 1) * 10
      files.proc({
        stat: `cpu  ${ticks * 3} ${ticks} ${ticks} ${ticks * 10} ${ticks * 2} ${ticks} ${ticks} ${ticks} 0 0\ncpu0 1\ncpu1 1\n`,
      })
      return sampleAfter(1000).load.detail
    })
    expect(told.map((detail) => detail !== undefined)).toEqual([true, false, false, false, false, true])
    expect(told[5]).toEqual({
      cpuCoresUser: 0.4,
      cpuCoresSystem: 0.3,
      cpuCoresIowait: 0.2,
      cpuCoresSteal: 0.1,
      loadAverage5m: 0.5,
      loadAverage15m: 0.25,
      swapBytesUsed: MiB,
      swapBytesTotal: 2 * MiB,
      uptimeSeconds: 3600.25,
    })
  })

  test('pressure is told where the kernel has it, and left out where it has none', () => {
    aMeter()
    expect(sampleAfter(1000).load).not.toHaveProperty('pressure')
    const some = 'some avg10=1.50 avg60=0.00 avg300=0.00 total=1\n'
    const full = 'full avg10=0.25 avg60=0.00 avg300=0.00 total=1\n'
    files.proc({ 'pressure/cpu': some, 'pressure/memory': some + full, 'pressure/io': some + full })
    expect(sampleAfter(1000).load.pressure).toEqual({
      cpuSome: 1.5,
      memorySome: 1.5,
      memoryFull: 0.25,
      ioSome: 1.5,
      ioFull: 0.25,
    })
  })

  test.each([
    [
      1,
      (usedMs: number) => ({
        'cpuacct/lxc/web-1/cpuacct.usage': `${usedMs * 1e6}\n`,
        'memory/lxc/web-1/memory.usage_in_bytes': `${300 * MiB}\n`,
        'memory/lxc/web-1/memory.limit_in_bytes': `${1024 * MiB}\n`,
        'memory/lxc/web-1/memory.stat': `cache 1\ntotal_inactive_file ${100 * MiB}\n`,
      }),
    ],
    [
      2,
      (usedMs: number) => ({
        'cgroup.controllers': 'cpu memory pids\n',
        'lxc/web-1/cpu.stat': `usage_usec ${usedMs * 1e3}\nnr_periods 0\n`,
        'lxc/web-1/memory.max': `${1024 * MiB}\n`,
        'lxc/web-1/memory.current': `${300 * MiB}\n`,
        'lxc/web-1/memory.stat': `file 1\ninactive_file ${100 * MiB}\n`,
      }),
    ],
  ])(
    'that shares its kernel is that of its cgroup (v%i), and the machine’s pressure is not its own',
    (_version, account) => {
      const some = 'some avg10=1.50 avg60=0.00 avg300=0.00 total=1\n'
      files.proc({ 'pressure/cpu': some, 'pressure/memory': some, 'pressure/io': some })
      files.cgroup(account(5000))
      aMeter({ hostCgroup: '/lxc/web-1' })
      files.cgroup(account(5500))
      files.proc({ stat: procStat(1400, 1000) })
      const { load } = sampleAfter(2000)
      expect(load).toMatchObject({ cpuCoresUsed: 0.25, memoryBytesUsed: 200 * MiB, memoryBytesTotal: 1024 * MiB })
      expect(load).not.toHaveProperty('pressure')
    },
  )

  test('counters that go back give no negative rate', () => {
    aMeter()
    files.proc({
      diskstats: diskStats({ sda: [0, 0] }),
      'net/dev': netDev({ eth0: [0, 0] }),
      stat: procStat(900, 1200),
    })
    const { load } = sampleAfter(1000)
    for (const figure of Object.values(load)) if (typeof figure === 'number') expect(figure).toBeGreaterThanOrEqual(0)
  })

  test('two samples at almost the same time give the same rates', () => {
    aMeter()
    files.proc({ stat: procStat(1100, 1100) })
    const first = sampleAfter(1000).load.cpuCoresUsed
    files.proc({ stat: procStat(1101, 1100) })
    expect(sampleAfter(3).load.cpuCoresUsed).toBe(first)
  })

  test('a host without most of these files still has a load', () => {
    files.remove()
    aMeter()
    expect(sampleAfter(1000).load).toMatchObject({ cpuCoresUsed: 0, memoryBytesTotal: 0, networkSendBytesPerSecond: 0 })
  })

  test('files full of nonsense give figures that the wire lets through', () => {
    files.proc({
      stat: 'cpu x y z\n',
      meminfo: 'MemTotal: many\n',
      loadavg: '?',
      diskstats: '8 0 sda a b c d e f g h i j\n',
      'net/dev': 'eth0: ?\n',
    })
    aMeter()
    for (const figure of Object.values(sampleAfter(1000).load)) expect(Number.isFinite(figure)).toBe(true)
  })
})

/** The same container as each version of cgroups accounts for it. */
const VERSIONS = {
  v1: {
    lookup:
      '5:memory:/docker/c1\n4:pids:/docker/c1\n3:cpu,cpuacct:/docker/c1\n1:name=systemd:/docker/c1\n0::/docker/c1\n',
    account: (cpuMs: number, memoryBytes: number, cacheBytes: number, [periods, throttled] = [0, 0]) => ({
      'cpu,cpuacct/docker/c1/cpuacct.usage': `${cpuMs * 1e6}\n`,
      'cpu,cpuacct/docker/c1/cpu.stat': `nr_periods ${periods}\nnr_throttled ${throttled}\nthrottled_time 0\n`,
      'memory/docker/c1/memory.usage_in_bytes': `${memoryBytes}\n`,
      'memory/docker/c1/memory.stat': `cache 5\ninactive_file 1\ntotal_inactive_file ${cacheBytes}\n`,
      'pids/docker/c1/pids.current': '7\n',
    }),
    folders: ['cpu,cpuacct/docker/c1', 'memory/docker/c1', 'pids/docker/c1'],
  },
  v2: {
    lookup: '0::/system.slice/docker-c1.scope\n',
    account: (cpuMs: number, memoryBytes: number, cacheBytes: number, [periods, throttled] = [0, 0]) => ({
      'system.slice/docker-c1.scope/cpu.stat': `usage_usec ${cpuMs * 1000}\nuser_usec 1\nsystem_usec 1\nnr_periods ${periods}\nnr_throttled ${throttled}\n`,
      'system.slice/docker-c1.scope/memory.current': `${memoryBytes}\n`,
      'system.slice/docker-c1.scope/memory.stat': `anon 5\nfile 6\ninactive_file ${cacheBytes}\n`,
      'system.slice/docker-c1.scope/pids.current': '7\n',
    }),
    folders: ['system.slice/docker-c1.scope'],
  },
}

describe.each(Object.entries(VERSIONS))('the load of a container, cgroup %s', (_name, version) => {
  beforeEach(() => {
    files.proc({ '42/cgroup': version.lookup, '42/net/dev': netDev({ lo: [9, 9], eth0: [1000, 1000] }) })
    files.cgroup(version.account(100, 64 * MiB, 24 * MiB, [10, 0]))
    aMeter()
  })

  test('is named with its second sample: CPU, memory without the page cache that would be dropped first, processes', () => {
    expect(sampleAfter(1000, [aHandle()]).containers).toEqual([])
    files.cgroup(version.account(350, 64 * MiB, 24 * MiB))
    expect(sampleAfter(1000, [aHandle()]).containers).toEqual([
      {
        ...{ task: 't1', cpuCoresUsed: 0.25, memoryBytesUsed: 40 * MiB, memoryBytesLimit: 512 * MiB, processes: 7 },
        ...{ sampledEveryMs: 1000, sampledBecause: 'rollout' },
      },
    ])
  })

  test('is told with how long its latest health test took', () => {
    sampleAfter(1000, [aHandle()])
    files.cgroup(version.account(350, 64 * MiB, 24 * MiB))
    expect(sampleAfter(1000, [{ ...aHandle(), healthCheckMs: 31 }]).containers).toMatchObject([{ healthCheckMs: 31 }])
    sampleAfter(1000, [{ ...aHandle(), healthCheckMs: 31 }])
    expect(sampleAfter(1000, [{ ...aHandle(), healthCheckMs: 40 }]).containers).toEqual([])
    expect(sampleAfter(1000, [{ ...aHandle(), healthCheckMs: 131 }]).containers).toMatchObject([{ healthCheckMs: 131 }])
  })

  test('network and throttling are over a few samples', () => {
    sampleAfter(1000, [aHandle()])
    files.cgroup(version.account(100, 64 * MiB, 24 * MiB, [110, 50]))
    files.proc({ '42/net/dev': netDev({ lo: [9, 9], eth0: [6000, 11_000] }) })
    for (let i = 0; i < 4; i++) sampleAfter(1000, [aHandle()])
    expect(sampleAfter(1000, [aHandle()], { all: true }).containers).toMatchObject([
      { cpuThrottledShare: 0.5, networkReceiveBytesPerSecond: 1000, networkSendBytesPerSecond: 2000 },
    ])
  })

  test('is named again only when it changed, when all are asked for, and after 30 samples', () => {
    sampleAfter(1000, [aHandle()])
    expect(sampleAfter(1000, [aHandle()]).containers).toHaveLength(1)
    // The first slow readings after the beginning bring figures that were not there before.
    for (let i = 0; i < 6; i++) sampleAfter(1000, [aHandle()])
    expect(sampleAfter(1000, [aHandle()]).containers).toEqual([])
    expect(sampleAfter(1000, [aHandle()], { all: true }).containers).toHaveLength(1)
    let named = 0
    for (let i = 0; i < 30; i++) named += sampleAfter(1000, [aHandle()]).containers.length
    expect(named).toBe(1)
    files.cgroup(version.account(600, 64 * MiB, 24 * MiB))
    expect(sampleAfter(1000, [aHandle()]).containers).toHaveLength(1)
  })

  test('a container that shares the host’s network has no network load of its own', () => {
    files.networkNamespace('self', 'net:[1]')
    files.networkNamespace(42, 'net:[1]')
    for (let i = 0; i < 7; i++) sampleAfter(1000, [aHandle()])
    const [load] = sampleAfter(1000, [aHandle()], { all: true }).containers
    expect(load).toHaveProperty('cpuCoresUsed')
    expect(load).not.toHaveProperty('networkReceiveBytesPerSecond')
  })

  test('one that is calm is looked at every 10 s, and the rate is over all of them', () => {
    const calm = aHandle({ sign: undefined })
    sampleAfter(1000, [calm])
    const first = sampleAfter(1000, [calm]).containers
    expect(first).toMatchObject([{ sampledEveryMs: 10_000, sampledBecause: 'calm' }])
    files.cgroup(version.account(100 + 1000, 64 * MiB, 24 * MiB))
    const counts = Array.from({ length: 10 }, () => sampleAfter(1000, [calm]).containers)
    const seen = counts.findIndex((containers) => containers.length > 0)
    expect(counts[seen]).toMatchObject([{ cpuCoresUsed: 1 / (seen + 1) }])
    // The change is reason enough to look closely from here on.
    expect(counts[seen]).toMatchObject([{ sampledEveryMs: 1000, sampledBecause: 'changing' }])
  })

  test('one that is calm is looked at with the next sample once something is wrong with it', () => {
    for (let i = 0; i < 3; i++) sampleAfter(1000, [aHandle({ sign: undefined })])
    expect(sampleAfter(1000, [aHandle({ sign: 'unhealthy' })]).containers).toMatchObject([
      { sampledEveryMs: 1000, sampledBecause: 'unhealthy' },
    ])
  })

  test('one whose service asks for its own times has those', () => {
    const asked = aHandle({ sign: undefined, sampling: { fullMs: 2000, calmMs: 4000 } })
    for (let i = 0; i < 3; i++) sampleAfter(1000, [asked])
    expect(sampleAfter(1000, [asked], { all: true }).containers).toMatchObject([{ sampledEveryMs: 4000 }])
  })

  test('one that does not run, or whose account vanishes, is not named', () => {
    expect(sampleAfter(1000, [aHandle({ pid: 0 })]).containers).toEqual([])
    expect(sampleAfter(1000, [aHandle({ pid: 4711 })], { all: true }).containers).toEqual([])
    sampleAfter(1000, [aHandle()])
    for (const folder of version.folders) files.removeCgroup(folder)
    meter?.close()
    aMeter()
    sampleAfter(1000, [aHandle()])
    expect(sampleAfter(1000, [aHandle()], { all: true }).containers).toEqual([])
  })

  test('a restart is measured anew: its CPU does not count against the process before', () => {
    sampleAfter(1000, [aHandle()])
    sampleAfter(1000, [aHandle()])
    files.proc({ '43/cgroup': version.lookup })
    files.cgroup(version.account(5, 10 * MiB, 0))
    expect(sampleAfter(1000, [aHandle({ pid: 43, attempt: 2 })]).containers).toEqual([])
    files.cgroup(version.account(505, 10 * MiB, 0))
    expect(sampleAfter(1000, [aHandle({ pid: 43, attempt: 2 })]).containers).toMatchObject([{ cpuCoresUsed: 0.5 }])
  })

  describe('its last minute', () => {
    const calm = aHandle({ sign: undefined })
    const lastMinute = (attempt = 1) => meter!.lastMinute('t1', attempt, NOW)
    const uses = (cpuMs: number, memoryBytes: number) => files.cgroup(version.account(cpuMs, memoryBytes, MiB))

    test('is in steps of a second however seldom it is told of, up to its end, and stays until it is asked for', () => {
      for (let second = 1; second <= 20; second++) {
        uses(second * second * 10, second * 10 * MiB)
        sampleAfter(1000, [calm])
      }
      const steps = Array.from({ length: 19 }, (_, index) => index + 2)
      const expected = {
        ...{ task: 't1', attempt: 1, memoryBytesUsed: steps.map((second) => (second * 10 - 1) * MiB) },
        cpuCoresUsed: steps.map((second) => (second * second - (second - 1) ** 2) / 100),
      }
      expect(lastMinute()).toEqual({ ...expected, at: steps.map((second) => NOW - (20 - second) * 1000) })
      // Its account goes with it: nothing is to be read any more.
      files.cgroup(Object.fromEntries(Object.keys(version.account(0, 0, 0)).map((path) => [path, ''])))
      sampleAfter(1000, [calm])
      sampleAfter(1000, [{ ...calm, pid: 0 }])
      expect(lastMinute()).toMatchObject(expected)
      expect(lastMinute(2)).toBeNull()
    })

    test('goes on while there are no heartbeats, or rare ones', () => {
      sampleAfter(1000, [calm])
      for (let second = 0; second < 5; second++) {
        nowMs += 1000
        meter!.look([calm])
      }
      sampleAfter(300, [calm])
      nowMs += 700
      meter!.look([calm])
      expect(lastMinute()?.at).toEqual([5, 4, 3, 2, 1, 0].map((second) => NOW - second * 1000))
    })

    test('is of each run apart: one that is started again begins anew, and the one before is known until it ends', () => {
      for (let second = 0; second < 3; second++) sampleAfter(1000, [calm])
      files.proc({ '43/cgroup': version.lookup })
      const again = { ...calm, pid: 43, attempt: 2 }
      for (let second = 0; second < 2; second++) sampleAfter(1000, [again])
      expect([lastMinute(1)?.at.length, lastMinute(2)?.at.length]).toEqual([2, 1])
      sampleAfter(1000, [])
      expect([lastMinute(1)?.at.length, lastMinute(2)?.at.length]).toEqual([undefined, 1])
    })

    test('is kept of so many that have ended, the oldest go first', () => {
      for (let number = 0; number <= RINGS_OF_ENDED_MAX; number++) {
        const other = { ...calm, task: `other-${number}`, containerId: `c-${number}` }
        for (let second = 0; second < 2; second++) sampleAfter(1000, [other])
      }
      sampleAfter(1000, [])
      const isKnown = (number: number) => meter!.lastMinute(`other-${number}`, 1, NOW) !== null
      expect([0, 1, RINGS_OF_ENDED_MAX].map(isKnown)).toEqual([false, true, true])
    })
  })

  test('descriptors are closed with the containers they belong to', () => {
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    sampleAfter(1000, [aHandle()])
    expect(open()).toBe(before + 2)
    sampleAfter(1000, [])
    expect(open()).toBe(before)
  })
})

test('rings are kept in step by themselves, behind a heartbeat that comes once a second', async () => {
  const meter = aMeter()
  const [handle, slept]: [ContainerHandle, number[]] = [aHandle(), []]
  let looks = 0
  const stop = new AbortController()
  const containers = () => {
    looks += 1
    return [handle]
  }
  const clock = {
    sleep: async (ms: number) => {
      slept.push(ms)
      nowMs += ms
      // Three heartbeats, which come first; then none.
      if (slept.length <= 3) meter.sample([handle])
      if (looks === 3) stop.abort()
    },
  }
  meter.sample([handle])
  await meter.run(containers, clock, stop.signal)
  expect(slept).toEqual([1100, 1100, 1100, 1100, 1000, 1000, 1000])
})

test('this very host has a load', () => {
  meter = createLoadMeter()
  expect(meter.sample([]).load.memoryBytesTotal).toBeGreaterThan(0)
  expect(meter.sample([]).load.diskBytesTotal).toBeGreaterThan(0)
})

test('the space of a disk is that where the Engine keeps its data, as soon as that is known', () => {
  // A file system without blocks, which no other path has.
  let diskPath = '/proc'
  const measuring = createLoadMeter({ diskPath: () => diskPath })
  meter = measuring
  expect(measuring.sample([]).load.diskBytesTotal).toBe(0)
  diskPath = '/'
  const totals = Array.from({ length: 20 }, () => measuring.sample([]).load.diskBytesTotal)
  expect(totals.at(-1)).toBeGreaterThan(0)
})
