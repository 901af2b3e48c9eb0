/**
 * `npm run fuzz`: gives what reads bytes from outside inputs that nobody would send, made of those in test/fuzz/corpus. An input on
 * which a promise is broken is shrunk, printed and written into build/fuzz.
 *
 *   --target T    one target (default: all, in turns)
 *   --seed S      the first seed (default 1)
 *   --runs N      how many inputs of each seed (default: those of about four seconds)
 *   --minutes M   how long to go on with further seeds (default: one seed)
 *   --record      instead records the answers of a real API server into the corpus
 */
import { spawnSync } from 'node:child_process';
import { minutesIn, parsed, wholeNumber } from './command-line.mjs';

const { values } = parsed({
  options: {
    target: { type: 'string' },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
    minutes: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});
const variables = {
  FUZZ_TARGET: values.target,
  FUZZ_SEED: wholeNumber('seed', values.seed, 1),
  FUZZ_RUNS: wholeNumber('runs', values.runs, 1),
  FUZZ_MINUTES: values.minutes && minutesIn(values.minutes),
  REQUIRE_REAL_API_SERVER: values.record ? '1' : undefined,
};
const given = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined));
const file = values.record ? 'record.fuzz.ts' : 'run.fuzz.ts';
const { status } = spawnSync('npx', ['vitest', 'run', '--config', 'vitest.fuzz.config.ts', file], {
  stdio: 'inherit',
  env: { ...process.env, ...given },
});
process.exit(status ?? 1);
