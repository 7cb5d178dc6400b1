import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Compile } from 'typebox/compile'
import { expect, test } from 'vitest'
import { createReadInventory, INVENTORY_EVERY_MS, outwardAddresses } from '../../../agent/host/inventory.ts'
import { NodeInventory } from '../../../shared/wire/up.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'

const inventorySchema = Compile(NodeInventory)

test('this host has an inventory that fits the wire', async () => {
  const inventory = await createReadInventory({ engineLabels: async () => ({ disk: 'ssd' }) })()
  expect(inventorySchema.Errors(inventory)).toEqual([])
  expect(inventory).toMatchObject({ os: 'linux', engineLabels: { disk: 'ssd' } })
  expect(inventory.cpuCores).toBeGreaterThan(0)
  expect(inventory.memoryBytes).toBeGreaterThan(0)
})

test('what cannot be had is left out, and the rest is told all the same', async () => {
  const ask = () => Promise.reject(new Error('lscpu: not found'))
  const inventory = await createReadInventory({ ask, engineLabels: ask })()
  expect(inventorySchema.Check(inventory)).toBe(true)
  expect(inventory).toMatchObject({ engineLabels: {}, hostname: expect.stringMatching(/./) })
})

test('the disk is the one that holds the Engine’s data; of an Engine on another machine it is not known', async () => {
  const here = await createReadInventory({ dataRoot: async () => '/' })()
  expect(here.diskBytes).toBeGreaterThan(0)
  const elsewhere = await createReadInventory({ dataRoot: async () => '/no/such/folder' })()
  expect(elsewhere).not.toHaveProperty('diskBytes')
})

test('a host that shares its kernel has what its cgroup may use of the machine, where that is less', async () => {
  const cgroupRoot = await temporaryFolder()
  await mkdir(join(cgroupRoot, 'lxc/web-1'), { recursive: true })
  const write = (name: string, text: string) => writeFile(join(cgroupRoot, name), text)
  const inventory = () => createReadInventory({ hostCgroup: '/lxc/web-1', cgroupRoot })()
  const machine = await createReadInventory()()
  await write('cgroup.controllers', 'cpu memory\n')
  await write('lxc/web-1/cpu.max', '50000 100000\n')
  await write('lxc/web-1/memory.max', '67108864\n')
  expect(await inventory()).toMatchObject({ cpuCores: 0.5, memoryBytes: 67_108_864 })
  await write('lxc/web-1/cpu.max', 'max 100000\n')
  await write('lxc/web-1/memory.max', 'max\n')
  expect(await inventory()).toMatchObject({ cpuCores: machine.cpuCores, memoryBytes: machine.memoryBytes })
})

test('cards of NVIDIA’s driver are counted; what the operator says wins', async () => {
  const procRoot = await temporaryFolder()
  for (const card of ['0000:01:00.0', '0000:02:00.0']) {
    await mkdir(join(procRoot, 'driver/nvidia/gpus', card), { recursive: true })
  }
  const genericOf = async (resources: Record<string, number>) =>
    (await createReadInventory({ procRoot, resources })()).generic
  expect(await genericOf({})).toEqual({ gpu: 2 })
  expect(await genericOf({ gpu: 1, fpga: 3 })).toEqual({ gpu: 1, fpga: 3 })
  expect((await createReadInventory({ procRoot: join(procRoot, 'none') })()).generic).toBe(undefined)
})

test('the host is asked at most every ten minutes, unless somebody knows that it has changed', async () => {
  let nowMs = 0
  let asked = 0
  const ask = async () => ({ cpuModel: `asked ${++asked} times` })
  const read = createReadInventory({ ask, now: () => nowMs })
  await Promise.all([read(), read()])
  nowMs = INVENTORY_EVERY_MS - 1
  expect((await read()).cpuModel).toBe('asked 1 times')
  nowMs = INVENTORY_EVERY_MS
  expect((await read()).cpuModel).toBe('asked 2 times')
  expect((await read({ anew: true })).cpuModel).toBe('asked 3 times')
  expect((await read()).cpuModel).toBe('asked 3 times')
})

test('only addresses by which others can reach the host are told', () => {
  const address = (given: string, internal = false) => ({
    address: given,
    netmask: '',
    family: 'IPv4' as const,
    mac: '',
    internal,
    cidr: null,
  })
  expect(
    outwardAddresses({
      lo: [address('127.0.0.1', true)],
      eth0: [address('10.0.0.5'), address('fe80::1'), address('fd00::5')],
      docker0: [address('172.17.0.1')],
      'br-0a1b': [address('172.18.0.1')],
    }),
  ).toEqual(['10.0.0.5', 'fd00::5'])
})
