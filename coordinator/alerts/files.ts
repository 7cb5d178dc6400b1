/** What alerts keep on disk: in one private file the rules and receivers, with their secrets; in another what fires and who was told. */
import { join } from 'node:path'
import { ALERTS_CONFIG_DEFAULT, type AlertsConfig } from '../../shared/alerts/config.ts'
import { BerthError } from '../../shared/errors.ts'
import { makePrivateFolder, readPrivateFile, writePrivateFile } from '../../shared/private-file.ts'
import type { Alert, Silence } from '../decide/alerts/evaluate.ts'
import type { Position } from '../decide/alerts/notifications.ts'

export type AlertsKept = {
  alerts: Alert[]
  silences: Silence[]
  positions: Position[]
  nextSilence: number
  crashes: [string, { service: string; node: string | null; at: number[] }][]
  endings: [string, number][]
}

export type AlertFiles = Awaited<ReturnType<typeof openAlertFiles>>

/** @throws BerthError `failed` when a file is damaged */
export async function openAlertFiles(dir: string) {
  await makePrivateFolder(dir)
  const [configPath, statePath] = [join(dir, 'config.json'), join(dir, 'state.json')]
  const config = (await readJson<AlertsConfig>(configPath)) ?? ALERTS_CONFIG_DEFAULT
  const empty: AlertsKept = { alerts: [], silences: [], positions: [], nextSilence: 1, crashes: [], endings: [] }
  return {
    config: { ...config, rules: { ...ALERTS_CONFIG_DEFAULT.rules, ...config.rules } },
    kept: { ...empty, ...(await readJson<AlertsKept>(statePath)) },
    writeConfig: (next: AlertsConfig) => writePrivateFile(configPath, JSON.stringify(next)),
    writeKept: (kept: AlertsKept) => writePrivateFile(statePath, JSON.stringify(kept)),
  }
}

async function readJson<Value>(path: string): Promise<Value | null> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  try {
    return JSON.parse(text) as Value
  } catch (cause) {
    throw new BerthError('failed', `${path} is damaged: restore it from a backup, or remove it to begin anew`, {
      cause,
    })
  }
}
