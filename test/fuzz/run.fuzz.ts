/** What `npm run fuzz` runs: scripts/fuzz.mjs says what its options mean. */
import { performance } from 'node:perf_hooks';
import { afterAll, expect, it } from 'vitest';
import { corpusOf, fuzz, fuzzWith, report } from './fuzzing.js';
import * as all from './targets/index.js';

const { FUZZ_TARGET, FUZZ_SEED = '1', FUZZ_RUNS, FUZZ_MINUTES } = process.env;
const targets = Object.values(all).filter(({ name }) => FUZZ_TARGET === undefined || name === FUZZ_TARGET);
const counts = new Map<string, number>();

afterAll(async () => {
  for (const target of targets) await target.close?.();
});

it('every promise is kept', async () => {
  const names = Object.values(all).map(({ name }) => name);
  expect(targets, `--target is one of ${names.join(', ')}`).not.toEqual([]);
  const broken: string[] = [];
  for (const target of targets)
    for (const { name, bytes } of corpusOf(target)) {
      const failure = await fuzzWith(target, bytes);
      if (failure !== undefined) broken.push(`${name}: ${report(failure)}`);
    }
  expect(broken.join('\n\n')).toBe('');
  const until = performance.now() + Number(FUZZ_MINUTES ?? 0) * 60_000;
  let seed = Number(FUZZ_SEED);
  do {
    for (const target of targets) {
      // In rounds of a few seconds each.
      const runs = FUZZ_RUNS === undefined ? target.runsPerSecond * 4 : Number(FUZZ_RUNS);
      const failure = await fuzz(target, seed, runs);
      counts.set(target.name, (counts.get(target.name) ?? 0) + runs);
      if (failure !== undefined) broken.push(report(failure));
    }
    seed += 1;
  } while (broken.length === 0 && performance.now() < until);
  for (const [name, runs] of counts) console.log(`${name.padEnd(20)}${String(runs).padStart(10)} runs`);
  console.log(`seeds ${FUZZ_SEED} to ${String(seed - 1)}`);
  expect(broken.join('\n\n')).toBe('');
});
