/**
 * `npm run soak -- --minutes M`: runs replicas as real processes on a real kube-apiserver, with random faults. What one
 * that survives all faults holds must not grow: memory, handles, sockets, timers, listeners. Prints it as a table.
 *
 *   --minutes M   how long (default 10)
 *   --seed S      determines the faults and their order (default: random)
 */
import { spawnSync } from 'node:child_process';
import { minutesIn, parsed } from './command-line.mjs';

const { values } = parsed({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } },
});
const minutes = minutesIn(values.minutes);
const seed = values.seed ?? String(Math.floor(Math.random() * 1e6));
const { status } = spawnSync('npx', ['vitest', 'run', '--config', 'vitest.soak.config.ts'], {
  stdio: 'inherit',
  env: { ...process.env, SOAK_MINUTES: String(minutes), SOAK_SEED: seed, REQUIRE_REAL_API_SERVER: '1' },
});
process.exit(status ?? 1);
