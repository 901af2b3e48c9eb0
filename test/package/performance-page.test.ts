import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { pages } from '../../bench/docs/page.js';
import type { Results } from '../../bench/results.js';

describe('docs/performance.md', () => {
  it('and its pictures are what npm run bench:docs creates from bench/results.json', async () => {
    const results = JSON.parse(await readFile('bench/results.json', 'utf8')) as Results;
    for (const [path, text] of await pages(results)) {
      expect(await readFile(`docs/${path}`, 'utf8'), path).toBe(text);
    }
  });
});
