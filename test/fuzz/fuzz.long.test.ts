/** More seeds than `npm test` has time for. */
import { afterAll, expect, it } from 'vitest';
import { fuzz, report } from './fuzzing.js';
import * as all from './targets/index.js';

const targets = Object.values(all);

afterAll(async () => {
  for (const target of targets) await target.close?.();
});

it.each(targets)('$name', async (target) => {
  const failure = await fuzz(target, 1, target.runsPerSecond * 4);
  expect(failure && report(failure)).toBeUndefined();
});
