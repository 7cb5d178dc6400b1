import { expect, test } from 'vitest'
import type { PullOptions } from '../../agent/docker/engine.ts'
import { Pulls } from '../../agent/pulls.ts'
import { BerthError } from '../../shared/errors.ts'
import { until } from '../build/until.ts'

/** An Engine whose registry answers only when it is told to; a pull that is broken off ends, as the real one does. */
function aSlowRegistry(given: { width?: number; lingerMs?: number } = {}) {
  const under = new Map<string, PromiseWithResolvers<void>>()
  const asked: string[] = []
  const brokenOff: string[] = []
  const engine = {
    async pull(image: string, { signal }: PullOptions = {}) {
      asked.push(image)
      const answer = Promise.withResolvers<void>()
      under.set(image, answer)
      signal?.addEventListener('abort', () => {
        brokenOff.push(image)
        answer.reject(signal.reason)
      })
      await answer.promise
    },
  }
  return {
    under,
    asked,
    brokenOff,
    pulls: new Pulls({ engine, width: given.width ?? 3, lingerMs: given.lingerMs ?? 0 }),
  }
}

const never = () => new AbortController().signal

test('tasks that need the same image share its pull, and its failure', async () => {
  const { pulls, under, asked } = aSlowRegistry()
  const both = [pulls.wait('a', null, never()), pulls.wait('a', null, never())]
  under.get('a')!.reject(new BerthError('image-not-found', 'image a cannot be had'))
  for (const each of both) await expect(each).rejects.toMatchObject({ code: 'image-not-found' })
  expect(asked).toEqual(['a'])
  const again = pulls.wait('a', null, never())
  under.get('a')!.resolve()
  await again
  expect(asked).toEqual(['a', 'a'])
})

test('pulls that nobody waits for any more are broken off, and keep no other from its turn', async () => {
  const { pulls, under, asked, brokenOff } = aSlowRegistry({ width: 2 })
  const gone = new AbortController()
  const abandoned = ['a', 'b', 'queued'].map((image) => pulls.wait(image, null, gone.signal))
  const wanted = pulls.wait('wanted', null, never())
  expect(asked).toEqual(['a', 'b'])
  gone.abort()
  await Promise.all(abandoned)
  await until(() => under.has('wanted'))
  under.get('wanted')!.resolve()
  await wanted
  expect(brokenOff).toEqual(expect.arrayContaining(['a', 'b']))
})

test('a pull that another task still waits for, or soon waits for again, goes on', async () => {
  const { pulls, under, asked, brokenOff } = aSlowRegistry({ lingerMs: 60_000 })
  const gone = new AbortController()
  const first = pulls.wait('a', null, gone.signal)
  gone.abort()
  await first
  const second = pulls.wait('a', null, never())
  under.get('a')!.resolve()
  await second
  expect(asked).toEqual(['a'])
  expect(brokenOff).toEqual([])
})

test('an image that is wanted again right after its pull was broken off is asked for anew', async () => {
  const { pulls, under, asked, brokenOff } = aSlowRegistry()
  const gone = new AbortController()
  const first = pulls.wait('a', null, gone.signal)
  gone.abort()
  await first
  await until(() => brokenOff.length === 1)
  const again = pulls.wait('a', null, never())
  await until(() => asked.length === 2)
  under.get('a')!.resolve()
  await again
})
