import { expect, test } from 'vitest'
import { plotLines, roundAbove, roundBytesAbove } from '../../cli/plot.ts'

const HOUR = 3_600_000
const plot = (points: (number | null)[]) =>
  plotLines({
    points,
    fromMs: 0,
    stepMs: HOUR / points.length,
    columns: 40,
    rows: 4,
    format: (value) => value.toFixed(1),
  })

test('a line that rises is low at its begin and high at its end, over an axis of times', () => {
  expect(plot(Array.from({ length: 70 }, (_, i) => i / 69))).toEqual([
    '1.0 ┤                          ⢀⣀⣀⡤⠤⠴⠒⠚⠉',
    '    ┤                 ⢀⣀⣀⡤⠤⠖⠒⠚⠉⠉',
    '0.5 ┤        ⢀⣀⣠⠤⠤⠖⠒⠋⠉⠉',
    '    ┤⣀⣠⠤⠴⠒⠒⠋⠉⠉',
    '0.0 └───────────────────────────────────',
    '     00:00          00:30          01:00',
  ])
})

test('where nothing was measured there is a gap, and no line across it', () => {
  const lines = plot([1, 1, null, null, 1, 1])
  expect(lines[0]).toMatch(/^1\.0 ┤\S+ {9,}\S+$/)
  expect(lines.slice(1, 4).join('')).not.toMatch(/[⠁-⣿]/)
})

test('of more points than there are dots the peaks are drawn', () => {
  const points = new Array<number>(5000).fill(0)
  points[2500] = 4
  expect(plot(points)[0]).toMatch(/[⠁-⣿]/)
})

test('no line is longer than the terminal is wide, however many points there are', () => {
  for (const count of [1, 2, 69, 70, 71, 2000]) {
    for (const line of plot(new Array<number>(count).fill(3))) expect(line.length).toBeLessThanOrEqual(40)
  }
})

test('the axis ends at a round value above the largest', () => {
  expect([0, 0.07, 0.1, 1.2, 4.1, 9.3, 120].map(roundAbove)).toEqual([1, 0.08, 0.1, 1.5, 5, 10, 150])
})

test.each([
  [0, 4],
  [5, 8],
  [700 * 1024, 768 * 1024],
  [1024 ** 2, 1024 ** 2],
  [1024 ** 2 + 1, 4 * 1024 ** 2],
  [300 * 1024 ** 2, 320 * 1024 ** 2],
])('an axis of bytes above %d ends at %d, of which each quarter is whole', (value, top) => {
  expect(roundBytesAbove(value)).toBe(top)
  expect(top % 4).toBe(0)
})
