/** Which coordinator, with which token, trusted by which CA: from the environment, the user's file, or this host's own. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BerthError } from '../shared/errors.ts'
import { makePrivateFolder, readPrivateFile, writePrivateFile } from '../shared/private-file.ts'

export type Connection = {
  url: string
  token: string
  /** PEM of the CA that the coordinator's certificate must come from; null: the system's CAs. */
  ca: string | null
}

export const COORDINATOR_DIR = '/var/lib/berth/coordinator'
const localUrl = 'https://127.0.0.1:23784'

/**
 * By the environment, else by what `berth login` kept, else by what the coordinator on this host keeps; `BERTH_TOKEN` counts with each.
 * @throws BerthError `invalid-request` when there is nothing to go by
 */
export async function findConnection(
  env: NodeJS.ProcessEnv = process.env,
  coordinatorDir = COORDINATOR_DIR,
): Promise<Connection> {
  const kept = await readConfig(env)
  if (env.BERTH_URL) return connectionOfEnvironment(env, kept)
  const known = kept ?? (await localConnection(coordinatorDir, localUrl))
  if (known) return env.BERTH_TOKEN ? { ...known, token: env.BERTH_TOKEN } : known
  throw new BerthError(
    'invalid-request',
    'no coordinator is known here: run `berth login URL`, or set BERTH_URL, BERTH_TOKEN and BERTH_CA (a file)',
  )
}

/** What the coordinator on this host keeps, for whoever may read it; null for everybody else. */
export async function localConnection(coordinatorDir: string, url: string): Promise<Connection | null> {
  try {
    const security = join(coordinatorDir, 'security')
    const token = (await readFile(join(security, 'operator-token'), 'utf8')).trim()
    const ca = certificateIn(await readFile(join(security, 'ca.pem'), 'utf8'))
    return ca === null ? null : { url, token, ca }
  } catch {
    return null
  }
}

export function configPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'berth', 'config.json')
}

/** Mode 0600, replaced in one step. Returns its path. */
export async function writeConfig(connection: Connection, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const path = configPath(env)
  await makePrivateFolder(join(path, '..'))
  await writePrivateFile(path, `${JSON.stringify(connection, null, 2)}\n`)
  return path
}

/** The certificate alone: the file of the coordinator's CA holds its key, too, which is nobody else's to keep. */
export function certificateIn(text: string): string | null {
  const found = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)
  return found ? `${found.join('\n')}\n` : null
}

async function readConfig(env: NodeJS.ProcessEnv): Promise<Connection | null> {
  const path = configPath(env)
  const text = await readPrivateFile(path)
  if (text === null) return null
  try {
    const { url, token, ca } = JSON.parse(text) as Partial<Record<string, unknown>>
    if (typeof url === 'string' && typeof token === 'string')
      return { url, token, ca: typeof ca === 'string' ? ca : null }
  } catch {
    // Told below, with the way to mend it.
  }
  throw new BerthError('invalid-file', `${path} is damaged: remove it and run \`berth login URL\` again`)
}

/** The file's token and CA fill in where they are for the same coordinator. */
async function connectionOfEnvironment(env: NodeJS.ProcessEnv, kept: Connection | null): Promise<Connection> {
  const url = env.BERTH_URL ?? ''
  const same = kept?.url === url ? kept : null
  const token = env.BERTH_TOKEN ?? same?.token
  if (!token)
    throw new BerthError('invalid-request', 'BERTH_URL is set but BERTH_TOKEN is not; set it, or `berth login`')
  return { url, token, ca: env.BERTH_CA ? await readCa(env.BERTH_CA) : (same?.ca ?? null) }
}

/** @throws BerthError `invalid-file` */
export async function readCa(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new BerthError('invalid-file', `cannot read the CA's file ${path}`, { cause })
  })
  const ca = certificateIn(text)
  if (ca === null) throw new BerthError('invalid-file', `${path} holds no certificate in PEM form`)
  return ca
}
