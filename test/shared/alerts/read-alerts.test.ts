import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ALERTS_CONFIG_DEFAULT } from '../../../shared/alerts/config.ts'
import { readAlerts } from '../../../shared/alerts/read-alerts.ts'
import { ComposeError } from '../../../shared/compose/findings.ts'

function errorsOf(text: string): string[] {
  try {
    readAlerts(text, 'alerts.yaml')
    return []
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error
    return error.message.split('\n')
  }
}

test('a file without rules means the defaults, and what is not written keeps its default', () => {
  expect(readAlerts('rules: {}', 'alerts.yaml')).toEqual(ALERTS_CONFIG_DEFAULT)
  const { rules } = readAlerts('rules: { node-lost: { for: 30s }, store-near-bound: { bytes: 4G } }', 'alerts.yaml')
  expect(rules['node-lost']).toEqual({ enabled: true, severity: 'critical', forMs: 30_000 })
  expect(rules['store-near-bound'].bytes).toBe(4 * 2 ** 30)
})

test('the example can be read', async () => {
  const path = join(import.meta.dirname, '../../../examples/alerts/alerts.yaml')
  const { receivers } = readAlerts(await readFile(path, 'utf8'), path)
  expect(receivers.map(({ kind }) => kind)).toEqual(['webhook', 'slack', 'smtp'])
})

describe('what is wrong is told with file, line, column and field', () => {
  test.each([
    ['rules:\n  node-lots: {}', 'alerts.yaml:2:3  rules.node-lots: is not known here'],
    ['rules:\n  node-lost: { within: 1h }', 'alerts.yaml:2:16  rules.node-lost.within: is not known here'],
    ['rules:\n  node-lost:\n    for: soon', 'alerts.yaml:3:10  rules.node-lost.for: "soon" is not a duration'],
    ['rules: { task-crash-looping: { restarts: 0 } }', 'restarts: "0" is not a whole number from 1 to 20'],
    ['rules: { node-lost: { severity: bad } }', 'severity: "bad" must be critical or warning'],
    ['receivers: ops', 'alerts.yaml:1:12  receivers: must be a list of receivers'],
    ['receivers:\n  - name: a', 'alerts.yaml:2:5  receivers[0]: needs a webhook, slack or smtp'],
    ['# nothing yet', 'is empty'],
    ['receivers: [{ name: a, slack: { url: "http://chat.example/x" } }]', 'would cross the network in the clear'],
    ['receivers: [{ name: a, webhook: {} }, { name: a, slack: { url: "https://b" } }]', '"a" is there already'],
    ['receivers: [{ name: a, webhook: {} }]', 'receivers[0].webhook: needs a url'],
    ['receivers: [{ name: a, slack: { url: x } }, { name: a, slack: { url: "http://b" } }]', 'url: is not a URL'],
    [
      'receivers: [{ name: a, smtp: { url: "smtp://h", from: a@b, to: "x y" } }]',
      'smtp.to[0]: "x y" is not an address',
    ],
    ['receivers: [{ name: a, smtp: { url: "smtp://h", to: a@b, user: u } }]', 'smtp: needs from'],
    ['- a', 'an alerts file is a mapping with "rules" and "receivers"'],
    ['rules: [', 'not valid YAML'],
  ])('%j', (text, words) => expect(errorsOf(text).join('\n')).toContain(words))

  test('all of it at once, and never what a URL holds', () => {
    const errors = errorsOf('group_wait: x\nreceivers: [{ name: a, webhook: { url: "ftp://secret" } }]')
    expect(errors).toHaveLength(2)
    expect(errors.join()).not.toContain('secret')
  })
})
