/** `berth login URL`: tries what it was given, then keeps it for the commands to come. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { StatusDocument } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { createClient } from '../client.ts'
import { type Connection, readCa, writeConfig } from '../config.ts'
import type { Context } from '../context.ts'
import { fetchPinnedCa } from '../pinned-ca.ts'

export type LoginOptions = { tokenFile?: string; tokenStdin?: boolean; ca?: string; fingerprint?: string }

export async function login(context: Context, url: string, options: LoginOptions): Promise<void> {
  const connection: Connection = { url, token: await readToken(context, options), ca: await caOf(url, options) }
  const client = createClient(connection)
  try {
    const { cluster } = await client.get<StatusDocument>('/status')
    const path = await writeConfig(connection, context.env)
    if (context.json) context.out.document({ cluster, url, config: path })
    else context.out.line(`logged in to ${cluster} at ${url}; kept in ${path}`)
  } finally {
    client.close()
  }
}

async function readToken({ env }: Context, { tokenFile, tokenStdin }: LoginOptions): Promise<string> {
  const given = tokenFile
    ? await readFile(tokenFile, 'utf8').catch((cause) => {
        throw new BerthError('invalid-file', `cannot read the token's file ${tokenFile}`, { cause })
      })
    : tokenStdin
      ? await text(process.stdin)
      : (env.BERTH_TOKEN ?? '')
  const token = given.trim()
  if (token !== '') return token
  throw new BerthError(
    'invalid-request',
    'no token: give --token-file FILE, --token-stdin or BERTH_TOKEN (never as an argument)',
  )
}

async function caOf(url: string, { ca, fingerprint }: LoginOptions): Promise<string | null> {
  if (ca !== undefined) return readCa(ca)
  return fingerprint === undefined ? null : fetchPinnedCa(url, fingerprint)
}
