/**
 * Has the simulation look for the faults of mutants.ts. It tries the seed of seeds-that-catch.json first, and the others only if
 * that does not show the fault any more. `UPDATE_SEEDS=1 npx vitest run --config vitest.long.config.ts test/simulation/mutants.long.test.ts`
 * writes that file anew.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SeedReport } from '../../lib/testing/simulation/index.js';
import type { Mutant } from './mutants.js';
import { plant } from './plant.js';
import { simulateCommand } from './run.js';

const SEEDS = 1_500;
/** Most faults are found in these. Each further run has twice as many. */
const FIRST_SEEDS = 10;
const FILE = 'test/simulation/seeds-that-catch.json';

/** The first seed that showed each fault. */
export const seedsThatCatch = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, number>>;

/** Defines a test for each fault: the simulation finds it, as a violation of the guarantee that it breaks. */
export function theSimulationFinds(mutants: readonly Mutant[], directory: string): void {
  describe('planted faults', () => {
    const found = new Map<Mutant, number | undefined>();
    afterAll(() => {
      const lines = [...found].map(([{ what, breaks }, seed]) => `${what} | ${breaks} | ${String(seed)}`);
      console.log(`planted fault | breaks | a seed that catches it\n${lines.join('\n')}`);
      if (process.env['UPDATE_SEEDS'] !== '1') return;
      const seeds = Object.fromEntries([...found].map(([{ what }, seed]) => [what, seed]));
      writeFileSync(FILE, `${JSON.stringify(seeds, null, 2)}\n`);
    });

    it.each(mutants.map((mutant, index) => [mutant.breaks, mutant.what, mutant, index] as const))(
      '%s: %s',
      (_breaks, what, mutant, index) => {
        const copy = plant(mutant, join(directory, String(index)));
        const known = process.env['UPDATE_SEEDS'] === '1' ? undefined : seedsThatCatch[what];
        const seed = (known && firstOf(mutant, copy, known, 1)) ?? firstSeedThatCatches(mutant, copy);
        found.set(mutant, seed);
        expect(seed, 'a seed that catches it').toBeDefined();
        rmSync(copy, { recursive: true });
      },
      // A bound in case it hangs. It takes a second on an idle machine.
      1_200_000,
    );
  });
}

function firstSeedThatCatches(mutant: Mutant, directory: string): number | undefined {
  for (let from = 1, count = FIRST_SEEDS; from <= SEEDS; from += count, count *= 2) {
    const seed = firstOf(mutant, directory, from, count);
    if (seed !== undefined) return seed;
  }
  return undefined;
}

/** The first of these seeds that fails by the guarantee that the fault breaks; undefined if none does. */
function firstOf(
  { breaks, strikes }: Mutant,
  directory: string,
  from: number,
  count: number,
): number | undefined {
  const only = strikes === undefined ? [] : ['--faults', strikes.join(',')];
  const range = ['--from', String(from), '--seeds', String(count)];
  const { output } = simulateCommand(['--package', directory, ...range, ...only, '--json']);
  expect(output, 'the simulation has finished').toMatch(/^\{/);
  const { failed } = JSON.parse(output) as { failed: SeedReport[] };
  return failed.find(({ violations }) => violations.some((each) => each.guarantee === breaks))?.seed;
}
