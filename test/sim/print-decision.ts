/** A decision in one line. */
import type { Decision } from '../../coordinator/world.ts'

export function printDecision(decision: Decision): string {
  const { kind, ...rest } = decision
  switch (decision.kind) {
    case 'set-node-status':
      return `${decision.node} is ${decision.status.name}${'why' in decision.status ? `: ${decision.status.why}` : ''}`
    case 'create-task':
      return `creates ${decision.task} v${decision.version}: ${decision.why}`
    case 'place-task':
      return `places ${decision.task} on ${decision.node}`
    case 'hold-task':
      return `holds ${decision.task}: ${decision.refusals.map(({ node, check }) => `${node ?? 'all'} ${check}`).join(', ')}`
    case 'stop-task':
      return `stops ${decision.task}: ${decision.why}`
    case 'forget-task':
      return `forgets ${decision.task}: ${decision.why}`
    case 'set-rollout':
      return `${decision.service} v${decision.wantedVersion} is ${decision.rollout.state}${'why' in decision.rollout ? `: ${decision.rollout.why}` : ''}`
    default:
      return `${kind} ${JSON.stringify(rest)}`
  }
}
