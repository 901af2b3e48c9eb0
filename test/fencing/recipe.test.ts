/** The page and the files of this folder contain the same code. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { example, examples, unguarded } from './recipe.js';

describe('the recipe', () => {
  it('has these examples, each of which is run', () => {
    expect([...examples.keys()]).toEqual([
      'database.ts', // in test/consumers/integrations, on PostgreSQL
      'schema.sql',
      'save.sql',
      'upsert.sql',
      'claim.sql',
      'fence-schema.sql',
      'fence.sql',
      'invoice-store.ts',
    ]);
  });

  it('has the store that is compiled, linted and run here', async () => {
    const store = await readFile(join(import.meta.dirname, 'invoice-store.ts'), 'utf8');
    expect(example('invoice-store.ts')).toBe(store);
  });

  it('has the same statement as the how-it-works page', async () => {
    const page = await readFile('docs/how-it-works.md', 'utf8');
    const [, statement = ''] = /```sql\n([\s\S]*?)```/.exec(page) ?? [];
    expect(statement).toBe(example('save.sql'));
  });
});

describe('a statement without its guard', () => {
  it('lacks the guard and nothing else', () => {
    expect(unguarded(example('save.sql'))).toBe(
      'UPDATE invoices\nSET body = :body, fencing_token = :token\nWHERE id = :id\n',
    );
    expect(unguarded(example('upsert.sql'))).toMatch(/excluded\.fencing_token\n$/);
    expect(() => unguarded(example('schema.sql'))).toThrow('No guard was found');
  });
});
