/** Alerts: what fires, the rules and receivers, silences. */
import type { FastifyInstance } from 'fastify'
import { ALERT_RULES_DEFAULT, AlertsConfig, urlFault } from '../../../shared/alerts/config.ts'
import { AlertsDocument, AlertsTestAnswer, NameParams, SilenceBody, SilenceDocument } from '../../../shared/api.ts'
import { didYouMean } from '../../../shared/compose/suggest.ts'
import { BerthError } from '../../../shared/errors.ts'
import Type from '../../../shared/schema.ts'
import type { Alerter } from '../../alerts/alerter.ts'
import type { Silence } from '../../decide/alerts/evaluate.ts'
import type { RouteParts } from '../api.ts'
import { isoTime } from '../words.ts'
import { nodeNamed } from './nodes.ts'
import { serviceNamed } from './services.ts'

export function alertRoutes(api: FastifyInstance, { alerter, clock, core }: RouteParts): void {
  if (alerter === undefined) return
  const show = { summary: 'What fires, silences, rules and receivers', response: { 200: AlertsDocument } }
  api.get('/v1/alerts', { schema: show }, () => viewAlerts(alerter))

  const set = {
    summary: 'Replaces alert rules and receivers',
    body: AlertsConfig,
    response: { 200: Type.Object({ receivers: Type.Integer() }) },
  }
  api.put<{ Body: AlertsConfig }>('/v1/alerts', { schema: set }, async ({ body }) => {
    checkReceivers(body)
    await alerter.setConfig(body)
    return { receivers: body.receivers.length }
  })

  const test = { summary: 'Sends each receiver a test', response: { 200: AlertsTestAnswer } }
  api.post('/v1/alerts/test', { schema: test }, async () => ({ items: await alerter.test() }))

  const silence = {
    summary: 'Silences alerts for a while',
    body: SilenceBody,
    response: { 200: SilenceDocument },
  }
  api.post<{ Body: SilenceBody }>('/v1/alerts/silences', { schema: silence }, async ({ body }) => {
    const { forMs, comment = '', rule, ...labels } = body
    // A name that is misspelt would silence nothing, and be found out by whoever is woken.
    if (labels.node !== undefined) nodeNamed(core.world, labels.node)
    if (labels.service !== undefined) serviceNamed(core.world, labels.service)
    return viewSilence(
      await alerter.silence({
        ...labels,
        ...(rule !== undefined && { rule: ruleNamed(rule) }),
        comment,
        endsAt: clock.now() + forMs,
      }),
    )
  })

  const unsilence = {
    summary: 'Ends a silence',
    params: NameParams,
    response: { 200: Type.Object({ id: Type.String() }) },
  }
  api.delete<{ Params: { name: string } }>('/v1/alerts/silences/:name', { schema: unsilence }, async ({ params }) => {
    await alerter.unsilence(params.name)
    return { id: params.name }
  })
}

function viewAlerts(alerter: Alerter): AlertsDocument {
  return {
    alerts: alerter.alerts().map((alert) => ({ ...alert, labels: { ...alert.labels }, since: isoTime(alert.since) })),
    silences: alerter.silences().map(viewSilence),
    counts: alerter.counts(),
    config: alerter.config(),
  }
}

function viewSilence(silence: Silence): SilenceDocument {
  return { ...silence, startedAt: isoTime(silence.startedAt), endsAt: isoTime(silence.endsAt) }
}

function ruleNamed(name: string): keyof typeof ALERT_RULES_DEFAULT {
  const rules = Object.keys(ALERT_RULES_DEFAULT) as (keyof typeof ALERT_RULES_DEFAULT)[]
  const found = rules.find((rule) => rule === name)
  if (found !== undefined) return found
  throw new BerthError(
    'invalid-request',
    `"${name}" is no alert rule${didYouMean(name, rules) || `; there are ${rules.join(', ')}`}`,
  )
}

/** What no schema can see. Values are not repeated: a URL may hold a secret. */
function checkReceivers({ receivers }: AlertsConfig): void {
  const names = new Set<string>()
  for (const [index, { name, url, kind, from, to }] of receivers.entries()) {
    const fault = urlFault(kind, url)
    if (fault !== null) throw new BerthError('invalid-request', `receivers.${index}.url ${fault}`)
    if (kind === 'smtp' && (from === undefined || to === undefined)) {
      throw new BerthError('invalid-request', `receivers.${index}: smtp needs from and to`)
    }
    if (names.has(name)) throw new BerthError('invalid-request', `receivers.${index}.name: "${name}" is there already`)
    names.add(name)
  }
}
