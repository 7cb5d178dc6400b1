/** Podman 4's Docker-compatible socket as an agent's Engine; docs/engines.md says how far it goes. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page, TaskDocument } from '../../shared/api.ts'
import { type Cluster, startCluster } from './berth.ts'
import type { BerthProcess } from './berth-process.ts'
import { type ContainerView, listContainers } from './engine-api.ts'
import { type Host, type Hosts, startHosts } from './hosts.ts'
import { BUSYBOX, BUSYBOX_2, HELLO, loadImages } from './image.ts'
import { Podman } from './podman.ts'
import { type Command, must } from './processes.ts'
import { until } from './until.ts'

let hosts: Hosts
let host: Host
let podman: Podman
let cluster: Cluster
let agent: BerthProcess
beforeAll(async () => {
  hosts = await startHosts({ count: 1 })
  host = hosts.hosts[0]!
  podman = new Podman(hosts, host)
  await podman.start()
  await loadImages([host])
  const archive = `${hosts.slot.dataDir}/images.tar`
  await host.docker('save', '--output', archive, BUSYBOX, BUSYBOX_2, HELLO)
  await podman.docker('load', '--input', archive)
  cluster = await startCluster(hosts, { agents: 0, coordinatorArgs: ['--check-twice'] })
  agent = cluster.agentOn(host, { name: 'pod', args: ['--docker', podman.dockerHost] })
  await agent.start()
  await cluster.nodesReady(['pod'])
})
afterAll(async () => {
  await agent?.kill()
  await podman?.clear()
  await hosts?.stop()
})

const compose = (image: string, more = '') => `
services:
  web:
    image: ${HELLO}
    ports: ["18090:8080"]
    stop_grace_period: 1s
  worker:
    image: ${image}
    environment: { GREETING: hello }
    command: ["sh", "-c", "echo $$GREETING from worker; trap 'exit 0' TERM; while :; do sleep 1000 & wait $$!; done"]
    stop_grace_period: 2s
    deploy: { replicas: 2, update_config: { order: start-first } }
${more}
`
const exits = ({ exit, stdout, stderr }: Command, wanted: number) =>
  expect({ exit, said: stdout + stderr }).toEqual({ exit: wanted, said: stdout + stderr })
const containers = () => listContainers(podman.socket)
const ofWorker = async () => (await containers()).filter((each) => each.labels['berth.service'] === 's_worker')
const isUp = (each: ContainerView) => each.state === 'running'

test('a stack runs on it: page served, labels ours, names and logs as anywhere', async () => {
  exits(await cluster.deploy('s', compose(BUSYBOX)), 0)
  await podman.noteContainers()
  const all = await containers()
  expect(all.filter(isUp)).toHaveLength(3)
  expect(new Set(all.map((each) => each.labels['berth.node']))).toEqual(new Set(['pod']))
  const page = await until(() => must('curl', ['-fsS', `http://${host.address}:18090/`]), 'the page')
  expect(page).toContain('Hello from Berth')
  const greetings = async () => (await cluster.berth('logs', 's_worker')).stdout.match(/hello from worker/g) ?? []
  await until(async () => (await greetings()).length >= 2, 'the lines of both workers to be kept')
  expect(await greetings()).toHaveLength(2)
})

test('a killed container is started again in place, as the next attempt', async () => {
  const [victim] = await ofWorker()
  process.kill(victim!.pid, 'SIGKILL')
  const again = async () => (await ofWorker()).find(({ id }) => id === victim!.id)
  await until(async () => {
    const now = await again()
    return now && isUp(now) && now.startedAt !== victim!.startedAt
  }, 'the container to run again')
  expect((await again())?.restartCount).toBe(0)
})

test('scaling and a change of the image', async () => {
  exits(await cluster.berth('scale', 's_worker=3'), 0)
  await podman.noteContainers()
  expect((await ofWorker()).filter(isUp)).toHaveLength(3)
  exits(await cluster.deploy('s', compose(BUSYBOX_2)), 0)
  await podman.noteContainers()
  await until(async () => {
    const now = await ofWorker()
    return now.length === 2 && now.every((each) => isUp(each) && each.image.endsWith(BUSYBOX_2))
  }, 'two workers of the new image and no other')
})

test('its service and the agent, stopped and started again, restart no container: each goes on without them', async () => {
  const before = (await containers()).map(({ id, startedAt }) => ({ id, startedAt }))
  await podman.stop()
  await until(
    async () => (await cluster.status()).nodes[0]?.status !== 'ready',
    'the node to be known as without Engine',
  )
  await podman.start()
  await cluster.nodesReady(['pod'])
  await agent.restart('SIGTERM')
  await cluster.nodesReady(['pod'])
  expect((await containers()).map(({ id, startedAt }) => ({ id, startedAt }))).toEqual(before)
})

test('what ended while its service was away ended by itself: an on-failure task that exits 0 has completed', async () => {
  const more = `
  job:
    image: ${BUSYBOX}
    command: ["sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.1; done"]
    deploy: { restart_policy: { condition: on-failure } }`
  exits(await cluster.deploy('s', compose(BUSYBOX_2, more)), 0)
  await podman.noteContainers()
  const job = (await containers()).find((each) => each.labels['berth.service'] === 's_job')!
  await podman.stop()
  await must('touch', [`/proc/${job.pid}/root/tmp/end`])
  await podman.start()
  await until(async () => {
    const { items } = await cluster.api<Page<TaskDocument>>('GET', '/v1/tasks?service=s_job')
    return items[0]?.state === 'completed'
  }, 'the job to be completed')
})

test('removing the stack leaves nothing', async () => {
  exits(await cluster.berth('rm', 's'), 0)
  await until(async () => (await containers()).length === 0, 'no container to be left')
})
