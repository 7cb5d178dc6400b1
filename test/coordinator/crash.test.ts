import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import type { ServiceSpec } from '../../shared/spec.ts'
import { aCoordinatorProcess, type CoordinatorProcess } from '../build/coordinator.ts'
import { aServiceSpec } from '../build/spec.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'

const KILLS = 10
const CLIENTS = 4

let coordinator: CoordinatorProcess | null = null
afterEach(async () => {
  await coordinator?.kill()
})

/** What one client knows: the number in its stack's spec that was answered last, and the one that was asked for last. */
type Told = { acknowledged: number; asked: number }

test(`nothing acknowledged is lost in ${KILLS} kills at random moments, and nothing is there that nobody asked for`, async () => {
  coordinator = await aCoordinatorProcess(await temporaryFolder(), { checkTwice: true, logLevel: 'warn' })
  await coordinator.start()
  const told: Told[] = Array.from({ length: CLIENTS }, () => ({ acknowledged: 0, asked: 0 }))
  let total = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const stop = { now: false }
    const clients = told.map((each, client) => deployUntilKilled(coordinator!, `c${client}`, each, stop))
    await sleep(30 + Math.random() * 250)
    await coordinator.kill()
    stop.now = true
    await Promise.all(clients)
    await coordinator.start()
    for (const [client, each] of told.entries()) {
      const found = await numberOf(coordinator, `c${client}`)
      expect(found, `client ${client} after kill ${kill}`).toBeGreaterThanOrEqual(each.acknowledged)
      expect(found, `client ${client} after kill ${kill}`).toBeLessThanOrEqual(each.asked)
      total += each.acknowledged
      each.acknowledged = found
      each.asked = found
    }
  }
  expect(total).toBeGreaterThan(KILLS)
})

test('a stop by SIGTERM is clean, and the next start finds everything', async () => {
  coordinator = await aCoordinatorProcess(await temporaryFolder(), { logLevel: 'info' })
  await coordinator.start()
  const spec = { name: 'shop', services: { web: aServiceSpec({ replicas: 3 }) } }
  await coordinator.ask('PUT', '/v1/stacks/shop', spec)
  const events = await coordinator.ask('GET', '/v1/events')
  expect(await coordinator.kill('SIGTERM')).toBe(0)
  await coordinator.start()
  expect((await specOf(coordinator, 'shop_web'))?.mode).toEqual({ kind: 'replicated', replicas: 3 })
  expect(await coordinator.ask('GET', '/v1/events')).toEqual(events)
})

test('a second coordinator on the same folder is refused and harms nothing', async () => {
  const dir = await temporaryFolder()
  coordinator = await aCoordinatorProcess(dir)
  await coordinator.start()
  const second = await aCoordinatorProcess(dir)
  await expect(second.start()).rejects.toThrow('in use by process')
  expect((await coordinator.ask('GET', '/healthz')).status).toBe(200)
})

async function deployUntilKilled(
  { ask }: CoordinatorProcess,
  stack: string,
  told: Told,
  stop: { now: boolean },
): Promise<void> {
  while (!stop.now) {
    told.asked++
    const spec = { name: stack, services: { web: aServiceSpec({ labels: { number: String(told.asked) } }) } }
    const answer = await ask('PUT', `/v1/stacks/${stack}`, spec).catch(() => null)
    if (answer === null) return
    expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 200 })
    told.acknowledged = told.asked
  }
}

/** The number in the stack's spec; 0 when it is not there. */
async function numberOf(coordinator: CoordinatorProcess, stack: string): Promise<number> {
  return Number((await specOf(coordinator, `${stack}_web`))?.labels.number ?? 0)
}

async function specOf({ ask }: CoordinatorProcess, service: string): Promise<ServiceSpec | null> {
  const { status, body } = await ask('GET', `/v1/services/${service}`)
  return status === 200 ? (body as { spec: ServiceSpec }).spec : null
}
