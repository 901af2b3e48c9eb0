/** Plants the faults of mutants.ts, and has the simulation look for them. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SeedReport } from '../../lib/testing/simulation/index.js';
import type { Mutant } from './mutants.js';
import { simulateCommand } from './run.js';

const SEEDS = 100;
/** Most faults are found in these. Each further run has twice as many. */
const FIRST_SEEDS = 10;
const BUILT = 'build/lib';

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
        const copy = join(directory, String(mutant.index));
        plant(mutant, copy);
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
  const { faults = [], seeds = SEEDS } = strikes ?? {};
  const only = faults.length === 0 ? [] : ['--faults', faults.join(',')];
  for (let from = 1, count = FIRST_SEEDS; from <= seeds; from += count, count *= 2) {
    const range = ['--from', String(from), '--seeds', String(Math.min(count, seeds - from + 1))];
    const { output } = simulateCommand(['--package', directory, ...range, ...only, '--json']);
    expect(output, 'the simulation has finished').toMatch(/^\{/);
    const { failed } = JSON.parse(output) as { failed: SeedReport[] };
    const catching = failed.filter(({ violations }) => violations.some((each) => each.guarantee === breaks));
    if (catching.length > 0) return Math.min(...catching.map(({ seed }) => seed));
  }
  return undefined;
}

/** The files that the fault changes, with their new text. @throws Error if it does not change one place for each text */
export function changedFiles({ what, changes }: Mutant): Map<string, string> {
  const files = new Map<string, string>();
  for (const [file, text, replacement] of changes) {
    const source = files.get(file) ?? readFileSync(join(BUILT, file), 'utf8');
    expect(source.split(text), `'${what}' must change one place in ${file}`).toHaveLength(2);
    files.set(
      file,
      source.replace(text, () => replacement),
    );
  }
  return files;
}

/** Makes a copy of the built package with the fault. */
function plant(mutant: Mutant, directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  for (const room of ['election', 'testing']) {
    cpSync(join(BUILT, room), join(directory, room), { recursive: true });
  }
  for (const [file, text] of changedFiles(mutant)) writeFileSync(join(directory, file), text);
}
