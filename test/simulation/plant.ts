/** Plants the faults of mutants.ts. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Mutant } from './mutants.js';

/** What a mutant changes. */
type Fault = Pick<Mutant, 'what' | 'changes'>;

const BUILT = 'build/lib';

/** The files that the fault changes, with their new text. @throws Error if it does not change one place for each text */
export function changedFiles({ what, changes }: Fault): Map<string, string> {
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

/** Makes a copy of the built package with the fault. @returns its directory. */
export function plant(mutant: Fault, directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  for (const room of ['election', 'kubernetes', 'testing']) {
    cpSync(join(BUILT, room), join(directory, room), { recursive: true });
  }
  for (const [file, text] of changedFiles(mutant)) writeFileSync(join(directory, file), text);
  return directory;
}
