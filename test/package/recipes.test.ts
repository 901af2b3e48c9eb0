/** Checks that all code in recipes is run. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { examplesIn } from './consumer.js';

const pages = (await readdir('docs/recipes')).map((name) => join('docs/recipes', name));

describe.each([...pages, 'docs/sharing-work.md', 'docs/shutdown.md'])('%s', (page) => {
  it('shows only code with a file name, so that tests compile and run it', async () => {
    const text = await readFile(page, 'utf8');
    const shown = [...text.matchAll(/^```\w+\n[\s\S]*?^```/gm)];
    expect(shown).not.toEqual([]);
    expect([...(await examplesIn(page)).keys()]).toHaveLength(shown.length);
  });
});
