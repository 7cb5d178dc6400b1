/** Every way in which a file is refused or warned about, as the user reads it. */
import { describe, expect, it } from 'vitest'
import { formatFinding } from '../../../shared/compose/read-compose.ts'
import { read, refusal, webFile } from './reading.ts'

/** The findings about `web`, without file and place. */
async function messages(fields: string, rest = ''): Promise<string[]> {
  return (await refusal(webFile(fields, rest))).map(withoutPlace)
}

function withoutPlace(text: string): string {
  return text.replace(/^\S+:\d+:\d+ {2}/, '').replace('services.web.', '')
}

describe('a finding', () => {
  it('names file, line, column, field and the way out', async () => {
    const file = webFile('deploy:\n  resources:\n    limits:\n      memory: 2GBB')
    expect(await refusal(file)).toEqual([
      'compose.yaml:7:19  services.web.deploy.resources.limits.memory: "2GBB" is not a size; write it like 512M or 2G',
    ])
  })

  it.each([
    ['environment: { __proto__: x }', 'environment.__proto__'],
    ['environment: [A=1, __proto__=x]', 'environment[1]'],
    ['environment: [__proto__]', 'environment[0]'],
    ['labels: { __proto__: x }', 'labels.__proto__'],
    ['deploy: { labels: [__proto__=x] }', 'deploy.labels[0]'],
    ['sysctls: { __proto__: 1 }', 'sysctls.__proto__'],
    ['ulimits: { __proto__: 1 }', 'ulimits.__proto__'],
    ['logging: { options: { __proto__: x } }', 'logging.options.__proto__'],
    ['extra_hosts: { __proto__: 10.0.0.1 }', 'extra_hosts.__proto__'],
  ])('%s is about a name that no message to an agent can hold', async (fields, path) => {
    expect(await messages(fields)).toContain(`${path}: __proto__ cannot be a name; choose another`)
  })

  it('about such a name in a file of variables or labels names that file', async () => {
    for (const field of ['env_file', 'label_file']) {
      expect(await refusal({ 'compose.yaml': webFile(`${field}: a.env`), 'a.env': 'A=1\n__proto__=x\n' })).toEqual([
        `compose.yaml:4:${field.length + 7}  services.web.${field}: a.env: __proto__ cannot be a name; choose another`,
      ])
    }
  })

  it('does not hide the others, which come in the order of the file', async () => {
    const file = `
services:
  Web:
    imagee: a
  db:
    image: b
    ports: ["70000:80", "x"]
    stop_grace_period: 10
`
    expect(await refusal(file)).toEqual([
      expect.stringMatching(/^compose.yaml:3:3 {2}services.Web: "Web" is not a name/),
      'compose.yaml:3:3  services.Web: names no image',
      'compose.yaml:4:5  services.Web.imagee: is not a field that Compose knows here; did you mean "image"?',
      'compose.yaml:7:13  services.db.ports[0]: 70000 is not a port; it takes 1 to 65535',
      expect.stringMatching(/^compose.yaml:7:25 {2}services.db.ports\[1\]: "x" is not a port/),
      'compose.yaml:8:24  services.db.stop_grace_period: "10" is not a duration; write it like 10s',
    ])
  })

  it('about a value that was merged points at the file that wrote it last', async () => {
    const files = {
      'base.yaml': webFile('deploy:\n  replicas: 2'),
      'over.yaml': 'services:\n  web:\n    deploy:\n      replicas: many\n',
    }
    expect(await refusal(files, { files: ['base.yaml', 'over.yaml'] })).toEqual([
      'over.yaml:4:17  services.web.deploy.replicas: "many" is not a whole number',
    ])
  })

  it('about an anchored value points at where it is written', async () => {
    const file =
      'x-limits: &limits\n  memory: lots\nservices:\n  web:\n    image: a\n    deploy: {resources: {limits: *limits}}\n'
    expect(await refusal(file)).toEqual([
      'compose.yaml:2:11  services.web.deploy.resources.limits.memory: "lots" is not a size; write it like 512M or 2G',
    ])
  })
})

describe('a value is refused', () => {
  it.each<[fields: string, message: string]>([
    ['enviroment: {A: 1}', 'enviroment: is not a field that Compose knows here; did you mean "environment"?'],
    ['deploy: {replica: 1}', 'deploy.replica: is not a field that Compose knows here; did you mean "replicas"?'],
    ['healthcheck: {tests: x}', 'healthcheck.tests: is not a field that Compose knows here; did you mean "test"?'],
    [
      'x-berth: {priorty: 1}',
      'x-berth.priorty: is not a setting of Berth here; there are priority, placement, preemption, reservations, health, sampling; did you mean "priority"?',
    ],
    ['deploy: {x-berth: {priority: 1}}', 'deploy.x-berth: belongs under a service: services.NAME.x-berth'],
    ['privileged: maybe', 'privileged: "maybe" is neither true nor false'],
    ['environment: text', 'environment: should be a mapping, or a list of KEY=value, and is "text"'],
    ['environment: {A: [1]}', 'environment.A: should be a single value, and is a list'],
    ['environment: ["=1"]', 'environment[0]: has no name before its ='],
    ['command: {a: 1}', 'command: should be a single value, and is a mapping'],
    ['command: echo "a', 'command: has a quote that is not closed, or ends in a backslash'],
    ['ports: 80', 'ports: should be a list, and is "80"'],
    ['ports: ["65536"]', 'ports[0]: 65536 is not a port; it takes 1 to 65535'],
    ['ports: ["80/http"]', 'ports[0]: "http" is none of tcp, udp, sctp'],
    ['ports: ["300.1.1.1:80:80"]', 'ports[0]: "300.1.1.1" is not an IP address'],
    [
      'ports: ["8000-8002:80-81"]',
      'ports[0]: 8000-8002 cannot be paired with 80-81: the two ranges have different lengths',
    ],
    [
      'ports: ["8000-8002:80"]',
      'ports[0]: 8000-8002 cannot be paired with 80: Berth picks no port out of a range; name one',
    ],
    ['ports: ["81-80"]', 'ports[0]: the range 81-80 ends before it begins'],
    ['ports: ["1-60000"]', 'ports[0]: the range 1-60000 is longer than 1024 ports'],
    ['ports: [{published: 80}]', 'ports[0]: names no target, the port inside the container'],
    ['ports: [{target: 80, port: 1}]', 'ports[0].port: is not a field that Compose knows here'],
    ['volumes: ["data:/data"]', 'volumes[0]: the volume "data" is not declared under the top-level "volumes"'],
    ['volumes: ["./a:b"]', 'volumes[0]: "b" is not an absolute path; a container mounts at one like /data'],
    [
      'volumes: ["/a:/b:rx"]',
      'volumes[0]: "rx" is not a mode of a volume; there are ro, rw, z, Z, nocopy and the propagations of a bind',
    ],
    ['volumes: ["/a:/b", "/c:/b/"]', 'volumes[1]: /b is mounted twice'],
    ['volumes: [{source: a, target: /b}]', 'volumes[0]: says no type: volume, bind or tmpfs'],
    ['volumes: [{type: bind, target: /b}]', 'volumes[0]: a bind names its source, a path on the host'],
    [
      'volumes: [{type: disk, target: /b}]',
      'volumes[0].type: "disk" is none of volume, bind, tmpfs, image, npipe, cluster',
    ],
    ['tmpfs: "/run:size=big"', 'tmpfs: "big" is not a size; write it like 512M or 2G'],
    ['healthcheck: {test: [curl, x]}', 'healthcheck.test: a list begins with CMD, CMD-SHELL or NONE, not "curl"'],
    ['healthcheck: {test: [CMD]}', 'healthcheck.test: CMD is followed by no command'],
    ['healthcheck: {test: a, interval: 5}', 'healthcheck.interval: "5" is not a duration; write it like 5s'],
    [
      'healthcheck: {test: a, interval: soon}',
      'healthcheck.interval: "soon" is not a duration; write it like 10s or 1m30s',
    ],
    ['mem_limit: 1M', 'mem_limit: is less than 6M, the least that the Engine can limit memory to'],
    ['mem_limit: 32m\nmem_reservation: 64m', 'mem_reservation: reserves more memory than the limit allows'],
    ['memswap_limit: 1g', 'memswap_limit: needs a limit of memory beside it'],
    ['cpus: -1', 'cpus: -1 is out of range; it takes 0 or more'],
    [
      'cpus: 1\ndeploy: {resources: {reservations: {cpus: 2}}}',
      'deploy.resources.reservations.cpus: reserves more cores than the limit allows',
    ],
    [
      'cpus: 1\ndeploy: {resources: {limits: {cpus: 2}}}',
      'cpus: says something else than services.web.deploy.resources.limits.cpus; say it in one place',
    ],
    ['cpuset: two', 'cpuset: "two" is not a set of cores; write it like 0-3 or 0,2'],
    ['restart: sometimes', 'restart: "sometimes" is none of no, always, unless-stopped, on-failure, on-failure:N'],
    [
      'deploy: {mode: global, replicas: 2}',
      'deploy.replicas: a global service has one task on every node; it takes no count',
    ],
    [
      'deploy: {mode: everywhere}',
      'deploy.mode: "everywhere" is none of replicated, global, replicated-job, global-job',
    ],
    ['deploy: {replicas: -1}', 'deploy.replicas: -1 is out of range; it takes 0 to 1000000'],
    ['deploy: {replicas: 1.5}', 'deploy.replicas: "1.5" is not a whole number'],
    [
      'scale: 2\ndeploy: {replicas: 3}',
      'scale: says something else than services.web.deploy.replicas; say it in one place',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a = b"]}}',
      'deploy.placement.constraints[0]: "=" is no operator; there are ==, !=, in, not in, exists, not exists, <, <=, >, >=; did you mean "=="?',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a =="]}}',
      'deploy.placement.constraints[0]: "node.labels.a ==" says no value after ==',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a"]}}',
      'deploy.placement.constraints[0]: "node.labels.a" is not a constraint; write it like node.labels.disk == ssd, node.labels.zone in a, b or node.labels.gpu exists',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a exist"]}}',
      'deploy.placement.constraints[0]: "exist" is no operator; there are ==, !=, in, not in, exists, not exists, <, <=, >, >=; did you mean "exists"?',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a exists b"]}}',
      'deploy.placement.constraints[0]: "node.labels.a exists" takes no value, and has "b"',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a in"]}}',
      'deploy.placement.constraints[0]: "node.labels.a in" says no value after in',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a not in a,,b"]}}',
      'deploy.placement.constraints[0]: "node.labels.a not in a,,b" has an empty value; write it like node.labels.a in a, b',
    ],
    [
      'deploy: {placement: {constraints: ["node.labels.a >= three"]}}',
      'deploy.placement.constraints[0]: "node.labels.a >= three" compares numbers, and "three" is none; write it like node.labels.a >= 3',
    ],
    [
      'deploy: {placement: {constraints: ["node.hostnam == a"]}}',
      'deploy.placement.constraints[0]: "node.hostnam" is not an attribute of a node; there are node.id, node.name, node.hostname, node.role, node.platform.os, node.platform.arch, node.labels.NAME, engine.labels.NAME; did you mean "node.hostname"?',
    ],
    [
      'deploy: {placement: {preferences: [{}]}}',
      'deploy.placement.preferences[0]: says nothing to spread over; write "spread: node.labels.zone"',
    ],
    [
      'deploy: {update_config: {max_failure_ratio: 2}}',
      'deploy.update_config.max_failure_ratio: 2 is out of range; it takes 0 to 1',
    ],
    [
      'deploy: {rollback_config: {failure_action: rollback}}',
      'deploy.rollback_config.failure_action: a rollback that fails cannot be rolled back; pause or continue',
    ],
    ['depends_on: [bd]', 'depends_on[0]: there is no service "bd"; did you mean "db"?'],
    ['depends_on: [web]', 'depends_on: waits for itself: web → web'],
    ['depends_on: [tool]', 'depends_on[0]: "tool" runs only with the profile tools; add --profile tools'],
    [
      'depends_on: {db: {condition: healthy}}',
      'depends_on.db.condition: "healthy" is none of service_started, service_healthy, service_completed_successfully',
    ],
    [
      'labels: {berth.stack: x}',
      "labels.berth.stack: labels that begin with berth. are Berth's own; choose another name",
    ],
    ['extra_hosts: [db]', 'extra_hosts[0]: "db" is not of the form HOST=ADDRESS'],
    ['extra_hosts: {db: there}', 'extra_hosts.db: "there" is not an IP address'],
    ['dns: resolver', 'dns: "resolver" is not an IP address'],
    ['hostname: a b', 'hostname: "a b" is not a host name'],
    ['ulimits: {nofile: {soft: 5}}', 'ulimits.nofile: says no hard limit; both are needed'],
    ['ulimits: {nofile: {soft: 5, hard: 4}}', 'ulimits.nofile: the soft limit is above the hard one'],
    ['devices: [ttyUSB0]', 'devices[0]: a device is an absolute path like /dev/ttyUSB0'],
    ['devices: ["/dev/a:/dev/b:rx"]', 'devices[0]: "rx" are not permissions of a device; r, w and m make them'],
    ['sysctls: [net.core.somaxconn]', 'sysctls[0]: net.core.somaxconn has no value'],
    ['stop_signal: please', 'stop_signal: "please" is not a signal; write it like SIGTERM'],
    ['pull_policy: often', 'pull_policy: "often" is none of always, missing, never'],
    ['network_mode: host\nnetworks: [default]', 'network_mode: cannot stand beside networks'],
    ['oom_score_adj: 2000', 'oom_score_adj: 2000 is out of range; it takes -1000 to 1000'],
    ['env_file: gone.env', 'env_file: there is no file gone.env'],
    ['env_file: [{path: a, format: json}]', 'env_file[0].format: "json" is not a format; there is raw, or none'],
    ['extends: bse', 'extends: there is no service "bse" in compose.yaml'],
  ])('%s', async (fields, message) => {
    const others = '  db: {image: db}\n  tool: {image: t, profiles: [tools]}\n'
    expect(await messages(fields, others)).toContain(message)
  })
})

describe('a file is refused', () => {
  it.each<[what: string, file: string, message: string | RegExp]>([
    ['invalid YAML', 'services:\n  web: [\n', /^compose.yaml:3:1 {2}not valid YAML: /],
    ['a tab that indents', 'services:\n\tweb: {image: a}\n', /^compose.yaml:2:\d {2}not valid YAML/],
    [
      'a key written twice',
      'services:\n  web: {image: a}\n  web: {image: b}\n',
      'compose.yaml:3:3  the key "web" is written twice in one mapping',
    ],
    ['a list instead of a mapping', '- services\n', /^compose.yaml:1:1 {2}a Compose file is a mapping/],
    ['nothing', '', /has no services/],
    ['no services', 'volumes: {}\n', /has no services/],
    ['empty services', 'services: {}\n', /has no services/],
    [
      'an unknown top-level field',
      'service: {web: {image: a}}\nservices: {web: {image: a}}\n',
      'compose.yaml:1:1  service: is not a field that Compose knows here; did you mean "services"?',
    ],
    [
      'a service that is no mapping',
      'services: {web: nginx}\n',
      'compose.yaml:1:17  services.web: should be a mapping, and is "nginx"',
    ],
    ['a service without image', 'services: {web: {command: a}}\n', 'compose.yaml:1:12  services.web: names no image'],
    ['a service to be built', 'services: {web: {build: .}}\n', /services.web.build: cannot be built here/],
    [
      'a circle of dependencies',
      'services: {a: {image: a, depends_on: [b]}, b: {image: b, depends_on: [a]}}\n',
      /services.a.depends_on: waits for itself: a → b → a$/,
    ],
    ['only services with profiles', 'services: {a: {image: a, profiles: [p]}}\n', /every service has a profile/],
    ['an alias without anchor', 'services: {web: *nothing}\n', /nothing/],
    [
      'an alias within itself',
      'services: &a {web: *a}\n',
      'compose.yaml:1:20  services.web: the alias *a contains itself',
    ],
    ['an unknown tag', 'services: {web: {image: !secret a}}\n', /the tag !secret is unknown/],
    ['a merge key of a text', 'services: {web: {<<: x, image: a}}\n', /services.web.<<: a merge key takes a mapping/],
    [
      'a driver for an external volume',
      'services: {web: {image: a}}\nvolumes: {v: {external: true, driver: x}}\n',
      /volumes.v.driver: cannot be said of an external volume/,
    ],
    [
      'a name that is none',
      'name: My_App\nservices: {web: {image: a}}\n',
      /name: "My_App" is not a stack's name; .*"my-app" would do$/,
    ],
    [
      'a variable that must be set',
      'services: {web: {image: "a:${TAG:?say which}"}}\n',
      'compose.yaml:1:25  services.web.image: the variable TAG is required: say which',
    ],
    [
      'a dollar that means nothing',
      'services: {web: {image: a, command: "echo $1"}}\n',
      /"\$1" is not a variable; write \$\$/,
    ],
    [
      'an include that is not there',
      'include: [other.yaml]\nservices: {web: {image: a}}\n',
      'compose.yaml:1:11  include[0]: there is no file other.yaml',
    ],
    [
      'an extended file that is not there',
      'services: {web: {extends: {file: o.yaml, service: a}}}\n',
      /services.web.extends.file: there is no file o.yaml/,
    ],
    ['deep nesting', `services: ${'['.repeat(200)}${']'.repeat(200)}\n`, /nested/],
    ['very deep nesting', `services: ${'['.repeat(100_000)}`, /nested|not valid YAML/],
  ])('%s', async (_what, file, message) => {
    const found = await refusal(file, { stack: undefined })
    expect(found).toContainEqual(typeof message === 'string' ? message : expect.stringMatching(message))
  })

  it('a variable that must be set is all that is said of the field: what is not there has no other faults', async () => {
    const file = 'services: {web: {image: "${TAG:?say which}", mem_limit: "${MEMORY:?how much}"}}\n'
    expect(await refusal(file, { stack: undefined })).toEqual([
      'compose.yaml:1:25  services.web.image: the variable TAG is required: say which',
      'compose.yaml:1:57  services.web.mem_limit: the variable MEMORY is required: how much',
    ])
  })

  it('that is not there', async () => {
    expect(await refusal({ 'compose.yaml': '' }, { files: ['gone.yaml'] })).toEqual([
      'gone.yaml  there is no file gone.yaml',
    ])
  })

  it('larger than 4 MiB', async () => {
    expect(await refusal(`# ${'x'.repeat(4 * 2 ** 20)}`)).toEqual(['compose.yaml  compose.yaml is larger than 4 MiB'])
  })

  it('whose aliases expand without end', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let level = 1; level < 9; level++)
      lines.push(
        `a${level}: &a${level} [${Array(10)
          .fill(`*a${level - 1}`)
          .join(', ')}]`,
      )
    expect(
      await refusal(`x-bomb:\n${lines.map((line) => `  ${line}`).join('\n')}\nservices: {web: {image: a}}\n`),
    ).toEqual([expect.stringContaining("the file's aliases expand to more than 200000 values")])
  })

  it('with more than 1000 services', async () => {
    const services = Array.from({ length: 1001 }, (_, index) => `  s${index}: {image: a}`).join('\n')
    expect(await refusal(`services:\n${services}\n`)).toEqual([
      expect.stringContaining('has 1001 services; a stack may have 1000'),
    ])
  })
})

describe('valid Compose that Berth does not honour yet is refused where it would change what runs', () => {
  it.each<[fields: string, rest: string]>([
    ['networks: [front]', 'networks: {front: }'],
    ['networks: {default: {aliases: [a]}}', ''],
    ['configs: [a]', 'configs: {a: {file: ./a}}'],
    ['secrets: [{source: a, target: b}]', 'secrets: {a: {file: ./a}}'],
    ['network_mode: "service:db"', ''],
    ['network_mode: "container:db"', ''],
    ['network_mode: mynet', ''],
    ['pid: "service:db"', ''],
    ['ipc: "container:db"', ''],
    ['links: [db]', ''],
    ['external_links: [db]', ''],
    ['deploy: {mode: replicated-job}', ''],
    ['deploy: {mode: global-job}', ''],
    ['deploy: {resources: {reservations: {pids: 5}}}', ''],
    ['cgroup_parent: x', ''],
    ['cgroup: host', ''],
    ['blkio_config: {weight: 300}', ''],
    ['credential_spec: {file: a}', ''],
    ['models: [llm]', 'models: {llm: {model: a}}'],
    ['provider: {type: x}', ''],
    ['devices: ["vendor.com/class=name"]', ''],
    ['device_cgroup_rules: ["c 1:3 mr"]', ''],
    ['volumes_from: [db]', ''],
    ['volumes: [{type: image, source: a, target: /a}]', ''],
    ['volumes: [{type: volume, source: v, target: /a, volume: {subpath: x}}]', 'volumes: {v: }'],
    ['tmpfs: ["/run:uid=1000"]', ''],
    ['mac_address: 02:42:ac:11:65:43', ''],
    ['userns_mode: host', ''],
    ['uts: host', ''],
    ['isolation: hyperv', ''],
    ['storage_opt: {size: 1G}', ''],
    ['post_start: [{command: a}]', ''],
    ['pre_stop: [{command: a}]', ''],
    ['use_api_socket: true', ''],
    ['cpu_count: 2', ''],
    ['cpu_percent: 50', ''],
    ['cpu_rt_period: 400ms', ''],
    ['cpu_rt_runtime: 400ms', ''],
    ['pull_policy: build', ''],
    ['pull_policy: daily', ''],
    ['', 'networks: {default: {driver: overlay}}'],
  ])('%s %s', async (fields, rest) => {
    const found = await messages(fields, rest)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/honoured/)
    // The user may choose to go without it.
    const { warnings } = await read(webFile(fields, rest), { allowUnsupported: true })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/^compose.yaml:\d+:\d+ {2}warning: /)
  })
})

describe('valid Compose that Berth does not honour is only warned about where little changes', () => {
  it.each([
    'build: .',
    'annotations: {a: b}',
    'attach: false',
    'container_name: web',
    'develop: {watch: []}',
    'pull_refresh_after: 1d',
    'deploy: {endpoint_mode: dnsrr}',
    'ports: [{target: 80, mode: ingress}]',
    'network_mode: host\nports: ["80:80"]',
    'volumes: ["/a:/b:z"]',
  ])('%s', async (fields) => {
    const { findings } = await read(webFile(fields))
    expect(findings.map((finding) => finding.level)).toEqual(['warning'])
    expect(formatFinding(findings[0]!)).toMatch(/^compose.yaml:\d+:\d+ {2}warning: services.web./)
  })
})

describe('what changes nothing is passed over', () => {
  it.each<[fields: string, rest: string]>([
    ['expose: [80]', ''],
    ['x-mine: {a: 1}', 'x-top: [1]'],
    ['x-berth: ', ''],
    ['secrets: []', ''],
    ['', 'version: "3.8"'],
    ['', 'x-berth: '],
    ['', 'networks: {unused: {driver: overlay}}'],
    ['', 'networks: {default: {driver: bridge}}'],
    ['', 'networks: {default: }'],
    ['', 'secrets: {unused: {file: a}}'],
    ['', 'volumes: {unused: }'],
  ])('%s %s', async (fields, rest) => {
    expect((await read(webFile(fields, rest))).findings).toEqual([])
  })
})

it('a variable that is not set is warned about once for each file', async () => {
  const { stack, warnings } = await read(webFile('environment: {A: "${TAG}", B: "$TAG"}'))
  expect(stack.services.web?.task.container.environment).toEqual({ A: '', B: '' })
  expect(warnings).toEqual([
    'compose.yaml:4:22  warning: services.web.environment.A: the variable TAG is not set; an empty text stands in its place',
  ])
})

describe('a setting of Berth is refused', () => {
  it.each<[fields: string, message: string]>([
    [
      'x-berth: {priority: hihg}',
      'x-berth.priority: "hihg" is no class of priority (system, high, normal, low, best-effort) and no whole number from 0 to 100; did you mean "high"?',
    ],
    ['x-berth: {priority: 101}', 'x-berth.priority: 101 is out of range; it takes 0 to 100'],
    ['x-berth: {priority: -1}', 'x-berth.priority: -1 is out of range; it takes 0 to 100'],
    [
      'x-berth: {priority: 0.5}',
      'x-berth.priority: "0.5" is no class of priority (system, high, normal, low, best-effort) and no whole number from 0 to 100',
    ],
    [
      'x-berth: {placement: {policy: bin-pack}}',
      'x-berth.placement.policy: "bin-pack" is none of first-fit, binpack, spread, least-loaded; did you mean "binpack"?',
    ],
    [
      'x-berth: {placement: {constraints: []}}',
      'x-berth.placement.constraints: is not a setting of Berth here; there are policy, tolerations, affinity, anti_affinity',
    ],
    ['x-berth: {preemption: {max: -1}}', 'x-berth.preemption.max: -1 is out of range; it takes 0 or more'],
    ['x-berth: {preemption: {maximum: 1}}', 'x-berth.preemption.maximum: is not a setting of Berth here; there is max'],
    [
      'x-berth: {reservations: {disk: 10GBB}}',
      'x-berth.reservations.disk: "10GBB" is not a size; write it like 512M or 2G',
    ],
    [
      'x-berth: {placement: {tolerations: ["gpu=yes:no-shedule"]}}',
      'x-berth.placement.tolerations[0]: "no-shedule" is no effect of a taint; there are no-schedule, prefer-no-schedule, no-execute; did you mean "no-schedule"?',
    ],
    [
      'x-berth: {placement: {tolerations: [{value: yes}]}}',
      'x-berth.placement.tolerations[0]: names no key; write it like "key: gpu", or in short gpu=yes:no-schedule',
    ],
    [
      'x-berth: {placement: {tolerations: ["g u"]}}',
      'x-berth.placement.tolerations[0]: "g u" cannot be the key of a taint; use letters, digits, ".", "_", "/" and "-"',
    ],
    [
      'x-berth: {placement: {affinity: [wob]}}',
      'x-berth.placement.affinity[0]: there is no service "wob" in this stack; one of another stack is written STACK_wob; did you mean "web"?',
    ],
    [
      'x-berth: {placement: {anti_affinity: [{over: node.name}]}}',
      'x-berth.placement.anti_affinity[0]: names no service; write it like "service: db"',
    ],
    [
      'x-berth: {placement: {affinity: [{service: web, over: node.nam}]}}',
      'x-berth.placement.affinity[0].over: "node.nam" is not an attribute of a node; there are node.id, node.name, node.hostname, node.role, node.platform.os, node.platform.arch, node.labels.NAME, engine.labels.NAME; did you mean "node.name"?',
    ],
    [
      'x-berth: {placement: {affinity: [{service: web, when: now}]}}',
      'x-berth.placement.affinity[0].when: is not a setting of Berth here; there are service, over, required',
    ],
  ])('%s', async (fields, message) => {
    expect(await messages(fields)).toEqual([message])
  })
})

describe('a device or resource is refused', () => {
  it.each<[reservations: string, message: string]>([
    ['generic_resources: [{kind: gpu}]', 'generic_resources[0].kind: is not a field that Compose knows here'],
    [
      'generic_resources: [{}]',
      'generic_resources[0]: names no resource; write "discrete_resource_spec: {kind: gpu, value: 1}"',
    ],
    [
      'generic_resources: [{discrete_resource_spec: {value: 1}}]',
      'generic_resources[0].discrete_resource_spec: names no kind of resource; write it like "kind: gpu"',
    ],
    [
      'generic_resources: [{discrete_resource_spec: {kind: gpu, value: some}}]',
      'generic_resources[0].discrete_resource_spec.value: "some" is not a whole number',
    ],
    [
      'generic_resources: [{discrete_resource_spec: {kind: gpu}}, {discrete_resource_spec: {kind: gpu}}]',
      'generic_resources[1].discrete_resource_spec.kind: "gpu" is reserved twice; say how many in one place',
    ],
    ['devices: [{driver: nvidia}]', 'devices[0]: names no capability; write it like "capabilities: [gpu]"'],
    [
      'devices: [{capabilities: [gpu], count: 1, device_ids: ["0"]}]',
      'devices[0].count: is said beside device_ids; name the devices or say how many',
    ],
    ['devices: [{capabilities: [gpu], count: few}]', 'devices[0].count: "few" is not a whole number'],
    ['devices: [{capabilities: [gpu], count: 0}]', 'devices[0].count: 0 is out of range; it takes 1 to 1000000'],
    [
      'devices: [{capabilities: [gpu], device_id: ["0"]}]',
      'devices[0].device_id: is not a field that Compose knows here; did you mean "device_ids"?',
    ],
  ])('%s', async (reservations, message) => {
    const found = await messages(`deploy: {resources: {reservations: {${reservations}}}}`)
    expect(found).toContain(`deploy.resources.reservations.${message}`)
  })

  it('gpus that are neither all nor a list', async () => {
    expect(await messages('gpus: two')).toEqual(['gpus: "two" is none of all'])
  })
})

it('a bad setting of Berth is pointed at where it stands', async () => {
  expect(await refusal(webFile('x-berth:\n  placement:\n    policy: bin-pack'))).toEqual([
    'compose.yaml:6:17  services.web.x-berth.placement.policy: "bin-pack" is none of first-fit, binpack, spread, least-loaded; did you mean "binpack"?',
  ])
})
