import { expect, test } from 'vitest'
import { isImageName } from '../../../shared/compose/image-name.ts'
import { refusal } from './reading.ts'

const HEX = '0123456789abcdef'.repeat(4)

test.each([
  'nginx',
  'nginx:1.27-alpine',
  'berth/hello:1',
  'library/a__b.c-d--e',
  'localhost/app',
  'localhost:5000/app:latest',
  'registry.example.com/team/app:41',
  'Registry.Example.com:443/app',
  '10.0.0.5:5000/team/app',
  '[fd00::5]:5000/app:1',
  `app@sha256:${HEX}`,
  `registry:5000/app:1@sha256:${HEX}`,
  `sha256:${HEX}`,
])('%s names an image', (name) => {
  expect(isImageName(name)).toBe(true)
})

test.each([
  '',
  ' ',
  'app:',
  'app:1:2',
  ':1',
  'App',
  'team/App:1',
  'app one',
  '/app',
  'app/',
  'app:-1',
  'app@sha256:12',
  'a'.repeat(600),
])('"%s" names none', (name) => {
  expect(isImageName(name)).toBe(false)
})

test('a variable that is not set leaves a name that is none, and that is said with its place before anything is deployed', async () => {
  expect(await refusal('services:\n  web:\n    image: app:$NOPE\n')).toEqual([
    expect.stringContaining('NOPE is not set'),
    expect.stringMatching(/^compose.yaml:3:12 .*"app:" is not the name of an image; write it like/),
  ])
})

test('no name takes long to be judged', () => {
  // A grammar that goes back and forth would need longer than the universe has.
  expect(isImageName(`${'a-'.repeat(250)}!`)).toBe(false)
  expect(isImageName(`${'a/'.repeat(250)}!`)).toBe(false)
})
