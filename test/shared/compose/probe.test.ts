import { describe, expect, it } from 'vitest'
import { PROBE_DEFAULTS } from '../../../shared/compose/fields/probe.ts'
import { formatFinding } from '../../../shared/compose/read-compose.ts'
import { read, refusal, webFile } from './reading.ts'

const probeOf = async (health: string, more = '') => {
  const { stack, findings } = await read(webFile(`x-berth: {health: ${health}}${more}`))
  expect(findings.map(formatFinding)).toEqual([])
  return stack.services.web!.task.container.probe
}
const http = (given: object) => ({ kind: 'http', path: '/', scheme: 'http', ...given })

describe('x-berth.health', () => {
  it.each<[text: string, port: number, test: object]>([
    ['{http: {port: 8080}}', 8080, http({})],
    ['{http: 8080}', 8080, http({})],
    ['{http: ":8080/healthz?deep=1"}', 8080, http({ path: '/healthz?deep=1' })],
    [
      '{http: {port: 443, path: /h, scheme: https, status: 204, host: shop.example}}',
      443,
      http({ path: '/h', scheme: 'https', status: 204, host: 'shop.example' }),
    ],
    ['{tcp: 5432}', 5432, { kind: 'tcp' }],
    ['{tcp: {port: 5432}}', 5432, { kind: 'tcp' }],
    ['{grpc: 50051}', 50_051, { kind: 'grpc', service: '' }],
    ['{grpc: {port: 50051, service: shop.Cart}}', 50_051, { kind: 'grpc', service: 'shop.Cart' }],
  ])('%s', async (text, port, test) => {
    expect(await probeOf(text)).toEqual({ ...PROBE_DEFAULTS, port, test })
  })

  it('takes the timings of a healthcheck, by the same names', async () => {
    const timings = 'interval: 2s, timeout: 500ms, retries: 5, start_period: 0s, start_interval: 200ms'
    expect(await probeOf(`{tcp: 80, ${timings}}`)).toEqual({
      port: 80,
      test: { kind: 'tcp' },
      intervalMs: 2_000,
      timeoutMs: 500,
      retries: 5,
      startPeriodMs: 0,
      startIntervalMs: 200,
    })
  })

  it('stands beside a healthcheck that is off', async () => {
    expect(await probeOf('{tcp: 80}', '\nhealthcheck: {disable: true}')).toMatchObject({ port: 80 })
    expect(await probeOf('{tcp: 80}', '\nhealthcheck: {test: [NONE]}')).toMatchObject({ port: 80 })
  })

  it.each([
    [
      '{http: 80}}\nhealthcheck: {test: "true"',
      'and healthcheck both say what healthy means; keep one of them (or healthcheck: {disable: true})',
    ],
    [
      '{http: 80}}\nnetwork_mode: none\nenvironment: {',
      'cannot reach a container with network_mode: none; use a healthcheck, which runs inside it',
    ],
    ['{interval: 1s}', 'takes exactly one of http, tcp, grpc, and names none'],
    ['{http: 80, tcp: 80}', 'takes exactly one of http, tcp, grpc, and names http and tcp'],
    ['{htp: 80}', 'is not a setting of Berth here'],
    ['{http: healthz}', '"healthz" is no port and path; write ":8080/healthz", or a mapping with port and path'],
    ['{http: {path: /}}', "needs port: the container's own port"],
    ['{http: {port: 80, path: healthz}}', '"healthz" is no path; it begins with / and has no spaces'],
    ['{http: {port: 80, scheme: ftp}}', '"ftp" is none of http, https'],
    ['{http: {port: 80, host: "a b"}}', '"a b" is no name of a host'],
    ['{tcp: 70000}', '70000 is out of range; it takes 1 to 65535'],
    ['{tcp: 80, interval: 0s}', 'takes from 1ms to 24h'],
    ['{tcp: 80, retries: 0}', '0 is out of range; it takes 1 to 1000'],
  ])('%s is refused', async (text, message) => {
    expect((await refusal(webFile(`x-berth: {health: ${text}}`))).join('\n')).toContain(message)
  })
})
