/** One service of the merged files → its spec. */
import type { ServiceSpec } from '../../spec.ts'
import type { Field } from '../field.ts'
import { readBerth } from './berth.ts'
import { type ContainerContext, readContainer } from './container.ts'
import { readDependencies, type ServiceNames } from './dependencies.ts'
import { checkDeploy, readMode, readUpdate } from './deploy.ts'
import { readLabels } from './environment.ts'
import { withoutUndefined } from './healthcheck.ts'
import { ALL_SERVICE_FIELDS, REFUSED, WARNED } from './known.ts'
import { readPlacement } from './placement.ts'
import { readRestart } from './restart.ts'
import { readSampling } from './sampling.ts'

export function readService(service: Field, context: ContainerContext, names: ServiceNames): ServiceSpec {
  service.onlyKnows(ALL_SERVICE_FIELDS)
  nameUnhonoured(service)
  checkDeploy(service.get('deploy'))
  return {
    task: {
      container: readContainer(service, context),
      restart: readRestart(service),
      ...withoutUndefined({ sampling: readSampling(service) }),
    },
    mode: readMode(service),
    placement: readPlacement(service, names),
    update: readUpdate(service, 'update_config'),
    rollback: readUpdate(service, 'rollback_config'),
    dependsOn: readDependencies(service.get('depends_on'), names),
    labels: readLabels(service.get('deploy')?.get('labels')),
    ...readBerth(service),
  }
}

function nameUnhonoured(service: Field): void {
  for (const [key, message] of Object.entries(REFUSED)) {
    const field = service.get(key)
    if (field && !isEmpty(field)) field.notHonoured(message)
  }
  for (const [key, message] of Object.entries(WARNED)) service.get(key)?.atKey().warning(message)
}

/** `secrets: []` asks for nothing. */
function isEmpty(field: Field): boolean {
  const { node } = field
  return (node.kind === 'list' && node.items.length === 0) || (node.kind === 'map' && node.entries.size === 0)
}
