import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const script = join(import.meta.dirname, '../../../install.sh')

/** The token is none, so that nothing is installed whatever becomes of the address. */
function joining(url: string) {
  const { status, stderr } = spawnSync('sh', [script, 'join', url, 'BRTH-1-none'], { encoding: 'utf8' })
  return { status, stderr }
}

test
  .runIf(process.getuid?.() === 0)
  .each([
    "https://10.0.0.5:23784';touch /tmp/owned;'",
    'https://$(touch /tmp/owned)',
    'https://`id`:1',
    'https://10.0.0.5:23784\nhttps://other',
    'https://10.0.0.5 :23784',
  ])('an address that a shell could read as anything but itself is refused: %j', (url) => {
  expect(joining(url)).toEqual({ status: 2, stderr: expect.stringContaining('not the address of a coordinator') })
})

test
  .runIf(process.getuid?.() === 0)
  .each(['https://10.0.0.5:23784', 'https://[fd00::1]:23784/', 'https://berth-1.example'])(
  'an ordinary one is not: %s',
  (url) => {
    expect(joining(url).stderr).toContain('this is not a join token')
  },
)
