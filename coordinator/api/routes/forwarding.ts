/** Forwarding of log lines and figures to other systems. */
import type { FastifyInstance } from 'fastify'
import {
  type ForwardedLogs,
  type ForwardedMetrics,
  ForwardingDocument,
  ForwardingTestAnswer,
} from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import { ForwardingConfig, targetFaults } from '../../../shared/forwarding/config.ts'
import Type from '../../../shared/schema.ts'
import type { Forwarding, TargetView } from '../../forwarding/forwarding.ts'
import type { RouteParts } from '../api.ts'
import { isoTime } from '../words.ts'

export function forwardingRoutes(api: FastifyInstance, { forwarding }: RouteParts): void {
  if (forwarding === undefined) return
  const show = { summary: 'Targets, how far each is, and what is wrong', response: { 200: ForwardingDocument } }
  api.get('/v1/forwarding', { schema: show }, () => viewForwarding(forwarding))

  const set = {
    summary: 'Replaces the targets',
    body: ForwardingConfig,
    response: { 200: Type.Object({ targets: Type.Integer() }) },
  }
  api.put<{ Body: ForwardingConfig }>('/v1/forwarding', { schema: set }, async ({ body }) => {
    checkTargets(body)
    await forwarding.setConfig(body)
    return { targets: body.targets.length }
  })

  const test = { summary: 'Sends each target a test', response: { 200: ForwardingTestAnswer } }
  api.post('/v1/forwarding/test', { schema: test }, async () => ({ items: await forwarding.test() }))
}

function viewForwarding(forwarding: Forwarding): ForwardingDocument {
  return {
    targets: forwarding.targets().map(({ target, logs, metrics }) => ({
      name: target.name,
      logs: logs && viewLogs(logs),
      metrics: metrics && viewMetrics(metrics),
      config: target,
    })),
  }
}

function viewLogs({ state, behind, counts }: NonNullable<TargetView['logs']>): ForwardedLogs {
  const isRetrying = state.name === 'retrying'
  const { lines, bytes, batches, refused, skipped, failures } = counts
  return {
    state: state.name,
    since: isRetrying ? isoTime(state.since) : null,
    why: isRetrying ? state.why : null,
    nextAt: isRetrying ? isoTime(state.nextAt) : null,
    behind: { lines: behind.lines, bytes: behind.rawBytes, seconds: behind.seconds },
    sent: { lines, bytes, batches },
    refused,
    skipped,
    failures,
  }
}

function viewMetrics({ trouble, counts }: NonNullable<TargetView['metrics']>): ForwardedMetrics {
  if (trouble === null) return { state: 'ok', since: null, why: null, ...counts }
  return { state: 'failing', since: isoTime(trouble.since), why: trouble.why, ...counts }
}

/** What no schema can see. Values are not repeated: they may be secrets. */
function checkTargets({ targets }: ForwardingConfig): void {
  const names = new Set<string>()
  for (const [index, target] of targets.entries()) {
    const [first] = targetFaults(target)
    if (first !== undefined) throw new BerthError('invalid-request', `targets.${index}.${first.field} ${first.fault}`)
    if (names.has(target.name))
      throw new BerthError('invalid-request', `targets.${index}.name: "${target.name}" is there already`)
    names.add(target.name)
  }
}
