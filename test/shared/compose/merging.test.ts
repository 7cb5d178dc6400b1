/** Several files: merging, extends, include, environment files, names. */
import { describe, expect, it } from 'vitest'
import { read, refusal } from './reading.ts'

async function merged(base: string, over: string) {
  const wrap = (fields: string) => `services:\n  web:\n${fields.replace(/^/gm, '    ')}\n`
  const files = { 'a.yaml': wrap(`image: app:1\n${base}`), 'b.yaml': wrap(over) }
  const { stack } = await read(files, { files: ['a.yaml', 'b.yaml'] })
  return stack.services.web!
}

describe('a later file', () => {
  it.each<[what: string, base: string, over: string, expected: object]>([
    ['replaces single values', 'user: a', 'user: b', { user: 'b' }],
    ['replaces commands', 'command: [a, b]', 'command: c', { command: ['c'] }],
    ['replaces entrypoints', 'entrypoint: a', 'entrypoint: [c]', { entrypoint: ['c'] }],
    [
      'replaces the test of a healthcheck and keeps its timings',
      'healthcheck: {test: [CMD, a], interval: 5s}',
      'healthcheck: {test: b}',
      { healthcheck: { test: ['CMD-SHELL', 'b'], intervalMs: 5000 } },
    ],
    [
      'merges environments by name',
      'environment: [A=1, B=2]',
      'environment: {B: 3, C: 4}',
      { environment: { A: '1', B: '3', C: '4' } },
    ],
    ['merges labels by name', 'labels: {a: 1}', 'labels: [a=2, b]', { labels: { a: '2', b: '' } }],
    [
      'adds to ports, once',
      'ports: ["80:80"]',
      'ports: ["80:80", "81:81"]',
      {
        ports: [
          { hostPort: 80, containerPort: 80, protocol: 'tcp' },
          { hostPort: 81, containerPort: 81, protocol: 'tcp' },
        ],
      },
    ],
    [
      'knows a port in its long form again',
      'ports: ["80:80"]',
      'ports: [{target: 80, published: 80}]',
      { ports: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' }] },
    ],
    [
      'replaces what is mounted at a place',
      'volumes: ["/a:/x", "/b:/y"]',
      'volumes: ["/c:/x:ro"]',
      {
        mounts: [
          { type: 'bind', source: '/c', target: '/x', readOnly: true, createHostPath: true },
          { type: 'bind', source: '/b', target: '/y', readOnly: false, createHostPath: true },
        ],
      },
    ],
    ['adds to lists', 'cap_add: [A]', 'cap_add: [A, B]', { capAdd: ['A', 'B'] }],
    ['adds to what may be a text', 'dns: 1.1.1.1', 'dns: [8.8.8.8]', { dns: ['1.1.1.1', '8.8.8.8'] }],
    [
      'merges sysctls and extra hosts',
      'sysctls: [a=1]\nextra_hosts: ["h:10.0.0.1"]',
      'sysctls: {b: 2}\nextra_hosts: {h: 10.0.0.2}',
      { sysctls: { a: '1', b: '2' }, extraHosts: ['h:10.0.0.2'] },
    ],
    [
      'merges ulimits of both forms',
      'ulimits: {nofile: 5}',
      'ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}',
      { ulimits: { nofile: { soft: 1, hard: 2 }, nproc: { soft: 3, hard: 3 } } },
    ],
    [
      'keeps the options of the same logging driver',
      'logging: {driver: local, options: {a: 1}}',
      'logging: {options: {b: 2}}',
      { logging: { driver: 'local', options: { a: '1', b: '2' } } },
    ],
    [
      'drops the options of another logging driver',
      'logging: {driver: local, options: {a: 1}}',
      'logging: {driver: syslog}',
      { logging: { driver: 'syslog', options: {} } },
    ],
    [
      'may reset a field',
      'ports: ["80:80"]\nenvironment: {A: 1, B: 2}',
      'ports: !reset []\nenvironment: {A: !reset null}',
      { ports: [], environment: { B: '2' } },
    ],
    [
      'may override a field',
      'ports: ["80:80"]\nenvironment: {A: 1}',
      'ports: !override ["81:81"]\nenvironment: !override {B: 2}',
      { ports: [{ hostPort: 81, containerPort: 81, protocol: 'tcp' }], environment: { B: '2' } },
    ],
    [
      'with an empty field changes nothing of a mapping or list',
      'ports: ["80:80"]\nenvironment: {A: 1}',
      'ports:\nenvironment:',
      { ports: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' }], environment: { A: '1' } },
    ],
  ])('%s', async (_what, base, over, expected) => {
    expect((await merged(base, over)).task.container).toMatchObject(expected)
  })

  it('merges deploy and dependencies deeply', async () => {
    const files = {
      'a.yaml': 'services: {web: {image: a, depends_on: [db], deploy: {replicas: 1, labels: [a=1]}}, db: {image: d}}',
      'b.yaml':
        'services: {web: {depends_on: {db: {condition: service_healthy}, q: {condition: service_started}}, deploy: {replicas: 3, labels: {b: 2}}}, q: {image: q}}',
    }
    const { stack } = await read(files, { files: ['a.yaml', 'b.yaml'] })
    expect(stack.services.web).toMatchObject({
      mode: { kind: 'replicated', replicas: 3 },
      labels: { a: '1', b: '2' },
      dependsOn: { db: { condition: 'service_healthy' }, q: { condition: 'service_started' } },
    })
    expect(Object.keys(stack.services)).toEqual(['web', 'db', 'q'])
  })

  it('cannot make a list of a mapping', async () => {
    const files = {
      'a.yaml': 'services: {web: {image: a, deploy: {replicas: 1}}}',
      'b.yaml': 'services: {web: {deploy: [1]}}',
    }
    expect(await refusal(files, { files: ['a.yaml', 'b.yaml'] })).toContain(
      'b.yaml:1:26  services.web.deploy: is a list here and a mapping at a.yaml:1; the two cannot be merged',
    )
  })

  it('may be another document of the same file', async () => {
    const { stack } = await read('services: {web: {image: a}}\n---\nservices: {web: {user: me}}\n')
    expect(stack.services.web?.task.container).toMatchObject({ image: 'a', user: 'me' })
  })
})

describe('anchors', () => {
  it('mean the latest of their name before the alias, whatever an alias repeats meanwhile', async () => {
    const text = 'x-a: [&n one, &both {x: &n two}, &n three, *both]\nservices: {web: {image: *n}}'
    expect((await read(text)).stack.services.web?.task.container.image).toBe('three')
  })

  it('may stand at a key', async () => {
    const text = 'services: {&n web: {image: *n}}'
    expect((await read(text)).stack.services.web?.task.container.image).toBe('web')
  })

  it('by the thousand take no time', async () => {
    const count = 20_000
    const items = (text: (index: number) => string) => Array.from({ length: count }, (_, index) => `  - ${text(index)}`)
    const all = [...items((index) => `&a${index} v${index}`), ...items((index) => `*a${count - 1 - index}`)]
    const startedAt = performance.now()
    await read(`services: {web: {image: a}}\nx-a:\n${all.join('\n')}\n`)
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  })

  it('and merge keys share what is common, and what is said nearer wins', async () => {
    const { stack } = await read(`
x-a: &a { user: a, image: one }
x-b: &b { user: b, working_dir: /b }
services:
  web: { <<: [*a, *b], image: two, environment: &env { A: 1 } }
  db: { <<: *a, environment: { <<: *env, B: 2 } }
`)
    expect(stack.services.web?.task.container).toMatchObject({ image: 'two', user: 'a', workingDir: '/b' })
    expect(stack.services.db?.task.container).toMatchObject({ image: 'one', environment: { A: '1', B: '2' } })
  })
})

describe('extends', () => {
  it('begins as a service of the same file, over several steps', async () => {
    const { stack } = await read(`
services:
  base: { image: a, environment: { A: 1, B: 1 }, ports: ["80"] }
  middle: { extends: base, environment: { B: 2 } }
  web: { extends: { service: middle }, environment: [C=3], command: run }
`)
    expect(stack.services.web?.task.container).toMatchObject({
      image: 'a',
      environment: { A: '1', B: '2', C: '3' },
      command: ['run'],
      ports: [{ containerPort: 80 }],
    })
  })

  it('begins as a service of another file, whose paths are its own', async () => {
    const files = {
      'compose.yaml': 'services: {web: {extends: {file: common/base.yaml, service: app}, volumes: ["./w:/w"]}}',
      'common/base.yaml':
        'services: {app: {extends: root, image: "a:${TAG}", env_file: app.env}, root: {volumes: ["./r:/r"]}}',
      'common/app.env': 'A=1\n',
    }
    const { stack } = await read(files, { environment: { TAG: '7' } })
    expect(stack.services.web?.task.container).toMatchObject({
      image: 'a:7',
      environment: { A: '1' },
      mounts: [{ source: '/project/common/r' }, { source: '/project/w' }],
    })
    expect(Object.keys(stack.services)).toEqual(['web'])
  })

  it('may reset what the base says, in this file and in the ones before', async () => {
    const files = {
      'a.yaml': 'services: {base: {image: a, ports: ["80:80"]}, web: {image: b, ports: ["81:81"]}}',
      'b.yaml': 'services: {web: {extends: base, ports: !reset []}}',
    }
    const { stack } = await read(files, { files: ['a.yaml', 'b.yaml'] })
    expect(stack.services.web?.task.container.ports).toEqual([])
  })

  it('must not go in circles', async () => {
    const found = await refusal('services: {a: {image: x, extends: b}, b: {extends: a}}')
    expect(found).toContain('compose.yaml:1:35  services.a.extends: extends itself: a → b → a')
  })

  it('must not go in circles over files', async () => {
    const files = {
      'compose.yaml': 'services: {a: {image: x, extends: {file: o.yaml, service: b}}}',
      'o.yaml': 'services: {b: {extends: {file: compose.yaml, service: a}}}',
    }
    expect(await refusal(files)).toContainEqual(expect.stringContaining('extends itself: a → b → a'))
  })
})

describe('include', () => {
  it('brings services and volumes with the paths and variables of their own project', async () => {
    const files = {
      'compose.yaml': 'include: [db/compose.yaml]\nservices: {web: {image: "w:${TAG}", depends_on: [db]}}',
      'db/compose.yaml':
        'services: {db: {image: "d:${DB_TAG}-${TAG}", volumes: ["./init:/init", "data:/data"]}}\nvolumes: {data: }',
      'db/.env': 'DB_TAG=16\nTAG=db\n',
      '.env': 'TAG=main\n',
    }
    const { stack } = await read(files)
    expect(stack.services.web?.task.container.image).toBe('w:main')
    expect(stack.services.db?.task.container).toMatchObject({
      image: 'd:16-main',
      mounts: [{ source: '/project/db/init' }, { source: 'test_data' }],
    })
  })

  it('takes several files, a project directory and environment files', async () => {
    const files = {
      'compose.yaml':
        'include: [{path: [db/a.yaml, db/b.yaml], project_directory: ., env_file: [db/x.env]}]\nservices: {web: {image: w}}',
      'db/a.yaml': 'services: {db: {image: "d:${V}", volumes: ["./init:/init"]}}',
      'db/b.yaml': 'services: {db: {user: me}}',
      'db/x.env': 'V=3',
    }
    const { stack } = await read(files)
    expect(stack.services.db?.task.container).toMatchObject({
      image: 'd:3',
      user: 'me',
      mounts: [{ source: '/project/init' }],
    })
  })

  it('may be changed by a later -f file, and not by the file that includes', async () => {
    const files = {
      'compose.yaml': 'include: [o.yaml]\nservices: {web: {image: w}}',
      'o.yaml': 'services: {db: {image: d}}',
      'over.yaml': 'services: {db: {image: e}}',
      'clash.yaml': 'include: [o.yaml]\nservices: {db: {image: e}}',
    }
    const { stack } = await read(files, { files: ['compose.yaml', 'over.yaml'] })
    expect(stack.services.db?.task.container.image).toBe('e')
    expect(await refusal(files, { files: ['clash.yaml'] })).toEqual([
      'clash.yaml:2:12  services.db: is also defined by include[0] at o.yaml:1; change an included definition in a further -f file instead',
    ])
  })

  it('must not go in circles', async () => {
    const files = {
      'a.yaml': 'include: [b.yaml]\nservices: {a: {image: a}}',
      'b.yaml': 'include: [a.yaml]\nservices: {b: {image: b}}',
    }
    expect(await refusal(files)).toEqual(['b.yaml:1:11  include[0]: includes itself: a.yaml → b.yaml → a.yaml'])
  })

  it('cannot grow into a forest', async () => {
    const files: Record<string, string> = { 'f0.yaml': '' }
    for (let level = 0; level < 18; level++) {
      const next = `f${level + 1}.yaml`
      files[`f${level}.yaml`] = `include: [${next}, ${next}]\nservices: {s${level}: {image: a}}`
    }
    files['f18.yaml'] = 'services: {last: {image: a}}'
    expect(await refusal(files)).toContainEqual(expect.stringContaining('one include too many'))
  })
})

describe('the environment', () => {
  it('of the process stands above .env', async () => {
    const files = {
      'compose.yaml': 'services: {web: {image: "a:${A}-${B}-${C:-c}"}}',
      '.env': 'A=file\nB=file\nC=${A}',
    }
    const { stack } = await read(files, { environment: { A: 'process' } })
    expect(stack.services.web?.task.container.image).toBe('a:process-file-process')
  })

  it('may come from other files than .env', async () => {
    const files = { 'compose.yaml': 'services: {web: {image: "a:${A}"}}', '.env': 'A=1', 'prod.env': 'A=2' }
    expect((await read(files, { envFiles: ['prod.env'] })).stack.services.web?.task.container.image).toBe('a:2')
    expect(await refusal(files, { envFiles: ['gone.env'] })).toContain('gone.env  there is no file gone.env')
  })

  it('of a container is above its env_files, of which the later win', async () => {
    const files = {
      'compose.yaml': `
services:
  web:
    image: a
    env_file: [one.env, {path: two.env, required: true}, {path: gone.env, required: false}, {path: raw.env, format: raw}]
    environment: { D: own }
`,
      'one.env': 'A=1\nB=1\nD=1\nFROM_PROJECT\n',
      'two.env': 'B=2\nC=$' + '{A}-$' + '{PROJECT}\n',
      'raw.env': 'R="$' + '{A}"\n',
    }
    const { stack } = await read(files, { environment: { PROJECT: 'p', FROM_PROJECT: 'x' } })
    expect(stack.services.web?.task.container.environment).toEqual({
      A: '1',
      B: '2',
      C: '1-p',
      D: 'own',
      FROM_PROJECT: 'x',
      R: '"${A}"',
    })
  })

  it('file with a mistake is named with its line', async () => {
    const files = { 'compose.yaml': 'services: {web: {image: a, env_file: a.env}}', 'a.env': 'A=1\nwhat is this\n' }
    expect(await refusal(files)).toEqual(['a.env:2:1  "what is this" is not of the form KEY=value'])
  })

  it('of names that every object has is empty', async () => {
    const { stack } = await read('services: {web: {image: "a:${constructor:-1}"}}')
    expect(stack.services.web?.task.container.image).toBe('a:1')
  })

  it('labels that are Berth’s own come from no file either', async () => {
    const files = { 'compose.yaml': 'services: {web: {image: a, label_file: l}}', l: 'a=1\nberth.task=x\n' }
    expect(await refusal(files)).toEqual([
      "compose.yaml:1:40  services.web.label_file: sets berth.task: labels that begin with berth. are Berth's own; choose another name",
    ])
  })

  it('a variable named like what every object has is not set', async () => {
    const files = { 'compose.yaml': 'services: {web: {image: "a:${A}"}}', '.env': 'A=${constructor:-1}\n' }
    expect((await read(files)).stack.services.web?.task.container.image).toBe('a:1')
  })

  it('labels may come from a file', async () => {
    const files = { 'compose.yaml': 'services: {web: {image: a, label_file: l, labels: {b: 2}}}', l: 'a=1\nb=1\n' }
    expect((await read(files)).stack.services.web?.task.container.labels).toEqual({ a: '1', b: '2' })
  })
})

describe("the stack's name", () => {
  const file = 'name: "named-${N:-x}"\nservices: {web: {image: "a:${COMPOSE_PROJECT_NAME}"}}'
  const plain = 'services: {web: {image: a}}'
  it.each<[what: string, file: string, options: object, name: string]>([
    ['is the option', file, { stack: 'option' }, 'option'],
    ['else COMPOSE_PROJECT_NAME', file, { stack: undefined, environment: { COMPOSE_PROJECT_NAME: 'env' } }, 'env'],
    ['else the name in the file', file, { stack: undefined, environment: { N: 'y' } }, 'named-y'],
    ['else the directory', plain, { stack: undefined }, 'project'],
    [
      'else the directory, made to fit',
      plain,
      { stack: undefined, projectDirectory: '/srv/My_Shop.git' },
      'my-shop-git',
    ],
  ])('%s', async (_what, text, options, name) => {
    expect((await read(text, options)).stack.name).toBe(name)
  })

  it('is a variable in the files', async () => {
    expect((await read(file)).stack.services.web?.task.container.image).toBe('a:test')
  })

  it('that is none is refused', async () => {
    expect(await refusal(plain, { stack: 'a_b' })).toEqual([expect.stringContaining('"a_b" is not a stack\'s name')])
  })
})

describe('without files named', () => {
  it.each<[there: string[], image: string, user: string | undefined]>([
    [['compose.yaml', 'docker-compose.yml'], 'compose.yaml', undefined],
    [['docker-compose.yml', 'docker-compose.override.yml'], 'docker-compose.yml', 'over'],
    [['compose.yml', 'compose.override.yaml'], 'compose.yml', 'over'],
  ])('%j: the usual one is taken with its override', async (there, image, user) => {
    const files = Object.fromEntries(
      there.map((name) => [
        name,
        `services: {web: {${name.includes('override') ? 'user: over' : `image: "${name}"`}}}`,
      ]),
    )
    const { stack } = await read(files, { files: [] })
    expect(stack.services.web?.task.container).toMatchObject({ image, ...(user && { user }) })
  })

  it('COMPOSE_FILE names them', async () => {
    const files = { 'a.yaml': 'services: {web: {image: a}}', 'b.yaml': 'services: {web: {user: b}}' }
    const { stack } = await read(files, { files: [], environment: { COMPOSE_FILE: 'a.yaml:b.yaml' } })
    expect(stack.services.web?.task.container).toMatchObject({ image: 'a', user: 'b' })
  })

  it('and none there, that is said', async () => {
    expect(await refusal({}, { files: [] })).toEqual([expect.stringContaining('no Compose file in /project')])
  })
})

it('standard input is a file like any other', async () => {
  const { stack } = await read({ '-': 'services: {web: {image: a, volumes: ["./x:/x"]}}' })
  expect(stack.services.web?.task.container.mounts).toMatchObject([{ source: '/project/x' }])
  expect(await refusal({ '-': 'services: {web: {imag: a}}' })).toContainEqual(
    expect.stringMatching(/^\(standard input\):1:18 /),
  )
})
