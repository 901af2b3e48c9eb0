import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take longest, some minutes each. They start first, so that no worker ends long before another. */
const LONGEST = ['package/integrations.test.ts', 'simulation/fleets.test.ts', 'package/consumers.test.ts'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return found < 0 ? LONGEST.length : found;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.long.test.ts', '**/node_modules/**'],
    setupFiles: ['test/security/watch-outputs.ts'],
    // Bounds against hanging, not expectations: the machine may be busy with building an API server.
    testTimeout: 300_000,
    hookTimeout: 1_200_000,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', ['json', { outputFile: 'build/test-results/test.json' }]],
  },
});
