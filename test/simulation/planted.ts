/** Plants the faults of mutants.ts, and has the simulation look for them. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Guarantee, SeedReport } from '../../lib/testing/simulation/index.js';
import type { Mutant } from './mutants.js';
import { simulateCommand } from './run.js';

const SEEDS = 100;
const BUILT = 'build/lib';

/** Defines a test for each fault: the simulation finds it, as a violation of the guarantee that it breaks. */
export function theSimulationFinds(mutants: readonly Mutant[], directory: string): void {
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
        const copy = join(directory, String(mutant.index));
        plant(mutant, copy);
        const { faults = [], seeds = SEEDS } = mutant.strikes ?? {};
        const only = faults.length === 0 ? [] : ['--faults', faults.join(',')];
        const { output } = simulateCommand(['--package', copy, '--seeds', String(seeds), ...only, '--json']);
        expect(output, 'the simulation has finished').toMatch(/^\{/);
        const { failed } = JSON.parse(output) as { failed: SeedReport[] };
        const caught = failed.filter((seed) => breaches(seed).includes(mutant.breaks)).length;
        lines.push(`${mutant.what} | ${mutant.breaks} | ${String(caught)}`);
        expect(caught).toBeGreaterThan(0);
        rmSync(copy, { recursive: true });
        // A bound in case it hangs. It takes some ten seconds on an idle machine.
      },
      600_000,
    );
  });
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

function breaches({ violations }: SeedReport): Guarantee[] {
  return violations.map(({ guarantee }) => guarantee);
}
