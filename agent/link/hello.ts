/** The first message of a connection: who this host is, and what it has. */
import type { Hello } from '../../shared/wire/up.ts'
import { WIRE_VERSION, WIRE_VERSION_MIN } from '../../shared/wire/version.ts'
import type { ConnectionNeeds } from './connection.ts'

/** An Engine that takes longer to show its containers is greeted as down; it will be said when it is up. */
const ENGINE_WAIT_MS = 3_000
const ENGINE_SILENT: Hello['engine'] = { state: 'down', message: 'the Engine has not shown its containers yet' }

export type HelloNeeds = Pick<ConnectionNeeds, 'options' | 'supervisor' | 'inventory' | 'clock' | 'instance' | 'signal'>

export async function newHello(needs: HelloNeeds): Promise<Hello> {
  const { options, supervisor, clock, instance } = needs
  const { node, agentVersion, labels } = options
  const engine = engineSoon(needs)
  const inventory = await needs.inventory()
  return {
    kind: 'hello',
    version: WIRE_VERSION,
    versionMin: WIRE_VERSION_MIN,
    node,
    instance,
    agentVersion,
    inventory,
    engine: await engine,
    labels,
    revision: supervisor.revision,
    at: clock.now(),
  }
}

function engineSoon({ supervisor, clock, signal }: HelloNeeds): Promise<Hello['engine']> {
  const silent = () => ENGINE_SILENT
  return Promise.race([
    supervisor.observeAll().then((observed) => observed.engine),
    clock.sleep(ENGINE_WAIT_MS, signal).then(silent, silent),
  ])
}
