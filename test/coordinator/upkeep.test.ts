import { expect, onTestFinished, test } from 'vitest'
import { startUpkeep } from '../../coordinator/upkeep.ts'
import { aFakeLog } from '../build/fake-core.ts'
import { until } from '../build/until.ts'

const everySecond = '* * * * * *'

test('a chore is done at its times, whether or not it went well the last time, and another one’s failure is its own', async () => {
  const log = aFakeLog()
  const done = { well: 0, badly: 0 }
  const upkeep = startUpkeep(
    [
      { name: 'well', schedule: everySecond, run: async () => void done.well++ },
      {
        name: 'badly',
        schedule: everySecond,
        run: async () => {
          done.badly++
          throw new Error('no room')
        },
      },
    ],
    log,
  )
  onTestFinished(upkeep.stop)
  await until(() => done.well >= 2 && done.badly >= 2)
  expect(log.lines[0]).toMatchObject({ level: 'error', message: 'badly: no room; it is tried again' })
})

test('after the stop nothing is done any more, and a chore that is not due is not done', async () => {
  let done = 0
  const run = async () => void done++
  const nextYear = { name: 'yearly', schedule: '0 0 29 2 *', run }
  const upkeep = startUpkeep([nextYear, { name: 'often', schedule: everySecond, run }], aFakeLog())
  upkeep.stop()
  await new Promise((resolve) => setTimeout(resolve, 2_100))
  expect(done).toBe(0)
})
