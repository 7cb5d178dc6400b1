/** What each field of a service becomes. */
import { describe, expect, it } from 'vitest'
import type { ContainerSpec, ServiceSpec } from '../../../shared/spec.ts'
import { container, read, service } from './reading.ts'

const MiB = 2 ** 20

describe('a service with an image and nothing else', () => {
  it('has every default filled in', async () => {
    expect(await service('')).toEqual({
      task: {
        container: {
          image: 'app:1',
          pullPolicy: 'missing',
          environment: {},
          labels: {},
          mounts: [],
          ports: [],
          stopGraceMs: 10_000,
          resources: { reservation: { cpuCores: 0, memoryBytes: 0 }, limit: {} },
        },
        restart: { condition: 'any', delayMs: 0, windowMs: 0 },
      },
      mode: { kind: 'replicated', replicas: 1 },
      placement: { constraints: [], spreadOver: [] },
      update: {
        parallelism: 1,
        delayMs: 0,
        order: 'stop-first',
        failureAction: 'pause',
        monitorMs: 5000,
        maxFailureRatio: 0,
      },
      rollback: {
        parallelism: 1,
        delayMs: 0,
        order: 'stop-first',
        failureAction: 'pause',
        monitorMs: 5000,
        maxFailureRatio: 0,
      },
      dependsOn: {},
      labels: {},
    })
  })
})

describe('a field of the container', () => {
  it.each<[fields: string, expected: Partial<ContainerSpec>]>([
    ['command: echo "a b" $$HOME', { command: ['echo', 'a b', '$HOME'] }],
    ['command: [echo, 1, true]', { command: ['echo', '1', 'true'] }],
    ['command: []', { command: [] }],
    ['command:', {}],
    ['entrypoint: /bin/sh -c', { entrypoint: ['/bin/sh', '-c'] }],
    ['entrypoint: ""', { entrypoint: [] }],
    [
      'environment: {A: 1, B: "x", C: 1.10, D: true, E: "", F: }',
      { environment: { A: '1', B: 'x', C: '1.10', D: 'true', E: '' } },
    ],
    ['environment: [A=1, "B=x=y", C=, D]', { environment: { A: '1', B: 'x=y', C: '' } }],
    ['labels: {a: 1, b: }', { labels: { a: '1', b: '' } }],
    ['labels: [a=1, b]', { labels: { a: '1', b: '' } }],
    ['user: "1000:1000"', { user: '1000:1000' }],
    ['user: 1000', { user: '1000' }],
    ['group_add: [mail, 500]', { groupAdd: ['mail', '500'] }],
    ['working_dir: /srv', { workingDir: '/srv' }],
    ['hostname: web-1.example.org', { hostname: 'web-1.example.org' }],
    ['domainname: example.org', { domainname: 'example.org' }],
    ['dns: 9.9.9.9', { dns: ['9.9.9.9'] }],
    ['dns: [9.9.9.9, "2620:fe::fe"]', { dns: ['9.9.9.9', '2620:fe::fe'] }],
    ['dns_search: example.org', { dnsSearch: ['example.org'] }],
    ['dns_opt: ["ndots:2"]', { dnsOptions: ['ndots:2'] }],
    [
      'extra_hosts: ["db:10.0.0.2", "api=10.0.0.3", "six=[::1]", "gw:host-gateway"]',
      { extraHosts: ['db:10.0.0.2', 'api:10.0.0.3', 'six:::1', 'gw:host-gateway'] },
    ],
    [
      'extra_hosts: {db: 10.0.0.2, two: [10.0.0.3, 10.0.0.4]}',
      { extraHosts: ['db:10.0.0.2', 'two:10.0.0.3', 'two:10.0.0.4'] },
    ],
    ['cap_add: [NET_ADMIN]', { capAdd: ['NET_ADMIN'] }],
    ['cap_drop: [ALL]', { capDrop: ['ALL'] }],
    ['privileged: true', { privileged: true }],
    ['security_opt: ["no-new-privileges:true"]', { securityOpt: ['no-new-privileges:true'] }],
    ['read_only: "yes"', { readOnly: true }],
    ['init: true', { init: true }],
    ['tty: true', { tty: true }],
    ['stdin_open: false', { stdinOpen: false }],
    [
      'ulimits: {nproc: 65535, nofile: {soft: 1024, hard: 2048}, core: -1}',
      {
        ulimits: {
          nproc: { soft: 65535, hard: 65535 },
          nofile: { soft: 1024, hard: 2048 },
          core: { soft: -1, hard: -1 },
        },
      },
    ],
    ['sysctls: {net.core.somaxconn: 1024}', { sysctls: { 'net.core.somaxconn': '1024' } }],
    ['sysctls: [net.core.somaxconn=1024]', { sysctls: { 'net.core.somaxconn': '1024' } }],
    [
      'devices: [/dev/a, "/dev/b:/dev/c", "/dev/d:/dev/e:rw", "/dev/f:r"]',
      {
        devices: [
          { hostPath: '/dev/a', containerPath: '/dev/a', permissions: 'rwm' },
          { hostPath: '/dev/b', containerPath: '/dev/c', permissions: 'rwm' },
          { hostPath: '/dev/d', containerPath: '/dev/e', permissions: 'rw' },
          { hostPath: '/dev/f', containerPath: '/dev/f', permissions: 'r' },
        ],
      },
    ],
    [
      'devices: [{source: /dev/a, target: /dev/b, permissions: r}]',
      { devices: [{ hostPath: '/dev/a', containerPath: '/dev/b', permissions: 'r' }] },
    ],
    ['network_mode: host', { networkMode: 'host' }],
    ['network_mode: none', { networkMode: 'none' }],
    ['network_mode: bridge', { networkMode: 'bridge' }],
    ['networks: [default]', {}],
    ['networks: {default: }', {}],
    ['pid: host', { pidMode: 'host' }],
    ['ipc: shareable', { ipcMode: 'shareable' }],
    ['shm_size: 64M', { shmSizeBytes: 64 * MiB }],
    ['cpu_shares: 512', { cpuShares: 512 }],
    ['cpuset: 0-2,4', { cpusetCpus: '0-2,4' }],
    ['mem_swappiness: 10', { memorySwappiness: 10 }],
    ['oom_score_adj: -500', { oomScoreAdj: -500 }],
    ['oom_kill_disable: true', { oomKillDisable: true }],
    ['runtime: runc', { runtime: 'runc' }],
    ['platform: linux/arm64/v8', { platform: 'linux/arm64/v8' }],
    ['pull_policy: always', { pullPolicy: 'always' }],
    ['pull_policy: never', { pullPolicy: 'never' }],
    ['pull_policy: if_not_present', { pullPolicy: 'missing' }],
    ['stop_grace_period: 1m30s', { stopGraceMs: 90_000 }],
    ['stop_signal: SIGINT', { stopSignal: 'SIGINT' }],
    [
      'logging: {driver: syslog, options: {tag: x, "syslog-facility": 3}}',
      { logging: { driver: 'syslog', options: { tag: 'x', 'syslog-facility': '3' } } },
    ],
    ['logging: {options: {max-size: 10m}}', { logging: { driver: 'json-file', options: { 'max-size': '10m' } } }],
    ['expose: ["80", 81]', {}],
  ])('%s', async (fields, expected) => {
    expect(await container(fields)).toEqual({ ...(await container('')), ...expected })
  })

  it('environment takes names without a value from the project', async () => {
    const { environment } = await container('environment: [A, B]', '', { environment: { A: 'set', PATH: '/bin' } })
    expect(environment).toEqual({ A: 'set' })
  })
})

describe('ports', () => {
  it.each<[ports: string, expected: ContainerSpec['ports']]>([
    ['- 80', [{ containerPort: 80, protocol: 'tcp' }]],
    ['- "8080:80"', [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }]],
    ['- 127.0.0.1:8080:80/udp', [{ hostIp: '127.0.0.1', hostPort: 8080, containerPort: 80, protocol: 'udp' }]],
    ['- 127.0.0.1::80', [{ hostIp: '127.0.0.1', containerPort: 80, protocol: 'tcp' }]],
    ['- "[::1]:8080:80"', [{ hostIp: '::1', hostPort: 8080, containerPort: 80, protocol: 'tcp' }]],
    ['- 80/sctp', [{ containerPort: 80, protocol: 'sctp' }]],
    [
      '- 8000-8001',
      [
        { containerPort: 8000, protocol: 'tcp' },
        { containerPort: 8001, protocol: 'tcp' },
      ],
    ],
    [
      '- "9000-9001:8000-8001"',
      [
        { hostPort: 9000, containerPort: 8000, protocol: 'tcp' },
        { hostPort: 9001, containerPort: 8001, protocol: 'tcp' },
      ],
    ],
    [
      '- {target: 80, published: "8080", host_ip: 127.0.0.1, protocol: udp, mode: host, name: web}',
      [{ hostIp: '127.0.0.1', hostPort: 8080, containerPort: 80, protocol: 'udp' }],
    ],
    ['- {target: 80}', [{ containerPort: 80, protocol: 'tcp' }]],
    ['- {target: 80, published: 0}', [{ containerPort: 80, protocol: 'tcp' }]],
  ])('%s', async (ports, expected) => {
    expect((await container(`ports:\n  ${ports}`)).ports).toEqual(expected)
  })
})

describe('volumes', () => {
  const declared =
    'volumes: {data: , named: {name: other}, out: {external: true}, old: {external: {name: older}}, nfs: {driver: local, driver_opts: {type: nfs, o: "addr=10.0.0.1"}, labels: [a=b]}}'
  it.each<[volume: string, expected: ContainerSpec['mounts'][number]]>([
    ['/cache', { type: 'volume', target: '/cache', readOnly: false }],
    ['data:/data', { type: 'volume', source: 'test_data', target: '/data', readOnly: false }],
    ['data:/data:ro', { type: 'volume', source: 'test_data', target: '/data', readOnly: true }],
    ['data:/data:nocopy', { type: 'volume', source: 'test_data', target: '/data', readOnly: false, noCopy: true }],
    ['named:/data', { type: 'volume', source: 'other', target: '/data', readOnly: false }],
    ['out:/data', { type: 'volume', source: 'out', target: '/data', readOnly: false, external: true }],
    ['old:/data', { type: 'volume', source: 'older', target: '/data', readOnly: false, external: true }],
    [
      'nfs:/data',
      {
        type: 'volume',
        source: 'test_nfs',
        target: '/data',
        readOnly: false,
        driver: 'local',
        driverOptions: { type: 'nfs', o: 'addr=10.0.0.1' },
        labels: { a: 'b' },
      },
    ],
    [
      '/etc/a:/a:ro,rslave',
      { type: 'bind', source: '/etc/a', target: '/a', readOnly: true, propagation: 'rslave', createHostPath: true },
    ],
    ['./conf:/conf', { type: 'bind', source: '/project/conf', target: '/conf', readOnly: false, createHostPath: true }],
    ['../up:/up:cached', { type: 'bind', source: '/up', target: '/up', readOnly: false, createHostPath: true }],
    ['.:/src', { type: 'bind', source: '/project', target: '/src', readOnly: false, createHostPath: true }],
    ['~/x:/x', { type: 'bind', source: '/home/me/x', target: '/x', readOnly: false, createHostPath: true }],
    [
      '{type: volume, source: data, target: /data, read_only: true, volume: {nocopy: true}}',
      { type: 'volume', source: 'test_data', target: '/data', readOnly: true, noCopy: true },
    ],
    ['{type: volume, target: /data}', { type: 'volume', target: '/data', readOnly: false }],
    [
      '{type: bind, source: ./x, target: /x, bind: {propagation: shared, create_host_path: false}}',
      {
        type: 'bind',
        source: '/project/x',
        target: '/x',
        readOnly: false,
        propagation: 'shared',
        createHostPath: false,
      },
    ],
    [
      '{type: tmpfs, target: /t, tmpfs: {size: 1M, mode: 0o1777}}',
      { type: 'tmpfs', target: '/t', sizeBytes: MiB, mode: 0o1777 },
    ],
    [
      '{type: tmpfs, target: /t, tmpfs: {size: 1048576, mode: 0755}}',
      { type: 'tmpfs', target: '/t', sizeBytes: MiB, mode: 0o755 },
    ],
  ])('%s', async (volume, expected) => {
    const { mounts } = await container(`volumes:\n  - ${volume}`, declared, { environment: { HOME: '/home/me' } })
    expect(mounts).toEqual([expected])
  })

  it.each<[tmpfs: string, expected: ContainerSpec['mounts']]>([
    ['/run', [{ type: 'tmpfs', target: '/run' }]],
    [
      '["/run:size=64m,mode=1777,noexec", /tmp]',
      [
        { type: 'tmpfs', target: '/run', sizeBytes: 64 * MiB, mode: 0o1777 },
        { type: 'tmpfs', target: '/tmp' },
      ],
    ],
  ])('tmpfs: %s', async (tmpfs, expected) => {
    expect((await container(`tmpfs: ${tmpfs}`)).mounts).toEqual(expected)
  })

  it('a directory that a volume driver binds is relative to the project', async () => {
    const { mounts } = await container(
      'volumes: ["data:/data"]',
      'volumes: {data: {driver_opts: {type: none, o: bind, device: ./d}}}',
    )
    expect(mounts).toMatchObject([{ driverOptions: { device: '/project/d' } }])
  })
})

describe('healthcheck', () => {
  it.each<[healthcheck: string, expected: ContainerSpec['healthcheck']]>([
    [
      '{test: curl -f http://x || exit 1, interval: 1m, timeout: 10s, retries: 3, start_period: 40s, start_interval: 500ms}',
      {
        test: ['CMD-SHELL', 'curl -f http://x || exit 1'],
        intervalMs: 60_000,
        timeoutMs: 10_000,
        retries: 3,
        startPeriodMs: 40_000,
        startIntervalMs: 500,
      },
    ],
    ['{test: [CMD, pg_isready, -U, me]}', { test: ['CMD', 'pg_isready', '-U', 'me'] }],
    ['{test: [CMD-SHELL, a || b]}', { test: ['CMD-SHELL', 'a || b'] }],
    ['{interval: 3s}', { intervalMs: 3000 }],
    ['{test: [NONE]}', { disabled: true }],
    ['{disable: true}', { disabled: true }],
    ['{disable: false}', undefined],
  ])('%s', async (healthcheck, expected) => {
    expect((await container(`healthcheck: ${healthcheck}`)).healthcheck).toEqual(expected)
  })
})

describe('resources', () => {
  it.each<[fields: string, expected: ContainerSpec['resources']]>([
    [
      'deploy: {resources: {limits: {cpus: "0.5", memory: 50M, pids: 10}, reservations: {cpus: "0.25", memory: 20M}}}',
      {
        reservation: { cpuCores: 0.25, memoryBytes: 20 * MiB },
        limit: { cpuCores: 0.5, memoryBytes: 50 * MiB, pids: 10 },
      },
    ],
    [
      'cpus: 1.5\nmem_limit: 64m\nmem_reservation: 32m\nmemswap_limit: 128m\npids_limit: 100',
      {
        reservation: { cpuCores: 0, memoryBytes: 32 * MiB },
        limit: { cpuCores: 1.5, memoryBytes: 64 * MiB, memorySwapBytes: 128 * MiB, pids: 100 },
      },
    ],
    [
      'mem_limit: 64m\nmemswap_limit: -1\npids_limit: -1',
      { reservation: { cpuCores: 0, memoryBytes: 0 }, limit: { memoryBytes: 64 * MiB, memorySwapBytes: -1 } },
    ],
    ['cpu_quota: 50000', { reservation: { cpuCores: 0, memoryBytes: 0 }, limit: { cpuCores: 0.5 } }],
    ['cpu_quota: 50000\ncpu_period: 25000', { reservation: { cpuCores: 0, memoryBytes: 0 }, limit: { cpuCores: 2 } }],
    ['cpus: 0\nmem_limit: 0', { reservation: { cpuCores: 0, memoryBytes: 0 }, limit: {} }],
    [
      'mem_limit: 64m\ndeploy: {resources: {limits: {memory: 64M}}}',
      { reservation: { cpuCores: 0, memoryBytes: 0 }, limit: { memoryBytes: 64 * MiB } },
    ],
  ])('%s', async (fields, expected) => {
    expect((await container(fields)).resources).toEqual(expected)
  })
})

describe('restart', () => {
  it.each<[fields: string, expected: ServiceSpec['task']['restart']]>([
    ['restart: "no"', { condition: 'none', delayMs: 0, windowMs: 0 }],
    ['restart: no', { condition: 'none', delayMs: 0, windowMs: 0 }],
    ['restart: always', { condition: 'any', delayMs: 0, windowMs: 0 }],
    ['restart: unless-stopped', { condition: 'any', delayMs: 0, windowMs: 0 }],
    ['restart: on-failure', { condition: 'on-failure', delayMs: 0, windowMs: 0 }],
    ['restart: on-failure:3', { condition: 'on-failure', delayMs: 0, maxAttempts: 3, windowMs: 0 }],
    [
      'deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}',
      { condition: 'on-failure', delayMs: 5000, maxAttempts: 3, windowMs: 120_000 },
    ],
    ['deploy: {restart_policy: {delay: 5s}}', { condition: 'any', delayMs: 5000, windowMs: 0 }],
    ['restart: "no"\ndeploy: {restart_policy: {condition: any}}', { condition: 'any', delayMs: 0, windowMs: 0 }],
  ])('%s', async (fields, expected) => {
    expect((await service(fields)).task.restart).toEqual(expected)
  })
})

describe('deploy', () => {
  it.each<[fields: string, expected: Partial<ServiceSpec>]>([
    ['deploy: {replicas: 3}', { mode: { kind: 'replicated', replicas: 3 } }],
    ['deploy: {mode: replicated, replicas: "0"}', { mode: { kind: 'replicated', replicas: 0 } }],
    ['scale: 4', { mode: { kind: 'replicated', replicas: 4 } }],
    ['deploy: {mode: global}', { mode: { kind: 'global' } }],
    ['deploy: {labels: {a: 1}}', { labels: { a: '1' } }],
    ['deploy: {labels: [a=1]}', { labels: { a: '1' } }],
    [
      'deploy: {placement: {constraints: ["node.labels.disk==ssd", "node.hostname != web 1"], preferences: [{spread: node.labels.zone}], max_replicas_per_node: 2}}',
      {
        placement: {
          constraints: [
            { attribute: 'node.labels.disk', operator: '==', value: 'ssd' },
            { attribute: 'node.hostname', operator: '!=', value: 'web 1' },
          ],
          spreadOver: ['node.labels.zone'],
          maxPerNode: 2,
        },
      },
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.zone in a,b", "node.labels.zone not in c", "node.labels.gpu exists", "node.labels.old not exists", "node.labels.generation >= 3", "node.labels.load<0.5", "node.name==a"]}}',
      {
        placement: {
          constraints: [
            { attribute: 'node.labels.zone', operator: 'in', value: '', values: ['a', 'b'] },
            { attribute: 'node.labels.zone', operator: 'not-in', value: '', values: ['c'] },
            { attribute: 'node.labels.gpu', operator: 'exists', value: '' },
            { attribute: 'node.labels.old', operator: 'not-exists', value: '' },
            { attribute: 'node.labels.generation', operator: '>=', value: '3' },
            { attribute: 'node.labels.load', operator: '<', value: '0.5' },
            { attribute: 'node.name', operator: '==', value: 'a' },
          ],
          spreadOver: [],
        },
      },
    ],
    ['deploy: {placement: {max_replicas_per_node: 0}}', { placement: { constraints: [], spreadOver: [] } }],
    [
      'deploy: {update_config: {parallelism: 0, delay: 10s, failure_action: rollback, monitor: 1m, max_failure_ratio: 0.2, order: start-first}}',
      {
        update: {
          parallelism: 0,
          delayMs: 10_000,
          failureAction: 'rollback',
          monitorMs: 60_000,
          maxFailureRatio: 0.2,
          order: 'start-first',
        },
      },
    ],
    [
      'deploy: {rollback_config: {parallelism: 2, failure_action: continue}}',
      {
        rollback: {
          parallelism: 2,
          delayMs: 0,
          failureAction: 'continue',
          monitorMs: 5000,
          maxFailureRatio: 0,
          order: 'stop-first',
        },
      },
    ],
  ])('%s', async (fields, expected) => {
    expect(await service(fields)).toEqual({ ...(await service('')), ...expected })
  })
})

describe('depends_on', () => {
  const others = '  db: {image: db}\n  job: {image: job}\n'
  it.each<[fields: string, expected: ServiceSpec['dependsOn']]>([
    [
      'depends_on: [db, job]',
      {
        db: { condition: 'service_started', required: true, restart: false },
        job: { condition: 'service_started', required: true, restart: false },
      },
    ],
    [
      'depends_on: {db: {condition: service_healthy, restart: true}, job: {condition: service_completed_successfully, required: false}}',
      {
        db: { condition: 'service_healthy', required: true, restart: true },
        job: { condition: 'service_completed_successfully', required: false, restart: false },
      },
    ],
    ['depends_on: {gone: {condition: service_started, required: false}}', {}],
  ])('%s', async (fields, expected) => {
    expect((await service(fields, others)).dependsOn).toEqual(expected)
  })
})

describe('profiles', () => {
  const file =
    'services: {web: {image: a}, debug: {image: b, profiles: [debug]}, test: {image: c, profiles: [test, ci]}}'
  it.each<[string[], string[], Record<string, string>]>([
    [[], ['web'], {}],
    [['debug'], ['web', 'debug'], {}],
    [['ci'], ['web', 'test'], {}],
    [['*'], ['web', 'debug', 'test'], {}],
    [[], ['web', 'debug', 'test'], { COMPOSE_PROFILES: 'ci, debug' }],
  ])('with %j the services are %j', async (profiles, names, environment) => {
    const { stack } = await read(file, { profiles, environment })
    expect(Object.keys(stack.services)).toEqual(names)
  })
})

describe('x-berth', () => {
  const placed = (own: object) => ({ placement: { constraints: [], spreadOver: [], ...own } })
  it.each<[fields: string, expected: Partial<ServiceSpec>]>([
    ['x-berth: {priority: 80}', { priority: 80 }],
    ['x-berth: {priority: system}', { priority: 100 }],
    ['x-berth: {priority: best-effort}', { priority: 0 }],
    ['x-berth: {preemption: {max: 1}}', { preemption: { tasksMax: 1 } }],
    ['x-berth: {placement: {policy: binpack}}', placed({ policy: 'binpack' })],
    [
      'x-berth: {placement: {tolerations: [gpu, gpu=yes, "slow=:no-execute", {key: a/b, value: 1, effect: no-schedule}, {key: old}]}}',
      placed({
        tolerations: [
          { key: 'gpu', operator: 'exists' },
          { key: 'gpu', operator: '==', value: 'yes' },
          { key: 'slow', operator: '==', value: '', effect: 'no-execute' },
          { key: 'a/b', operator: '==', value: '1', effect: 'no-schedule' },
          { key: 'old', operator: 'exists' },
        ],
      }),
    ],
    [
      'x-berth: {placement: {affinity: [web, {service: data_db, over: node.labels.zone, required: false}], anti_affinity: [web]}}',
      placed({
        affinity: [
          { service: 'web', over: 'node.name', anti: false, required: true },
          { service: 'data_db', over: 'node.labels.zone', anti: false, required: false },
          { service: 'web', over: 'node.name', anti: true, required: true },
        ],
      }),
    ],
    ['x-berth: {placement: {tolerations: [], affinity: [] }}', placed({})],
  ])('%s', async (fields, expected) => {
    const { priority, preemption, placement } = await service(fields)
    expect({ ...(priority !== undefined && { priority }), ...(preemption && { preemption }), placement }).toEqual({
      ...placed({}),
      ...expected,
    })
  })
})

describe('what is countable', () => {
  it('is reserved beside memory and cores, and the disk under x-berth', async () => {
    const { resources } = await container(
      'deploy: {resources: {reservations: {cpus: "0.5", generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}, {discrete_resource_spec: {kind: ssd}}]}}}\nx-berth: {reservations: {disk: 10G}}',
    )
    expect(resources.reservation).toEqual({
      cpuCores: 0.5,
      memoryBytes: 0,
      diskBytes: 10 * 2 ** 30,
      generic: { gpu: 2, ssd: 1 },
    })
  })

  it.each<[fields: string, expected: ContainerSpec['deviceRequests']]>([
    [
      'deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu, compute], options: {a: b}}]}}}',
      [{ driver: 'nvidia', count: 1, capabilities: ['gpu', 'compute'], options: { a: 'b' } }],
    ],
    [
      'deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}, {capabilities: [tpu], count: all}]}}}',
      [
        { count: -1, capabilities: ['gpu'] },
        { count: -1, capabilities: ['tpu'] },
      ],
    ],
    [
      'deploy: {resources: {reservations: {devices: [{capabilities: [gpu], device_ids: ["0", 3]}]}}}',
      [{ deviceIds: ['0', '3'], capabilities: ['gpu'] }],
    ],
    ['gpus: all', [{ count: -1, capabilities: ['gpu'] }]],
    ['gpus: [{driver: nvidia, count: 2}]', [{ driver: 'nvidia', count: 2, capabilities: ['gpu'] }]],
    ['deploy: {resources: {reservations: {devices: []}}}', undefined],
  ])('%s', async (fields, expected) => {
    expect((await container(fields)).deviceRequests).toEqual(expected)
  })
})
