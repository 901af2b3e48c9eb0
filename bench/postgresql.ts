/**
 * `npm run bench:postgresql` measures the hand-over of the lock of docs/recipes/postgresql-lock.md, as `npm run bench -- handover`
 * does that of the API server's: SIGTERM to the next leader, with both beside each other. It starts an API server, and a PostgreSQL
 * that writes to the disk.
 *
 *   --leases N  leases at the same time, each with a leader and a follower (default 10)
 *   --rounds N  how often each leader is ended (default 10)
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Contender } from '../test/rig/contender.js';
import { findPostgresql, type Postgresql } from '../test/rig/postgresql.js';
import { prepared } from '../test/postgresql/rig.js';
import { elector, type Side } from './contenders.js';
import { Contest } from './contest.js';
import { YOUNG_SECONDS } from './failover.js';
import { figure, table } from './markdown.js';
import { Progress } from './progress.js';
import { summarise } from './summary.js';
import { inSurroundings } from './surroundings.js';

const { values } = parseArgs({
  options: { leases: { type: 'string', default: '10' }, rounds: { type: 'string', default: '10' } },
});
const found = findPostgresql();
if (!found.available) throw new Error(`This needs a PostgreSQL: ${found.reason}`);
const { start } = found;
const NAMES: Readonly<Record<string, string>> = {
  postgresql: 'lock in PostgreSQL',
  elector: 'Lease of a kube-apiserver',
};
const progress = new Progress();

interface Series {
  readonly side: Side;
  readonly contests: readonly Contest[];
  readonly took: number[];
  failed: number;
}

const all = await inSurroundings(async (surroundings): Promise<Series[]> => {
  const server = await start({ fsync: true });
  await prepared(server);
  // The sides take turns, so that a disturbance of the machine affects both.
  const sides = [onPostgresql(server), elector(surroundings)].map((side): Series => {
    const contests = Array.from(
      { length: Number(values.leases) },
      (_, index) => new Contest(side, `${side.name}-${String(index)}`, surroundings.credentials),
    );
    return { side, contests, took: [], failed: 0 };
  });
  try {
    for (let round = 1; round <= Number(values.rounds); round += 1) {
      for (const { contests } of sides) for (const contest of contests) await contest.fill();
      await pause(YOUNG_SECONDS * 1_000);
      for (const series of sides) for (const contest of series.contests) await strike(contest, series);
      progress.tell(`round ${String(round)} of ${values.rounds}`);
    }
  } finally {
    await Promise.all(sides.flatMap(({ contests }) => contests).map((contest) => contest.end()));
    await server.stop();
  }
  return sides;
});

const rows = all.map(({ side, took, failed }) => {
  const { n, p50, p99, max } = summarise(took);
  return [NAMES[side.name] ?? side.name, String(n), ...[p50, p99, max].map(figure), String(failed)];
});
process.stdout.write(table(['SIGTERM → next leader, ms', 'n', 'p50', 'p99', 'max', 'failed'], rows));

async function strike(contest: Contest, series: Series): Promise<void> {
  const { struckAt, nextLeadsAt } = await contest.strike('SIGTERM');
  if (nextLeadsAt === undefined) series.failed += 1;
  else series.took.push(nextLeadsAt - struckAt);
}

function onPostgresql({ url }: Postgresql): Side {
  const program = fileURLToPath(new URL('postgresql-contender.js', import.meta.url));
  const name = 'postgresql';
  return {
    name,
    start: ({ lease, identity }) => {
      const args = [`--lease=${lease}`, `--identity=${identity}`, `--url=${url}`];
      return Promise.resolve(new Contender(name, identity, [process.execPath, program], args));
    },
  };
}
