import { hostname } from 'node:os'
import { expect, test } from 'vitest'
import { defaultSettings } from '../../coordinator/decide/settings.ts'
import { certificateNames, coordinatorOptions, urlOf } from '../../coordinator/options.ts'

test('without options a coordinator serves every address at 23784 and is as patient as deciding by default', () => {
  const options = coordinatorOptions()
  expect(options).toMatchObject({ dataDir: '/var/lib/berth/coordinator', host: '0.0.0.0', port: 23784 })
  expect(options.agentGraceMs).toBe(defaultSettings(0).agentGraceMs)
  expect(options.advertise).toContain(hostname())
})

test('one that listens on one address is reached there', () => {
  const options = coordinatorOptions({ host: '10.1.2.3' })
  expect(urlOf(options, 1234)).toBe('https://10.1.2.3:1234')
  expect(urlOf(coordinatorOptions({ host: 'fd00::1' }), 1)).toBe('https://[fd00::1]:1')
})

test('the first name that is advertised stands in the join line, and the certificate is for all of them', () => {
  const options = coordinatorOptions({ advertise: ['berth.example', '192.0.2.1'] })
  expect(urlOf(options, 23784)).toBe('https://berth.example:23784')
  const names = certificateNames(options)
  expect(names).toEqual(expect.arrayContaining(['berth.example', '192.0.2.1', 'localhost', '127.0.0.1', hostname()]))
  expect(new Set(names).size).toBe(names.length)
})

test.each([
  [{ port: 70_000 }, 'the port must be a whole number from 0 to 65535, not 70000'],
  [{ port: 1.5 }, 'the port'],
  [{ heartbeatIntervalMs: 10 }, 'the heartbeat interval must be 50 ms'],
  [{ agentGraceMs: -1 }, 'the agent grace'],
  [{ dataDir: '' }, 'the data folder'],
  [{ metricsBytes: 1_000 }, 'metrics must have at least 8388608 bytes (8M), or 0 for none, not 1000'],
  [{ metricsSeries: 0 }, 'the series of metrics must be a whole number from 1 to 5000000, not 0'],
  [{ metricsSeries: Number.NaN }, 'the series of metrics'],
  [{ host: 'a b' }, 'the address to listen on'],
  [{ advertise: [''] }, 'the name to advertise'],
])('%o is refused with a sentence that names the option', (given, words) => {
  expect(() => coordinatorOptions(given)).toThrow(
    expect.objectContaining({ code: 'invalid-request', message: expect.stringContaining(words) }),
  )
})
