import { defineConfig } from 'vitest/config';
import base from './vitest.config.js';

/** `npm run soak`: as long as it is told, with its lines as they come. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/soak/fleet.long.test.ts'],
    exclude: ['**/node_modules/**'],
    testTimeout: 0,
    disableConsoleIntercept: true,
    maxWorkers: 1,
    reporters: ['default'],
  },
});
