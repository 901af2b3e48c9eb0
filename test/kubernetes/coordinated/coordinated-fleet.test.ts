import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runCoordinatedSeed } from './coordinated-fleet.js';

it('tries', async () => {
  const from = Number(process.env['FROM'] ?? 1);
  const n = Number(process.env['N'] ?? 20);
  let events = 0; let terms = 0; let bad = 0;
  const kinds = new Map<string, number>();
  const t = Date.now();
  const cpu = process.cpuUsage();
  mkdirSync('/tmp/co', { recursive: true });
  for (let seed = from; seed < from + n; seed++) {
    const report = await runCoordinatedSeed(seed);
    events += report.events; terms += report.terms;
    for (const [kind, count] of report.faults) kinds.set(kind, (kinds.get(kind) ?? 0) + count);
    writeFileSync(`/tmp/co/${seed}.txt`, report.story.join('\n'));
    if (report.violation) {
      bad++;
      console.log(seed, report.violation.guarantee, report.violation.what);
    }
  }
  console.log({ events, terms, bad, ms: Date.now() - t, cpu: process.cpuUsage(cpu).user / 1000, kinds: kinds.size });
  expect(bad).toBe(0);
});
