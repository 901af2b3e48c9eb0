/** The simulation finds each planted fault, as a violation of the guarantee that it breaks. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Guarantee, SeedReport } from '../../lib/testing/simulation/index.js';
import { mutants } from './mutants.js';
import { plant } from './plant.js';
import { simulateCommand } from './run.js';

const SEEDS = 100;
const DIRECTORY = 'build/mutants';

describe('planted faults', () => {
  const lines: string[] = [];
  afterAll(() => {
    console.log(
      `planted fault | breaks | number of seeds that caught it (of ${String(SEEDS)}, or more where the fault is rare)\n${lines.join('\n')}`,
    );
  });

  it.each(mutants.map((mutant, index) => ({ ...mutant, index })))(
    '$breaks: $what',
    (mutant) => {
      const directory = plant(mutant, join(DIRECTORY, String(mutant.index)));
      const { faults = [], seeds = SEEDS } = mutant.strikes ?? {};
      const only = faults.length === 0 ? [] : ['--faults', faults.join(',')];
      const args = ['--package', directory, '--seeds', String(seeds), ...only, '--json'];
      const { output } = simulateCommand(args);
      expect(output, 'the simulation has finished').toMatch(/^\{/);
      const { failed } = JSON.parse(output) as { failed: SeedReport[] };
      const caught = failed.filter((seed) => breaches(seed).includes(mutant.breaks)).length;
      lines.push(`${mutant.what} | ${mutant.breaks} | ${String(caught)}`);
      expect(caught).toBeGreaterThan(0);
      rmSync(directory, { recursive: true });
      // A bound in case it hangs. It takes some ten seconds on an idle machine.
    },
    600_000,
  );
});

function breaches({ violations }: SeedReport): Guarantee[] {
  return violations.map(({ guarantee }) => guarantee);
}
