/** The corpus as it is, and a short run with fixed seeds. `npm run fuzz` runs longer. */
import { afterAll, describe, expect, it } from 'vitest';
import { corpusOf, fuzz, fuzzWith, report } from './fuzzing.js';
import * as all from './targets/index.js';

const targets = Object.values(all);
const SEED = 20_261_127;

afterAll(async () => {
  for (const target of targets) await target.close?.();
});

describe.each(targets)('$name', (target) => {
  it('keeps its promises on every input of the corpus', async () => {
    const corpus = corpusOf(target);
    expect(corpus.length).toBeGreaterThan(0);
    for (const { bytes } of corpus) {
      const failure = await fuzzWith(target, bytes);
      expect(failure && report(failure)).toBeUndefined();
    }
  });

  it('keeps its promises on inputs that were changed', async () => {
    const failure = await fuzz(target, SEED, Math.ceil(target.runsPerSecond / 8));
    expect(failure && report(failure)).toBeUndefined();
  });
});
