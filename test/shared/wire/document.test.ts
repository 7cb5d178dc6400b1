import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DownMessage } from '../../../shared/wire/down.ts'
import { UpMessage } from '../../../shared/wire/up.ts'

const text = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8')
const documented = [...text.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, name]) => name)
const faults = ['too-large', 'not-msgpack', 'wrong-type']

test('docs/wire.md tells of every message, and of none that is not', () => {
  const kinds = [...UpMessage.anyOf, ...DownMessage.anyOf].map(({ properties }) => properties.kind.const)
  expect(documented.toSorted()).toEqual([...kinds, ...faults].toSorted())
})
