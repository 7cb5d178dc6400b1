import { expect, test } from 'vitest'
import { FixedKeys } from '../../../../coordinator/decide/checks/fixed-keys.ts'
import type { ServiceVersion } from '../../../../coordinator/world.ts'
import type { Constraint, Toleration } from '../../../../shared/spec.ts'
import { aService, NOW } from '../../../build/world.ts'

const ssd: Constraint = { attribute: 'node.labels.disk', operator: '==', value: 'ssd' }
const zones = (values: string[]): Constraint => ({ attribute: 'zone', operator: 'in', value: '', values })
const failed = (nodes: string[]) => nodes.map((node) => ({ node, failures: 3, until: NOW }))

function aVersion(
  constraints: Constraint[],
  tolerations: Toleration[] = [],
  rest: Partial<ServiceVersion> = {},
): ServiceVersion {
  const version = aService({ spec: { placement: { constraints, tolerations } } }).versions.get(1)!
  return { ...version, ...rest }
}

test('versions for which the fixed checks read the same have one number, whatever else they are', () => {
  const keys = new FixedKeys()
  expect(keys.of(aVersion([ssd]))).toBe(keys.of(aVersion([{ ...ssd }], [], { createdAt: NOW + 7 })))
})

test('what the fixed checks could tell apart has numbers of its own', () => {
  const versions = [
    aVersion([]),
    aVersion([ssd]),
    aVersion([ssd, ssd]),
    aVersion([{ ...ssd, operator: '!=' }]),
    aVersion([{ ...ssd, value: '' }]),
    aVersion([zones(['a', 'b'])]),
    aVersion([zones(['a']), { ...ssd, attribute: 'b' }]),
    aVersion([], [{ key: 'gpu', operator: 'exists' }]),
    aVersion([], [{ key: 'gpu', operator: 'exists', effect: 'no-schedule' }]),
    aVersion([], [{ key: 'gpu', operator: '==', value: 'no-schedule' }]),
    aVersion([], [], { refusedPlatforms: ['a'] }),
    aVersion([], [], { refusedPlatforms: ['a', 'b'] }),
    aVersion([], [], { failing: { nodes: failed(['a']) } as ServiceVersion['failing'] }),
    aVersion([], [], { failing: { nodes: failed(['a', 'b']) } as ServiceVersion['failing'] }),
  ]
  const keys = new FixedKeys()
  expect(new Set(versions.map((version) => keys.of(version))).size).toBe(versions.length)
})
