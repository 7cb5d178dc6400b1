/** What is refused is refused clearly: what, where and how to mend it, with the right exit code, and nothing has changed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { loadIdentity, ownKey, requestFor } from '../../agent/link/identity.ts'
import { openSecurity } from '../../coordinator/security/open.ts'
import { formatJoinToken, parseJoinToken } from '../../shared/join-token.ts'
import { LOG_FRAME_MARK } from '../../shared/wire/log-block.ts'
import { BERTH, type Cluster } from '../engines/berth.ts'
import type { BerthProcess } from '../engines/berth-process.ts'
import { assertExactly, type Snapshot } from '../engines/exactly.ts'
import { type Command, run } from '../engines/processes.ts'
import { stays, until } from '../engines/until.ts'
import { type Bed, exits, makeBed } from './bed.ts'

const BASE = `
services:
  a: { image: "bb:1", scale: 2 }
  all: { image: "bb:1", deploy: { mode: global } }`
const RUNNING = { base_a: 2, base_all: 2 }

let bed: Bed
let cluster: Cluster
let before: { said: unknown; containers: Snapshot }
beforeAll(async () => {
  bed = await makeBed({ hosts: 2 })
  cluster = bed.cluster
  exits(await cluster.deploy('base', BASE), 0)
  before = { said: await said(), containers: await assertExactly(cluster.hosts, RUNNING) }
})
afterAll(() => bed?.hosts.stop())
afterEach(async () => {
  cluster.coordinator.mustLive()
  expect(await said()).toEqual(before.said)
  await assertExactly(cluster.hosts, RUNNING, { since: before.containers })
})

/** All that a change could have changed. */
async function said() {
  const { stacks, services, nodes } = await cluster.status()
  return {
    stacks: stacks.map(({ name, deployment }) => [name, deployment]),
    services: services.map(({ name, version, counts }) => [name, version, counts.wanted]),
    nodes: nodes.map(({ name, labels, availability, status }) => [name, labels, availability, status]),
  }
}

test.each<[string, string, RegExp]>([
  ['is no YAML', 'services:\n  a: [', /compose\.yaml:\d+:\d+ {2}not valid YAML/],
  ['has a tab', 'services:\n\ta: {}', /compose\.yaml:2:1 {2}not valid YAML: a tab indents this line/],
  ['has an unknown field', 'services:\n  a:\n    imagee: bb:1', /compose\.yaml:3:5 {2}services\.a\.imagee: .*image/],
  [
    'has a wrong type',
    'services:\n  a: { image: "bb:1", scale: many }',
    /compose\.yaml:2:\d+ {2}services\.a\.scale: .*many/,
  ],
  [
    'needs a variable that is not set',
    'services:\n  a: { image: "$' + '{SHOP_IMAGE:?name the image}" }',
    /compose\.yaml:2:\d+ {2}services\.a\.image: .*SHOP_IMAGE.*name the image/,
  ],
  [
    'has a port out of range',
    'services:\n  a:\n    image: bb:1\n    ports: ["70000:80"]',
    /compose\.yaml:4:\d+ {2}services\.a\.ports\[0\]: .*70000.*65535/,
  ],
  [
    'has a size that is none',
    'services:\n  a: { image: "bb:1", mem_limit: 2GBB }',
    /services\.a\.mem_limit: "2GBB" is not a size; write it like 512M or 2G/,
  ],
  ['names no image', 'services:\n  a: {}', /compose\.yaml:2:\d+ {2}services\.a: .*image/],
  [
    'waits for a service that is not there',
    'services:\n  a: { image: "bb:1", depends_on: [b] }',
    /services\.a\.depends_on.*b\b/,
  ],
  [
    'waits in a circle',
    'services:\n  a: { image: "bb:1", depends_on: [b] }\n  b: { image: "bb:1", depends_on: [a] }',
    /a → b → a|b → a → b/,
  ],
  ['reads a file that is not there', 'services:\n  a: { image: "bb:1", env_file: nowhere.env }', /nowhere\.env/],
  [
    'asks for what Berth does not honour',
    'services:\n  a: { image: "bb:1", deploy: { mode: global-job } }',
    /global-job is not honoured/,
  ],
])('a file that %s is refused, exit 2, with file, line and field', async (_, compose, words) => {
  expect(exits(await cluster.deploy('base', compose), 2)).toMatch(words)
})

test('a file that is not there is named, exit 2', async () => {
  expect(exits(await cluster.berth('deploy', '-f', '/nowhere/compose.yaml'), 2)).toMatch(
    /there is no file \/nowhere\/compose\.yaml$/m,
  )
})

test.each<[string[], number, RegExp]>([
  [['rm', 'nope'], 2, /^there is no stack nope; `berth stacks` lists them$/m],
  [['deploy', '--attach', 'nope'], 2, /^there is no stack nope;/m],
  [['ps', 'nope'], 2, /^there is no stack nope;/m],
  [['logs', 'nope'], 2, /^there is no stack nope;/m],
  [['services', 'base_nope'], 2, /^there is no service base_nope; `berth services` lists them$/m],
  [['scale', 'a=3'], 2, /^there is no service a; did you mean base_a\?$/m],
  [['rollback', 'base_nope'], 2, /^there is no service base_nope;/m],
  [['ps', 'base_a.9'], 2, /^there is no task base_a\.9; `berth ps` lists them$/m],
  [['drain', 'nope'], 2, /^there is no node nope; .*(host-1|berth nodes)/m],
  [['activate', 'nope'], 2, /^there is no node nope;/m],
  [['node', 'rm', 'nope'], 2, /^there is no node nope;/m],
  [
    ['node', 'rm', 'host-1'],
    1,
    /^host-1 still has 2 tasks, which would run on there with nobody in charge; run "berth drain host-1" first/m,
  ],
  [['node', 'label', 'nope', 'a=b'], 2, /^there is no node nope;/m],
  [['scale', 'base_all=3'], 2, /^base_all is global: it runs once on every node/m],
  [['rollback', 'base_a'], 1, /^base_a is at version 1 and has no version before it/m],
])('berth %j is refused', async (args, exit, words) => {
  expect(exits(await cluster.berth(...args), exit)).toMatch(words)
})

describe('an operator', () => {
  const berth = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<Command> =>
    run(BERTH, args, { env: { ...cluster.operatorEnv(), ...env } })

  test('with a wrong token is not let in, exit 3', async () => {
    const said = exits(await berth({ BERTH_TOKEN: 'berth-op-wrong' }, 'rm', 'base'), 3)
    expect(said).toBe('the operator token is wrong or was rotated; `berth login` takes the new one\n')
  })

  test('who trusts another CA does not speak to this coordinator, exit 3', async () => {
    const other = await anotherCluster()
    const ca = join(folder(), 'ca.pem')
    writeFileSync(ca, other.caCertificatePem)
    const said = exits(await berth({ BERTH_CA: ca }, 'rm', 'base'), 3)
    expect(said).toMatch(/does not come from the CA that is known here.*`berth login` again/)
  })

  test('whose coordinator is not there is told where it was looked for, exit 3', async () => {
    const url = `https://${bed.hosts.address}:9`
    const said = exits(await berth({ BERTH_URL: url }, 'status'), 3)
    expect(said).toBe(
      `cannot reach the coordinator at ${url} (connection refused). Is berth-coordinator running there? journalctl -u berth-coordinator\n`,
    )
  })

  test('gets every error as data with --json', async () => {
    const { exit, stdout, stderr } = await berth({}, 'rm', 'nope', '--json')
    expect([exit, stdout]).toEqual([2, ''])
    expect(JSON.parse(stderr)).toMatchObject({ code: 'stack-not-found', stack: 'nope' })
  })
})

test('what is not up when the time is over exits 4 and says what is missing; it goes on', async () => {
  const compose = 'services: { web: { image: "bb:sick" }, fine: { image: "bb:healthy" } }'
  const said = exits(await cluster.deploy('late', compose, '--timeout', '10s'), 4)
  // Of a container that becomes unhealthy again and again: it may be between two starts then.
  expect(said).toMatch(
    /^late is not up after 10(\.0)? s; it goes on \(berth deploy --attach late comes back\)\. Missing:\n {2}late_web {2}0\/1 (healthy|running)/m,
  )
  expect(said.slice(said.indexOf('Missing:'))).not.toContain('late_fine')
  exits(await cluster.berth('rm', 'late'), 0)
})

describe('a host that would join', () => {
  test('with something that is no token is told what one looks like', async () => {
    const agent = await joins('stray', 'please')
    expect(agent.exit).toBe(3)
    expect(agent.logTail()).toContain('this is not a join token: one looks like BRTH-1-')
  })

  test('with a token that was rotated is refused, and nodes that joined with it stay', async () => {
    const old = exits(await cluster.berth('token', 'show', 'join'), 0).trim()
    exits(await cluster.berth('token', 'rotate', 'join'), 0)
    const agent = await joins('stray', old)
    expect(agent.exit).toBe(3)
    expect(agent.logTail()).toMatch(/refused the join: this join token does not count \(any more\); `berth token join`/)
  })

  test('with a token whose time is over is refused, and is told since when', async () => {
    const path = join(cluster.coordinatorDir, 'security/tokens.json')
    const kept = readFileSync(path, 'utf8')
    await cluster.coordinator.kill('SIGTERM')
    writeFileSync(path, JSON.stringify({ ...JSON.parse(kept), joinExpiresAt: Date.parse('2026-01-02T03:04:05Z') }))
    await cluster.coordinator.start()
    await cluster.ready()
    const agent = await joins('stray', cluster.joinToken)
    expect(agent.exit).toBe(3)
    expect(agent.logTail()).toMatch(
      /refused the join: this join token expired at 2026-01-02T03:04:05\.000Z; `berth token rotate join`/,
    )
    await cluster.coordinator.kill('SIGTERM')
    writeFileSync(path, kept)
    await cluster.coordinator.start()
    await cluster.ready()
    await cluster.nodesReady()
  })

  test('with a token of another cluster says nothing to this one', async () => {
    const other = await anotherCluster()
    const agent = await joins('stray', other.joinToken())
    expect(agent.exit).toBe(3)
    expect(agent.logTail()).toMatch(
      /is not the coordinator that this join token is for: its certificate is not from the CA/,
    )
  })

  test('with a guessed secret is refused', async () => {
    const { caPin } = parseJoinToken(cluster.joinToken)
    const agent = await joins('stray', formatJoinToken({ caPin, secret: '0'.repeat(32) }))
    expect(agent.exit).toBe(3)
    expect(agent.logTail()).toContain('this join token does not count')
  })

  test('under a name that is taken is refused, and told both ways out', async () => {
    const agent = await joins('host-1', cluster.joinToken)
    expect(agent.exit).toBe(2)
    expect(agent.logTail()).toMatch(
      /another host is node host-1 already\. Join with --name .* `berth node rm host-1` first/,
    )
  })

  test('under a name that cannot be one is refused before anything is sent', async () => {
    const agent = await joins('No Name', cluster.joinToken)
    expect(agent.exit).toBe(2)
    expect(agent.logTail()).toContain('"No Name" cannot be a node\'s name')
  })

  test('of a removed node is refused from then on, also when it is started again', async () => {
    const agent = cluster.agentOn(cluster.hosts[0]!, { name: 'guest', dir: folder() })
    await agent.start()
    await cluster.nodesReady(['guest'])
    // The global service has a task there now; its containers belong to a node of their own on the shared Engine.
    await assertExactly(cluster.hosts, { ...RUNNING, base_all: 3 }, { since: before.containers })
    exits(await cluster.berth('drain', 'guest'), 0)
    expect(exits(await cluster.berth('node', 'rm', 'guest'), 0)).toMatch(/guest {2}removed; its certificate is refused/)
    const atOnce =
      'refused this agent: node guest was removed from the cluster, and its certificate is refused from now on'
    await until(() => agent.log().includes(atOnce), 'the agent to be refused')
    await agent.restart()
    const again = 'refused this agent: there is no node guest: it was removed, and its certificate is refused'
    await until(() => agent.log().includes(again), 'the agent to be refused again')
    await stays(async () => (await cluster.status()).nodes.length === 2, 'the number of nodes', 500)
    await agent.kill()
  })

  /** Runs an agent with the token until it has ended by itself. */
  async function joins(name: string, token: string): Promise<BerthProcess> {
    const dir = folder()
    const file = join(dir, 'token')
    writeFileSync(file, `${token}\n`, { mode: 0o600 })
    const agent = cluster.agentOn(cluster.hosts[1]!, { name, dir: join(dir, 'agent'), args: ['--join-file', file] })
    await agent.start()
    await until(() => agent.exit !== null, `the agent ${name} to end`)
    return agent
  }
})

describe('on the port', () => {
  const port = () => ({ host: bed.hosts.address, port: Number(new URL(cluster.url).port) })

  test('bytes that are neither TLS nor HTTP end that connection and nothing else', async () => {
    await closedAfter('GET / HTTP/1.0 but not over TLS\r\n\r\n'.repeat(1000), false)
    await closedAfter('\0\u0001\u0002 not HTTP \r\n\r\n'.repeat(1000), true)
  })

  test('a websocket without a certificate, and one with that of another cluster, are refused', async () => {
    const words = /^401 .*agents show the certificate that they got when they joined berth-\w+/
    expect(await upgraded({})).toMatch(words)
    const other = await anotherCluster()
    const key = await ownKey(folder())
    const { certificatePem } = await other.sign(requestFor(key, 'host-1'), 'host-1')
    expect(await upgraded({ key, cert: certificatePem })).toMatch(words)
  })

  test.each<[string, string | Buffer, RegExp]>([
    ['text', 'hello', /^closed 1008 .*a text message; frames are binary/],
    ['what is not msgpack', Buffer.from([0xd9, 0xff, 0x41]), /^closed 1008 .*the frame cannot be read/],
    [
      'log blocks that are cut short',
      Buffer.from([LOG_FRAME_MARK, 0xff, 0xff]),
      /^closed 1008 .*blocks of log lines: it ends in the middle/,
    ],
    [
      'a message of an unknown kind',
      Buffer.from([0x81, 0xa4, ...Buffer.from('kind'), 0xa4, ...Buffer.from('nope')]),
      /^closed 1008 .*"nope" is none of hello/,
    ],
    ['a frame that is too large', Buffer.alloc(20 * 1024 * 1024), /^closed 1009/],
  ])("a node's own certificate does not make %s welcome; its agent stays connected", async (_, frame, words) => {
    const identity = await loadIdentity(cluster.agentDir(cluster.hosts[0]!))
    expect(await upgraded({ key: identity!.keyPem, cert: identity!.certificatePem }, frame)).toMatch(words)
  })

  test('without a token every route but the few that are public answers 401', async () => {
    const description = JSON.parse((await cluster.request('GET', '/v1/openapi.json')).text) as {
      paths: Record<string, Record<string, unknown>>
    }
    const routes = Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'base')] as const),
    )
    expect(routes.length).toBeGreaterThan(20)
    const open = new Set<string>()
    for (const [index, [method, path]] of [
      ...routes,
      ['GET', '/v1/openapi.json'] as const,
      ['GET', '/v1/nowhere'] as const,
    ].entries()) {
      // An address with many wrong tokens is slowed down, so that each request comes from another one.
      const status = await statusWithoutToken(method, path, `127.9.0.${index + 1}`)
      if (status !== 401) open.add(`${method} ${path} ${status}`)
    }
    expect([...open].sort()).toEqual([
      'GET /healthz 200',
      'GET /install.sh 200',
      'GET /v1/agent-bundle.sha256 200',
      'GET /v1/agent-bundle.tar.gz 200',
      'POST /v1/join 400',
    ])
  })

  function statusWithoutToken(method: string, path: string, localAddress: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const call = request({ ...port(), method, path, localAddress, ca: cluster.caPem, agent: false }, (answer) => {
        resolve(answer.statusCode ?? 0)
        call.destroy()
      })
      call.on('error', reject)
      call.end()
    })
  }

  function closedAfter(bytes: string, overTls: boolean): Promise<void> {
    return new Promise((resolve) => {
      const socket = overTls ? connect({ ...port(), rejectUnauthorized: false }) : connectPlain(port())
      socket.on('error', () => {})
      socket.on('close', () => resolve())
      socket.resume()
      socket.write(bytes)
    })
  }

  /** How an agent's websocket ends that sends the frame, if there is one. */
  function upgraded(credentials: { key?: string; cert?: string }, frame?: string | Buffer): Promise<string> {
    return new Promise((resolve) => {
      const websocket = new WebSocket(`${cluster.url.replace('https', 'wss')}/v1/agent`, {
        ca: cluster.caPem,
        ...credentials,
      })
      onTestFinished(() => websocket.terminate())
      websocket.on('error', (error) => resolve(error.message))
      websocket.on('unexpected-response', async (_, answer) => resolve(`${answer.statusCode} ${await text(answer)}`))
      websocket.on('open', () => frame !== undefined && websocket.send(frame))
      let told = ''
      websocket.on('message', (data) => {
        told += String(data)
      })
      websocket.on('close', (code, reason) => resolve(`closed ${code} ${reason} ${told.replaceAll('\n', ' ')}`))
    })
  }
})

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'berth-refusals-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function anotherCluster() {
  return openSecurity({ dir: folder(), names: ['localhost'], now: Date.now })
}
