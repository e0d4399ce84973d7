/** `npm run test:long`: what takes too long for every run. `docs/proof.md` has the last figures. */
import { defineConfig } from 'vitest/config'
import config from './vitest.config.ts'

export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ['test/long/**/*.test.ts'],
    exclude: [],
    // One at a time: they measure.
    maxWorkers: 1,
    testTimeout: 1_800_000,
  },
})
