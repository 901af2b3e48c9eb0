/**
 * `npm run bench` measures everything, ours beside client-go, within a quarter of an hour, prints its tables, and writes
 * bench/results.json, from which `npm run bench:docs` makes docs/performance.md. `npm run bench -- <measurement>` makes one of
 * these and prints its tables:
 *
 *   floor      the requests of a hand-over, without an election
 *   handover   SIGTERM to the next leader, with new followers and with followers idle for more than 100 s
 *   crash      SIGKILL to the next leader; the kinds of death, and the choices of timing
 *   start      the start of a process until it is ready and until its first term
 *   steady     requests, CPU time and memory while nothing happens
 *   partition  only the leader's path to the API server stalls
 *   scale      1 to 1,000 elections in one process
 *   calls      the cost of isLeader() and of a gate
 *   spread     how evenly three replicas lead thirty elections
 *
 *   --trials N     handover, crash: trials of each side (default: three per lease)
 *   --leases N     handover, crash: leases of each side at the same time (default: 34, or as many as fit in memory)
 *   --idle N       handover: only with followers that have been idle for N seconds
 *   --elections N  scale: only that many
 *   --hold N       scale: how many seconds all are led and followed (default 10)
 *   --json         the figures as JSON
 */
import { writeFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { parseArgs } from 'node:util';
import { format } from 'prettier';
import { prepareContenders } from './contenders.js';
import { machineOf, QUIET_LOAD } from './machine.js';
import { Measurements } from './measurements.js';
import { Progress } from './progress.js';
import type { Results } from './results.js';
import { inSurroundings } from './surroundings.js';
import { allTables } from './tables.js';

/** Relative to the root of the repository, where npm runs its scripts. */
const RESULTS = 'bench/results.json';
/** The memory of two processes of each of the three sides. */
const BYTES_A_LEASE = 200e6;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    trials: { type: 'string' },
    leases: { type: 'string' },
    idle: { type: 'string' },
    elections: { type: 'string' },
    hold: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
  },
});
/** Three rounds of 34 give more than a hundred trials within a quarter of an hour. */
const leases = Number(values.leases ?? Math.max(1, Math.min(34, Math.floor(freemem() / 2 / BYTES_A_LEASE))));
const progress = new Progress();
const measurements = new Measurements(
  {
    trials: Number(values.trials ?? 3 * leases),
    leases,
    idleSeconds: values.idle === undefined ? undefined : Number(values.idle),
    crashes: 7,
    crashesOfProfiles: 3,
    starts: 20,
    partitions: 4,
    elections: values.elections === undefined ? [1, 10, 100, 1_000] : [Number(values.elections)],
    holdSeconds: Number(values.hold),
    steadySeconds: 75,
    floorRounds: 300,
  },
  progress,
);
const [name] = positionals;
const measure = name === undefined ? measurements.all.bind(measurements) : measurements.byName(name);
if (measure === undefined) {
  process.stderr.write(`Unknown measurement. Usage: npm run bench -- ${Measurements.names.join(' | ')}\n`);
  process.exit(2);
}
await prepareContenders();
const results = await inSurroundings(
  async (surroundings): Promise<Results> => {
    const machine = await machineOf(surroundings);
    const isQuiet = machine.loadBefore <= QUIET_LOAD;
    const warning = isQuiet ? '' : ': this machine is busy, and the figures are worse than on a quiet one';
    progress.tell(`load average ${machine.loadBefore.toFixed(2)}${warning}`);
    return { machine, ...(await measure(surroundings)) };
  },
  { auditLog: name === undefined || name === 'steady' || name === 'crash' },
);
const json = await format(JSON.stringify(results, rounded), { parser: 'json', printWidth: 110 });
if (name === undefined) await writeFile(RESULTS, json);
process.stdout.write(values.json ? json : allTables(results).join('\n'));
if (name === undefined) progress.tell(`wrote ${RESULTS}; now: npm run bench:docs`);

/** Rounds to a microsecond. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value;
}
