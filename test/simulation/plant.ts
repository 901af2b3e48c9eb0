import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Mutant } from './mutants.js';

/** Makes a copy of the built package with the fault. */
export function plant({ what, changes }: Mutant, directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  for (const room of ['election', 'testing']) {
    cpSync(join('build/lib', room), join(directory, room), { recursive: true });
  }
  for (const [file, text, replacement] of changes) {
    const path = join(directory, file);
    const source = readFileSync(path, 'utf8');
    expect(source.split(text), `'${what}' must change one place in ${file}`).toHaveLength(2);
    writeFileSync(
      path,
      source.replace(text, () => replacement),
    );
  }
  return directory;
}
