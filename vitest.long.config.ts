import { defineConfig } from 'vitest/config';
import base from './vitest.config.js';

/** What takes longer than a developer wants to wait: real processes, client-go beside us. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/**/*.long.test.ts'],
    exclude: ['**/node_modules/**'],
    testTimeout: 900_000,
    maxWorkers: 1,
    reporters: ['default', ['json', { outputFile: 'build/test-results/long.json' }]],
  },
});
