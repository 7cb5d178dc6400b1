import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { joinCluster } from '../../agent/link/join.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { call } from '../build/https-call.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

async function berth(server: ApiServer, ...args: string[]) {
  return run(BERTH, args, { env: await server.env(), limitMs: 30_000 })
}

async function joining(server: ApiServer, token: string) {
  const dataDir = await temporaryFolder()
  return joinCluster({ coordinator: server.url, token, node: 'web-1', dataDir, now: Date.now })
}

/** As on a host, with an Engine that nobody has started. */
async function agent(server: ApiServer, token: string) {
  const dir = await temporaryFolder()
  await writeFile(join(dir, 'token'), token)
  const args = [
    'agent',
    '--data',
    dir,
    '--coordinator',
    server.url,
    '--join-file',
    join(dir, 'token'),
    '--name',
    'web-1',
  ]
  return run(BERTH, [...args, '--docker', `unix://${dir}/docker.sock`], { env: await server.env(), limitMs: 30_000 })
}

const isOver = (at: string) => new Promise((resolve) => setTimeout(resolve, Date.parse(at) - Date.now() + 5))

describe('berth token rotate join', () => {
  test('--expires makes a token that joins hosts until its time is over', async () => {
    const server = await anApiServer([])
    const rotated = await berth(server, 'token', 'rotate', 'join', '--expires', '24h')
    expect(rotated.exit).toBe(0)
    expect(rotated.stderr).toMatch(/this token counts until 20\S+Z \((24 h|1 d|23 h 59 min)\)/)
    expect((await joining(server, rotated.stdout.trim())).node).toBe('web-1')
    expect((await berth(server, 'token', 'join')).stderr).toContain('this token counts until')

    const short = JSON.parse((await berth(server, 'token', 'rotate', 'join', '--expires', '1s', '--json')).stdout)
    await isOver(short.expiresAt)
    await expect(joining(server, short.token)).rejects.toThrow(expect.objectContaining({ code: 'token-expired' }))
    expect((await berth(server, 'token', 'show', 'join')).stderr).toContain(`this token expired at ${short.expiresAt}`)
    const host = await agent(server, short.token)
    expect(host.exit).toBe(3)
    expect(host.stderr).toContain(`this join token expired at ${short.expiresAt}; \`berth token rotate join\``)
  })

  test('without it makes one that counts until it is rotated', async () => {
    const server = await anApiServer([])
    const { stdout, stderr } = await berth(server, 'token', 'rotate', 'join')
    expect(stderr).toBe('the join token before is refused from now on; nodes that joined stay\n')
    expect((await call(server, { path: '/v1/tokens' })).json).toMatchObject({ join: stdout.trim(), expiresAt: null })
  })

  test('the token before is refused, and whoever holds it is told that it may have been rotated', async () => {
    const server = await anApiServer([])
    const old = server.security.joinToken()
    await berth(server, 'token', 'rotate', 'join')
    const host = await agent(server, old)
    expect(host.exit).toBe(3)
    expect(host.stderr).toContain(
      '`berth token join` on the coordinator prints the current one, since it may have been rotated',
    )
  })

  test('a time that is none, too short or for another token is refused', async () => {
    const server = await anApiServer([])
    const before = server.security.joinToken()
    for (const args of [
      ['join', '--expires', 'soon'],
      ['join', '--expires', '0s'],
      ['join', '--expires', '100000d'],
      ['operator', '--expires', '1h'],
    ]) {
      expect((await berth(server, 'token', 'rotate', ...args)).exit, args.join(' ')).toBe(2)
    }
    expect(server.security.joinToken()).toBe(before)
    expect(server.security.isOperator(server.token)).toBe(true)
  })
})

test('berth token create, ls and rm: the token is told once, alone, and then never again', async () => {
  const server = await anApiServer([])
  expect((await berth(server, 'token', 'ls')).stderr).toBe(
    'there are no read-only tokens; `berth token create NAME` makes one\n',
  )
  const { stdout } = await berth(server, 'token', 'create', 'prometheus')
  expect(stdout).toMatch(/^berth-read-[\w-]{43}\n$/)
  expect((await call(server, { path: '/metrics', token: stdout.trim() })).status).toBe(200)
  expect((await berth(server, 'token', 'ls')).stdout).toMatch(/^NAME +ROLE +CREATED\s+prometheus +read +20\S+Z\n$/)
  expect((await berth(server, 'token', 'create', 'Bad Name')).exit).toBe(2)
  const drain = await call(server, { method: 'POST', path: '/v1/nodes/n1/drain', token: stdout.trim() })
  expect(drain).toMatchObject({ status: 403, json: { code: 'forbidden' } })
  expect(drain.text).toContain('the token prometheus reads only')
  expect((await call(server, { path: '/v1/services/x', token: stdout.trim() })).text).toContain('may not read this')
  expect((await berth(server, 'audit')).stdout).toMatch(
    / prometheus +127\.0\.0\.1 +POST \/v1\/nodes\/n1\/drain +forbidden/,
  )
  expect((await berth(server, 'token', 'rm', 'prometheus')).exit).toBe(0)
  expect((await call(server, { path: '/metrics', token: stdout.trim() })).status).toBe(401)
  expect((await berth(server, 'token', 'rm', 'prometheus')).exit).toBe(2)
})
