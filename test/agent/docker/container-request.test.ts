import { expect, test } from 'vitest'
import { containerRequest, otherContainerName } from '../../../agent/docker/container-request.ts'
import { anAssignedTask, OWNER, SPEC_HASH } from '../../build/container.ts'
import { aPort, aTaskSpec, MiB } from '../../build/spec.ts'

const request = (container: Parameters<typeof aTaskSpec>[0] = {}) =>
  containerRequest(anAssignedTask(), aTaskSpec(container), OWNER, 2)
const hostConfig = (container: NonNullable<Parameters<typeof aTaskSpec>[0]>['container']) =>
  request({ container }).body.HostConfig

test('the least spec becomes the least request: labels, no restarts by the Engine, bounded logs', () => {
  expect(request()).toEqual({
    name: 'shop_api.1.a',
    platform: undefined,
    body: {
      Image: 'example/web:1',
      Env: [],
      Labels: {
        'berth.cluster': 'c1',
        'berth.node': 'web-1',
        'berth.stack': 'shop',
        'berth.service': 'shop_api',
        'berth.task': 'shop_api.1.a',
        'berth.spec': SPEC_HASH,
        'berth.attempt': '2',
      },
      StopTimeout: 10,
      HostConfig: {
        RestartPolicy: { Name: 'no' },
        LogConfig: { Type: 'json-file', Config: { 'max-size': '16m', 'max-file': '4' } },
      },
    },
  })
})

test("the user's labels stay, and cannot pretend to be Berth's", () => {
  const { Labels } = request({ container: { labels: { team: 'a', 'berth.task': 'other' } } }).body
  expect(Labels).toMatchObject({ team: 'a', 'berth.task': 'shop_api.1.a' })
})

test('ports are exposed and bound, with the same container port on several host ports', () => {
  const ports = [
    aPort(8080),
    aPort(8081, { hostIp: '127.0.0.1' }),
    aPort(undefined, { containerPort: 53, protocol: 'udp' }),
  ]
  const { body } = request({ container: { ports } })
  expect(body.ExposedPorts).toEqual({ '80/tcp': {}, '53/udp': {} })
  expect(body.HostConfig).toMatchObject({
    PortBindings: {
      '80/tcp': [{ HostPort: '8080' }, { HostIp: '127.0.0.1', HostPort: '8081' }],
      '53/udp': [{ HostPort: '' }],
    },
  })
})

test('a bind whose folder may be made is text, all other mounts are objects', () => {
  const mounts = [
    { type: 'bind' as const, source: '/srv', target: '/data', readOnly: true, propagation: 'rslave' },
    { type: 'bind' as const, source: '/must/exist', target: '/x', readOnly: false, createHostPath: false },
    {
      type: 'volume' as const,
      source: 'v',
      target: '/v',
      readOnly: false,
      noCopy: true,
      driverOptions: { type: 'nfs' },
    },
    { type: 'tmpfs' as const, target: '/t', sizeBytes: MiB, mode: 0o1777 },
  ]
  expect(hostConfig({ mounts })).toMatchObject({
    Binds: ['/srv:/data:ro,rslave'],
    Mounts: [
      { Type: 'bind', Source: '/must/exist', Target: '/x', ReadOnly: false },
      {
        Type: 'volume',
        Source: 'v',
        Target: '/v',
        VolumeOptions: { NoCopy: true, DriverConfig: { Name: 'local', Options: { type: 'nfs' } } },
      },
      { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: MiB, Mode: 0o1777 } },
    ],
  })
})

test('limits and promises become what the kernel enforces; a promise that the Engine would refuse is left out', () => {
  const resources = {
    reservation: { cpuCores: 1, memoryBytes: 64 * MiB },
    limit: { cpuCores: 0.5, memoryBytes: 128 * MiB, pids: 100 },
  }
  expect(hostConfig({ resources })).toMatchObject({
    NanoCpus: 500_000_000,
    Memory: 128 * MiB,
    MemoryReservation: 64 * MiB,
    PidsLimit: 100,
  })
  const tiny = { reservation: { cpuCores: 0, memoryBytes: MiB }, limit: {} }
  expect(hostConfig({ resources: tiny })).not.toHaveProperty('MemoryReservation')
})

test('devices are asked for by count or by name, with one set of capabilities', () => {
  const deviceRequests = [
    { driver: 'nvidia', count: -1, capabilities: ['gpu', 'compute'], options: { a: 'b' } },
    { deviceIds: ['0', '3'], capabilities: ['gpu'] },
  ]
  expect(hostConfig({ deviceRequests })).toMatchObject({
    DeviceRequests: [
      { Driver: 'nvidia', Count: -1, Capabilities: [['gpu', 'compute']], Options: { a: 'b' } },
      { DeviceIDs: ['0', '3'], Capabilities: [['gpu']] },
    ],
  })
})

test('health tests are in nanoseconds, and one that is switched off says so', () => {
  const on = { test: ['CMD', 'true'], intervalMs: 500, retries: 3 }
  expect(request({ container: { healthcheck: on } }).body.Healthcheck).toEqual({
    Test: ['CMD', 'true'],
    Interval: 500_000_000,
    Retries: 3,
  })
  expect(request({ container: { healthcheck: { disabled: true } } }).body.Healthcheck).toEqual({ Test: ['NONE'] })
})

test('a grace is rounded up to whole seconds, and none stays none', () => {
  expect(request({ container: { stopGraceMs: 1_200 } }).body.StopTimeout).toBe(2)
  expect(request({ container: { stopGraceMs: 0 } }).body.StopTimeout).toBe(0)
})

test('a name held by a stranger is avoided with the name of the cluster', () => {
  expect(otherContainerName('shop_api.1.a', OWNER)).toBe('shop_api.1.a-c1')
})
