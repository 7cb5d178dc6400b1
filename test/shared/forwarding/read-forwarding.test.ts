import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ComposeError } from '../../../shared/compose/findings.ts'
import { ALL_LINES, ForwardingConfig, withoutSecrets } from '../../../shared/forwarding/config.ts'
import { readForwarding } from '../../../shared/forwarding/read-forwarding.ts'

const CA = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
const readCa = (path: string) => {
  if (path === 'ca.pem') return CA
  throw new Error(`names ${path}: there is no such file`)
}
const read = (text: string) => readForwarding(text, 'forwarding.yaml', readCa)

function errorsOf(text: string): string[] {
  try {
    read(text)
    return []
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error
    return error.message.split('\n')
  }
}

test('a target gets all lines and no figures, from now on, if it says no more', () => {
  expect(read('targets: [{ name: l, loki: { url: "https://l" } }]').targets).toEqual([
    { name: 'l', kind: 'loki', url: 'https://l', begin: 'now', logs: ALL_LINES, metrics: null },
  ])
})

test('what a target says about lines, figures, trust and who sends is read', () => {
  const { targets } = read(`targets:
  - name: col
    otlp: { url: "https://c:4318", headers: { api-key: k }, ca_file: ca.pem }
    begin: oldest
    logs: { services: [shop_*, web], stacks: shop, streams: [stderr], level: warn }
    metrics: { every: 10s }
  - name: one
    otlp: { url: "https://c:4318", user: u, password: p }
    logs: false
    metrics: true
  - name: sys
    syslog: { url: tls://s, facility: local3 }`)
  expect(targets).toMatchObject([
    {
      ...{ kind: 'otlp', headers: { 'api-key': 'k' }, ca: CA, begin: 'oldest', metrics: { everyMs: 10_000 } },
      logs: { services: ['shop_*', 'web'], stacks: ['shop'], streams: ['stderr'], level: 'warn' },
    },
    { logs: null, metrics: { everyMs: 30_000 }, user: 'u', password: 'p' },
    { kind: 'syslog', facility: 'local3', logs: ALL_LINES },
  ])
})

test('the example can be read', async () => {
  const path = join(import.meta.dirname, '../../../examples/forwarding/forwarding.yaml')
  const { targets } = readForwarding(await readFile(path, 'utf8'), path, () => CA)
  expect(targets.map(({ kind }) => kind)).toEqual(['loki', 'otlp', 'syslog'])
})

test('secrets are not shown, nor what stands behind the host in a URL', () => {
  const { targets } = read(`targets:
  - { name: a, loki: { url: "https://l:3100/S3CRET?k=S3CRET", token: S3CRET, headers: { x-key: S3CRET } } }
  - { name: b, otlp: { url: "https://o", user: u, password: S3CRET } }`)
  const shown = targets.map(withoutSecrets)
  expect(JSON.stringify(shown)).not.toContain('S3CRET')
  expect(shown.map(({ url }) => url)).toEqual(['https://l:3100/…', 'https://o'])
})

describe('what is wrong is told with file, line, column and field', () => {
  test.each([
    ['targets:\n  - name: a\n    lokii: {}', 'forwarding.yaml:3:5  targets[0].lokii: is not known here'],
    ['targets: [{ name: a }]', 'targets[0]: needs a loki, otlp or syslog'],
    ['targets: [{ loki: { url: "https://l" } }]', 'targets[0]: needs a name'],
    ['targets: [{ name: A_b, loki: { url: "https://l" } }]', 'targets[0].name: "A_b" is not a name'],
    ['targets: [{ name: a, loki: {} }]', 'targets[0].loki: needs a url'],
    [
      'targets:\n  - name: a\n    loki:\n      url: http://logs.example',
      'forwarding.yaml:4:12  targets[0].loki.url: would',
    ],
    ['targets: [{ name: a, syslog: { url: "tcp://s:514" } }]', 'in the clear; write tls:// (tcp:// and udp:// are for'],
    ['targets: [{ name: a, syslog: { url: "udp://10.0.0.1" } }]', 'would cross the network in the clear'],
    ['targets: [{ name: a, syslog: { url: "https://s" } }]', 'is not a URL; write it like tls://logs.example.com:6514'],
    [
      'targets: [{ name: a, loki: { url: "https://u:p@l" } }]',
      'must not hold a name and password; use user and password',
    ],
    ['targets: [{ name: a, loki: { url: "https://l", token: t, user: u, password: p } }]', 'exclude each other'],
    ['targets: [{ name: a, loki: { url: "https://l", user: u } }]', 'loki.user: needs a password'],
    ['targets: [{ name: a, loki: { url: "https://l", headers: { Content-Type: x } } }]', 'must not set content-type'],
    ['targets: [{ name: a, loki: { url: "https://l" }, metrics: true }]', 'targets[0].metrics: is for otlp'],
    ['targets: [{ name: a, loki: { url: "https://l" }, logs: false }]', 'logs: are off, and so nothing is forwarded'],
    ['targets: [{ name: a, otlp: { url: "https://l" }, metrics: { every: 1s } }]', 'every: must be from 5s to 1h'],
    [
      'targets: [{ name: a, loki: { url: "https://l" }, logs: { level: loud } }]',
      'level: "loud" must be trace or debug',
    ],
    [
      'targets: [{ name: a, loki: { url: "https://l" }, logs: { services: ["a b"] } }]',
      'services[0]: "a b" is not a name',
    ],
    [
      'targets: [{ name: a, loki: { url: "https://l", ca_file: x.pem } }]',
      'ca_file: names x.pem: there is no such file',
    ],
    [
      'targets: [{ name: a, syslog: { url: "udp://127.0.0.1", ca_file: ca.pem } }]',
      'ca_file: is for https:// and tls://',
    ],
    ['targets: [{ name: a, loki: { url: "https://l" } }, { name: a, loki: { url: "https://l" } }]', 'is there already'],
    ['{}', 'needs targets'],
    ['# nothing', 'is empty; to forward nothing write "targets: []"'],
  ])('%j', (text, words) => expect(errorsOf(text).join('\n')).toContain(words))

  test('never what may be a secret', () => {
    const errors = errorsOf(
      'targets: [{ name: a, loki: { url: "ftp://S3CRET", token: "S3CRET S3CRET", tenant: "S3 CRET" } }]',
    )
    expect(errors.length).toBeGreaterThan(1)
    expect(errors.join()).not.toContain('CRET')
  })
})

test('the schema has the members that the reader gives', () => {
  const members = Object.keys(ForwardingConfig.properties.targets.items.properties)
  expect(members).toEqual(expect.arrayContaining(['name', 'kind', 'url', 'begin', 'logs', 'metrics', 'ca']))
})
