/** What every command gets, and how it reaches the coordinator. */
import { type Client, createClient } from './client.ts'
import { findConnection } from './config.ts'
import type { Output } from './output.ts'

export type Context = {
  out: Output
  json: boolean
  env: NodeJS.ProcessEnv
}

/** Runs `work` with a client, which is closed afterwards so that the process can end. */
export async function withClient<Result>(context: Context, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = createClient(await findConnection(context.env))
  try {
    return await work(client)
  } finally {
    client.close()
  }
}
