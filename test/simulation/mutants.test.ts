/** The checker is not blind: each of the planted faults is caught, as a breach of the guarantee that it breaks. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Guarantee, SeedReport } from '../../lib/testing/simulation/index.js';
import { mutants, type Mutant } from './mutants.js';
import { simulateCommand } from './run.js';

const SEEDS = 100;
const DIRECTORY = 'build/mutants';

describe('planted faults', () => {
  const lines: string[] = [];
  afterAll(() => {
    console.log(
      `planted fault | breaks | caught as that in seeds of ${String(SEEDS)}, or as many as it takes\n${lines.join('\n')}`,
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
      expect(output, 'the simulation has come to its end').toMatch(/^\{/);
      const { failed } = JSON.parse(output) as { failed: SeedReport[] };
      const caught = failed.filter((seed) => breaches(seed).includes(mutant.breaks)).length;
      lines.push(`${mutant.what} | ${mutant.breaks} | ${String(caught)}`);
      expect(caught).toBeGreaterThan(0);
      rmSync(directory, { recursive: true });
      // A bound against hanging: some ten seconds on an idle machine.
    },
    600_000,
  );
});

function breaches({ violations }: SeedReport): Guarantee[] {
  return violations.map(({ guarantee }) => guarantee);
}

/** A copy of the built package with the fault in it. */
function plant({ what, changes }: Mutant, directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  for (const room of ['election', 'testing']) {
    cpSync(join('build/lib', room), join(directory, room), { recursive: true });
  }
  for (const [file, text, replacement] of changes) {
    const path = join(directory, file);
    const source = readFileSync(path, 'utf8');
    expect(source.split(text), `'${what}' is planted at one place in ${file}`).toHaveLength(2);
    writeFileSync(
      path,
      source.replace(text, () => replacement),
    );
  }
  return directory;
}
