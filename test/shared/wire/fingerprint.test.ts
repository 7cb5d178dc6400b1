import { expect, test } from 'vitest'
import { wireFingerprint } from '../../../shared/wire/fingerprint.ts'
import { WIRE_HISTORY, WIRE_VERSION, WIRE_VERSION_MIN } from '../../../shared/wire/version.ts'

test('the shape of the messages is the one recorded for the current wire version', () => {
  const recorded = WIRE_HISTORY.find(({ version }) => version === WIRE_VERSION)?.fingerprint
  const now = wireFingerprint()
  expect(
    now,
    `The shape of a message in shared/wire/up.ts or down.ts (or of something they hold) has changed.
Agents and coordinators of different ages talk to each other, so in shared/wire/version.ts:
  1. raise WIRE_VERSION from ${WIRE_VERSION} to ${WIRE_VERSION + 1};
  2. add the line { version: ${WIRE_VERSION + 1}, fingerprint: '${now}', brought: '…what it brings…' } to WIRE_HISTORY;
  3. keep WIRE_VERSION_MIN where an older side still reads what the newer one says to it, else raise it too and say so.
(As long as version ${WIRE_VERSION} has never left this repository, its own line may take the new fingerprint instead.)`,
  ).toBe(recorded)
})

test('the history has one line for each version, in order, and none is ahead of the current one', () => {
  expect(WIRE_HISTORY.map(({ version }) => version)).toEqual(Array.from({ length: WIRE_VERSION }, (_, i) => i + 1))
  expect(WIRE_VERSION_MIN).toBeGreaterThanOrEqual(1)
  expect(WIRE_VERSION_MIN).toBeLessThanOrEqual(WIRE_VERSION)
  for (const { brought } of WIRE_HISTORY) expect(brought).not.toBe('')
})

test('an upgrade can go one side at a time: at most one version is left behind by a release', () => {
  expect(WIRE_VERSION - WIRE_VERSION_MIN).toBeGreaterThanOrEqual(Math.min(1, WIRE_VERSION - 1))
})
