/** Has the simulation look for the faults of mutants.ts. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SeedReport } from '../../lib/testing/simulation/index.js';
import type { Mutant } from './mutants.js';
import { plant } from './plant.js';
import { simulateCommand } from './run.js';

const SEEDS = 100;
/** Most faults are found in these. Each further run has twice as many. */
const FIRST_SEEDS = 10;

/** Defines a test for each fault: the simulation finds it, as a violation of the guarantee that it breaks. */
export function theSimulationFinds(mutants: readonly Mutant[], directory: string): void {
  describe('planted faults', () => {
    const lines: string[] = [];
    afterAll(() => {
      console.log(`planted fault | breaks | the first seed that catches it\n${lines.join('\n')}`);
    });

    it.each(mutants.map((mutant, index) => ({ ...mutant, index })))(
      '$breaks: $what',
      (mutant) => {
        const copy = plant(mutant, join(directory, String(mutant.index)));
        const seed = firstSeedThatCatches(mutant, copy);
        lines.push(`${mutant.what} | ${mutant.breaks} | ${String(seed)}`);
        expect(seed, 'the first seed that catches it').toBeDefined();
        rmSync(copy, { recursive: true });
        // A bound in case it hangs. It takes some seconds on an idle machine.
      },
      600_000,
    );
  });
}

/** The first seed that fails by the guarantee that the fault breaks; undefined if none does. */
function firstSeedThatCatches({ breaks, strikes }: Mutant, directory: string): number | undefined {
  const { faults = [], seeds = SEEDS, from: first = 1 } = strikes ?? {};
  const end = first + seeds;
  const only = faults.length === 0 ? [] : ['--faults', faults.join(',')];
  for (let from = first, count = FIRST_SEEDS; from < end; from += count, count *= 2) {
    const range = ['--from', String(from), '--seeds', String(Math.min(count, end - from))];
    const { output } = simulateCommand(['--package', directory, ...range, ...only, '--json']);
    expect(output, 'the simulation has finished').toMatch(/^\{/);
    const { failed } = JSON.parse(output) as { failed: SeedReport[] };
    const catching = failed.filter(({ violations }) => violations.some((each) => each.guarantee === breaks));
    if (catching.length > 0) return Math.min(...catching.map(({ seed }) => seed));
  }
  return undefined;
}
