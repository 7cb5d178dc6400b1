/** `berth deploy`: Compose files become a stack, and the command waits until it is up. */
import type { DeployAnswer, ProgressDocument } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { type ReadOptions, readStack } from '../read-stack.ts'
import { waitForStack } from '../wait.ts'

export type DeployOptions = ReadOptions & {
  detach?: boolean
  /** ms */
  timeout: number
  attach?: string
  prune: boolean
  /** See WaitOptions. */
  signal?: AbortSignal
}

export async function deploy(context: Context, options: DeployOptions): Promise<void> {
  if (options.attach !== undefined) return attach(context, options.attach, options.timeout)
  const spec = await readStack(context, options)
  await withClient(context, async (client) => {
    const answer = await client.put<DeployAnswer>(`/v1/stacks/${segment(spec.name)}`, spec, { prune: options.prune })
    for (const warning of answer.warnings) context.out.note(`warning: ${warning}`)
    if (options.detach) {
      if (context.json) return context.out.document(answer)
      return context.out.line(
        `${spec.name}  deployment ${answer.deployment} is on its way; berth deploy --attach ${spec.name} follows it`,
      )
    }
    const { timeout, signal } = options
    const progress = await waitForStack(context, client, { ...waitOptions(spec.name, timeout), signal })
    finish(context, { ...answer, ...progress })
  })
}

/** Follows a deployment that is on its way. */
async function attach(context: Context, stack: string, timeoutMs: number): Promise<void> {
  await withClient(context, async (client) => {
    finish(context, await waitForStack(context, client, { ...waitOptions(stack, timeoutMs), mustAnswer: true }))
  })
}

const waitOptions = (stack: string, timeoutMs: number) => ({
  stack,
  timeoutMs,
  leaveHint: `berth deploy --attach ${stack} comes back`,
})

/** Says how it ended. @throws BerthError `failed` unless the stack is up */
export function finish({ out, json }: Context, progress: ProgressDocument): void {
  const { stack, outcome } = progress
  if (json) out.document(progress)
  if (outcome === 'up') return
  const words = outcome === 'gone' ? 'was removed meanwhile' : outcome === 'rolled-back' ? 'was rolled back' : 'failed'
  throw new BerthError('failed', `${stack} ${words}; berth events --stack ${stack} · berth ps ${stack}`, {
    details: { stack, outcome },
  })
}
