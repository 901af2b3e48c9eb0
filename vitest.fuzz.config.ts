import { defineConfig } from 'vitest/config';
import base from './vitest.config.js';

/** `npm run fuzz`: as long as it is told, with its lines as they come. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/fuzz/*.fuzz.ts'],
    exclude: ['**/node_modules/**'],
    // It would keep every error of millions of runs; the targets look for secrets themselves.
    setupFiles: [],
    testTimeout: 0,
    disableConsoleIntercept: true,
    maxWorkers: 1,
    reporters: ['default'],
  },
});
