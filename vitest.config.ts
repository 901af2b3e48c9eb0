import { defineConfig } from 'vitest/config';

export default defineConfig({
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.long.test.ts', '**/node_modules/**'],
    setupFiles: ['test/security/watch-outputs.ts'],
    // Bounds against hanging, not expectations: the machine may be busy with building an API server.
    testTimeout: 120_000,
    hookTimeout: 1_200_000,
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: 'build/test-results/test.json' }]],
  },
});
