import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { interpolate } from '../../../shared/compose/interpolate.ts'

const variables: Record<string, string> = { SET: 'value', EMPTY: '', OTHER: 'other', DOLLAR: '$SET' }
const lookup = (name: string) => variables[name]

describe('variables', () => {
  it.each([
    ['$SET', 'value'],
    ['${SET}', 'value'],
    ['a${SET}b$OTHER.', 'avaluebother.'],
    ['${SET:-d}', 'value'],
    ['${EMPTY:-d}', 'd'],
    ['${EMPTY-d}', ''],
    ['${NONE-d}', 'd'],
    ['${NONE:-}', ''],
    ['${SET:+x}', 'x'],
    ['${EMPTY:+x}', ''],
    ['${EMPTY+x}', 'x'],
    ['${NONE+x}', ''],
    ['${SET:?must be}', 'value'],
    ['${EMPTY?must be}', ''],
    ['${NONE:-${OTHER}}', 'other'],
    ['${NONE:-${NOPE:-${SET}}}!', 'value!'],
    ['${NONE:-a:b/c?d=e}', 'a:b/c?d=e'],
    ['${NONE:-{"a":1\\}', '{"a":1\\'],
    ['${NONE-$$SET}', '$SET'],
    ['$$SET', '$SET'],
    ['$${SET}', '${SET}'],
    ['$$$SET', '$value'],
    ['$DOLLAR', '$SET'],
    ['${SET:+${OTHER}}', 'other'],
  ])('%s becomes "%s"', (text, expected) => {
    expect(interpolate(text, lookup)).toEqual({ text: expected, unset: [], problems: [] })
  })

  it('that are not set become empty and are named', () => {
    expect(interpolate('[$NONE][${NOPE}]', lookup)).toEqual({ text: '[][]', unset: ['NONE', 'NOPE'], problems: [] })
  })

  it.each([
    ['${NONE:?set it in .env}', 'the variable NONE is required: set it in .env'],
    ['${EMPTY:?}', 'the variable EMPTY is required but not set'],
    ['${NONE?ask $OTHER}', 'the variable NONE is required: ask other'],
  ])('%s is a problem with its reason', (text, problem) => {
    expect(interpolate(text, lookup).problems).toEqual([problem])
  })

  it.each(['$', '5$', '$1', '${}', '${SET', '${SET:-x', '${1A}', '${SET!}', '$(date)'])(
    '"%s" is not a variable',
    (text) => {
      expect(interpolate(text, lookup).problems).toEqual([expect.stringContaining('write $$ for a dollar sign')])
    },
  )

  it('are looked at in a default only when it is used', () => {
    expect(interpolate('${SET:-${NONE:?never asked}}', lookup)).toEqual({ text: 'value', unset: [], problems: [] })
  })

  it('may be nested, within reason', () => {
    const nested = (depth: number) => `${'${NONE:-'.repeat(depth)}deep${'}'.repeat(depth)}`
    expect(interpolate(nested(20), lookup).text).toBe('deep')
    expect(interpolate(nested(5000), lookup).problems).toEqual(['variables are nested more than 32 deep'])
  })
})

describe('whatever the text is', () => {
  it('without a dollar it is left as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('$')),
        (text) => {
          expect(interpolate(text, lookup)).toEqual({ text, unset: [], problems: [] })
        },
      ),
    )
  })

  it('with its dollars doubled it comes back as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', 'A', ':', '-', ' ') }), (text) => {
        expect(interpolate(text.replaceAll('$', '$$$$'), lookup)).toEqual({ text, unset: [], problems: [] })
      }),
    )
  })

  it('a value goes in unread, dollars and all', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (value, fallback) => {
        fc.pre(!/[${}]/.test(fallback))
        expect(interpolate('<${V}>', () => value).text).toBe(`<${value}>`)
        expect(interpolate(`<\${V:-${fallback}}>`, () => undefined).text).toBe(`<${fallback}>`)
      }),
    )
  })

  it('it is answered, never thrown at', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('$', '{', '}', 'A', ':', '-', '?', '+', '1'), maxLength: 200 }),
        (text) => {
          expect(typeof interpolate(text, lookup).text).toBe('string')
        },
      ),
    )
  })
})
