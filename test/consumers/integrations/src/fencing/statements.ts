/** The statements that docs/recipes/fencing.md shows: test/package/integrations.ts writes them here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export function statement(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8');
}

export const CLAIM = statement('claim.sql');
export const SAVE = statement('save.sql');
