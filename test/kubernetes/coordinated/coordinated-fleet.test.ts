import { expect, it } from 'vitest';
import { runCoordinatedSeed } from './coordinated-fleet.js';

it('tries', async () => {
  const from = Number(process.env['FROM'] ?? 1);
  const n = Number(process.env['N'] ?? 20);
  let events = 0; let terms = 0; let bad = 0;
  const kinds = new Map<string, number>();
  const t = Date.now();
  for (let seed = from; seed < from + n; seed++) {
    const report = await runCoordinatedSeed(seed);
    events += report.events; terms += report.terms;
    for (const [kind, count] of report.faults) kinds.set(kind, (kinds.get(kind) ?? 0) + count);
    if (report.violations.length > 0) {
      bad++;
      console.log(seed, report.violations);
      if (n === 1 || process.env['STORY']) console.log(report.story.join('\n'));
    }
  }
  console.log({ events, terms, bad, ms: Date.now() - t, kinds: kinds.size });
  expect(bad).toBe(0);
});
