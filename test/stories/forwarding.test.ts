/** What containers print reaches another system, though that was away for a while and the coordinator was killed meanwhile. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ForwardingDocument } from '../../shared/api.ts'
import { anHttpTarget } from '../build/targets.ts'
import type { Cluster } from '../engines/berth.ts'
import { BUSYBOX } from '../engines/image.ts'
import { until } from '../engines/until.ts'
import { deployed, shareScene, succeeded } from './trouble.ts'

let cluster: Cluster
shareScene((made) => {
  cluster = made.cluster
})

const LINES = 3_000
/** A hundred lines at a time, so that some come before, some while and some after the target is away. */
const COUNT = `i=0; while [ $$i -lt ${LINES} ]; do n=0; while [ $$n -lt 100 ]; do echo "line $$i"; i=$$((i+1)); n=$$((n+1)); done; sleep 0.1; done; while :; do sleep 1000 & wait $$!; done`
const numbered = Array.from({ length: LINES }, (_, index) => `line ${index}`)

type Push = { streams: { stream: Record<string, string>; values: [string, string, { container: string }][] }[] }

test('a Loki that was away gets each line of each container at least once and in order, also when the coordinator is killed', async () => {
  const loki = await anHttpTarget()
  const dir = mkdtempSync(join(tmpdir(), 'berth-forwarding-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'forwarding.yaml')
  writeFileSync(
    file,
    `targets: [{ name: loki, loki: { url: "http://127.0.0.1:${loki.port}" }, logs: { stacks: [talk] } }]\n`,
  )
  succeeded(await cluster.berth('forward', 'set', '-f', file))
  succeeded(await cluster.berth('forward', 'test'))
  expect(loki.posted.splice(0)).toHaveLength(1)
  onTestFinished(async () => {
    writeFileSync(file, 'targets: []\n')
    succeeded(await cluster.berth('forward', 'set', '-f', file))
  })

  await deployed(
    cluster,
    'talk',
    `services:
  web:
    image: ${BUSYBOX}
    pull_policy: never
    stop_grace_period: 1s
    command: ["/bin/sh", "-c", ${JSON.stringify(COUNT)}]
    deploy: { replicas: 3 }
`,
  )
  const logs = async () => (await cluster.api<ForwardingDocument>('GET', '/v1/forwarding')).targets[0]!.logs!
  await until(async () => loki.posted.length > 0, 'the first lines to arrive')
  loki.setDown(true)
  await until(async () => (await logs()).state === 'retrying', 'the target to be found away')
  expect((await cluster.berth('forward', 'ls')).stdout).toMatch(/loki +loki logs +retrying/)
  await cluster.coordinator.restart('SIGKILL')
  await cluster.ready()
  loki.setDown(false)

  const byContainer = await until(async () => {
    const texts = new Map<string, string[]>()
    for (const { stream, values } of loki.posted.flatMap(({ body }) => (body as Push).streams)) {
      expect(stream).toMatchObject({ service: 'talk_web', stack: 'talk', stream: 'stdout' })
      for (const [, text, { container }] of values) texts.set(container, [...(texts.get(container) ?? []), text])
    }
    const counts = [...texts.values()].map((all) => new Set(all).size)
    if (counts.length < 3 || counts.some((count) => count < LINES)) throw new Error(`${counts} lines have arrived`)
    return texts
  }, 'all lines to arrive')
  expect(byContainer.size).toBe(3)
  for (const texts of byContainer.values()) expect([...new Set(texts)]).toEqual(numbered)
})
