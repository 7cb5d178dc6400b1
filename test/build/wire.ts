/** Messages and their parts, filled in where it does not matter. */
import type { HostLoad } from '../../shared/load.ts'
import type { Hello, ObservationMessage, TaskObservation } from '../../shared/wire/up.ts'
import { anEngine, anInventory, NOW } from './world.ts'

export function aHello(given: Partial<Hello> = {}): Hello {
  return {
    kind: 'hello',
    version: 1,
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

export function aFullObservation(given: Partial<ObservationMessage> = {}): ObservationMessage {
  return { kind: 'observation', full: true, revision: 0, at: NOW, engine: anEngine(), tasks: [], gone: [], ...given }
}

export function aTaskObservation(given: Partial<TaskObservation> = {}): TaskObservation {
  return { task: 't1', spec: 'spec-1', attempt: 1, state: 'running', since: NOW, ...given }
}

export function aHostLoad(given: Partial<HostLoad> = {}): HostLoad {
  return {
    cpuCoresUsed: 0.5,
    memoryBytesUsed: 1e9,
    memoryBytesTotal: 8e9,
    loadAverage1m: 0.4,
    diskBytesUsed: 1e10,
    diskBytesTotal: 1e11,
    diskReadBytesPerSecond: 0,
    diskWriteBytesPerSecond: 0,
    networkReceiveBytesPerSecond: 0,
    networkSendBytesPerSecond: 0,
    ...given,
  }
}

export function aHeartbeat(sequence: number) {
  return { kind: 'heartbeat' as const, sequence, at: NOW, revision: 0, load: aHostLoad(), containers: [] }
}
