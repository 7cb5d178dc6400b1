/** Messages and their parts, filled in where it does not matter. */
import type { Observation } from '../../coordinator/world.ts'
import type { Instant } from '../../shared/clock.ts'
import type { Hello, ObservationMessage, TaskObservation } from '../../shared/wire/up.ts'
import { WIRE_VERSION } from '../../shared/wire/version.ts'
import { aHostLoad, anEngine, anInventory, NOW } from './world.ts'

export function aHello(given: Partial<Hello> = {}): Hello {
  return {
    kind: 'hello',
    version: WIRE_VERSION,
    versionMin: 1,
    node: 'web-1',
    instance: 'instance-1',
    agentVersion: '0.1.0',
    inventory: anInventory(),
    engine: anEngine(),
    labels: {},
    revision: 0,
    at: NOW,
    ...given,
  }
}

/** What the coordinator takes note of when an agent has said hello. */
export function connectedBy(
  given: Partial<Hello>,
  openedAt: Instant = NOW,
): Extract<Observation, { kind: 'connected' }> {
  const hello = aHello(given)
  const { node, instance } = hello
  return {
    kind: 'connected',
    node,
    hello,
    connection: { instance, openedAt, address: '10.0.0.1', wireVersion: WIRE_VERSION },
  }
}

export function aFullObservation(given: Partial<ObservationMessage> = {}): ObservationMessage {
  return { kind: 'observation', full: true, revision: 0, at: NOW, engine: anEngine(), tasks: [], gone: [], ...given }
}

export function aTaskObservation(given: Partial<TaskObservation> = {}): TaskObservation {
  return { task: 't1', spec: 'spec-1', attempt: 1, state: 'running', since: NOW, ...given }
}

export function aHeartbeat(sequence: number) {
  return { kind: 'heartbeat' as const, sequence, at: NOW, revision: 0, load: aHostLoad(), containers: [] }
}
