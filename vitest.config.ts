import { defineConfig } from 'vitest/config'

/**
 * Two kinds of test: `quick` ones need nothing but this process; `real` ones start Docker Engines, coordinators and
 * agents, and share the machine, so they run one file after the other.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: ['test/engines/**', 'test/stories/**', 'test/install/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/engines/**/*.test.ts', 'test/stories/**/*.test.ts', 'test/install/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
})
