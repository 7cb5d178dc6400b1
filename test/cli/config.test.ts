import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findConnection, writeConfig } from '../../cli/config.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'

const CA = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'

async function aCoordinatorsFolder(): Promise<string> {
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'security'))
  await writeFile(join(folder, 'security/operator-token'), 'of-the-coordinator\n')
  await writeFile(join(folder, 'security/ca.pem'), CA)
  return folder
}

test('what the coordinator on this host keeps is used where nothing else is said, and BERTH_TOKEN goes before its token', async () => {
  const folder = await aCoordinatorsFolder()
  const env = { HOME: await temporaryFolder() }
  const local = { url: 'https://127.0.0.1:23784', ca: CA }
  expect(await findConnection(env, folder)).toEqual({ ...local, token: 'of-the-coordinator' })
  expect(await findConnection({ ...env, BERTH_TOKEN: 'mine' }, folder)).toEqual({ ...local, token: 'mine' })
})

test('what was kept at the login goes before what the coordinator on this host keeps', async () => {
  const env = { HOME: await temporaryFolder() }
  const kept = { url: 'https://10.0.0.5:23784', token: 'kept', ca: null }
  await writeConfig(kept, env)
  expect(await findConnection(env, await aCoordinatorsFolder())).toEqual(kept)
  expect(await findConnection({ ...env, BERTH_TOKEN: 'mine' }, '/nowhere')).toEqual({ ...kept, token: 'mine' })
})

test('without any of them it says what to do', async () => {
  await expect(findConnection({ HOME: await temporaryFolder() }, '/nowhere')).rejects.toThrow('run `berth login URL`')
})
