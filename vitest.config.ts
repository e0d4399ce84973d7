import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'node_modules/**'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/leaks.ts'],
    // A process for each file: tests kill and pause processes, and count what is left behind.
    pool: 'forks',
    // Two cores, and tests that mostly wait: one more than there are.
    maxWorkers: 3,
    // What a test changes in the environment ends with it.
    unstubEnvs: true,
    // Generous, because the machine may be busy, but bounded: what hangs is reported.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
  },
})
