import { describe, expect, it } from 'vitest'
import { formatFinding } from '../../../shared/compose/read-compose.ts'
import { read, refusal, webFile } from './reading.ts'

describe('x-berth.sampling', () => {
  it.each<[text: string, fullMs: number, calmMs: number]>([
    ['{full: 2s, calm: 30s}', 2000, 30_000],
    ['{calm: 1m}', 1000, 60_000],
    ['{full: 5s}', 5000, 10_000],
    ['{full: 20s}', 20_000, 20_000],
    ['5s', 5000, 5000],
  ])('%s', async (text, fullMs, calmMs) => {
    const { stack, findings } = await read(webFile(`x-berth: {sampling: ${text}}`))
    expect(findings.map(formatFinding)).toEqual([])
    expect(stack.services.web!.task.sampling).toEqual({ fullMs, calmMs })
  })

  it('is not part of a task that says nothing of it, so that its hash is what it was', async () => {
    const { stack } = await read(webFile('x-berth: {priority: 5}'))
    expect(stack.services.web!.task).not.toHaveProperty('sampling')
  })

  it.each([
    [
      '{full: 30s, calm: 10s}',
      'has calm ones sampled more often (10s) than those in trouble (30s); full takes at most what calm does',
    ],
    ['500ms', 'takes whole seconds from 1s to 60s'],
    ['{calm: 1500ms}', 'takes whole seconds from 1s to 60s'],
    ['{calm: 2m}', 'takes whole seconds from 1s to 60s'],
    ['5', '"5" is not a duration; write it like 5s'],
    ['{}', 'names neither full nor calm: how often while something is wrong, and while nothing is'],
    ['{slow: 5s}', 'is not a setting of Berth here'],
  ])('%s is refused', async (text, message) => {
    expect((await refusal(webFile(`x-berth: {sampling: ${text}}`))).join('\n')).toContain(message)
  })
})
