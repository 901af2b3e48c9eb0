/**
 * `npm run bench:postgresql` measures the hand-over of the lock of docs/recipes/postgresql-lock.md, as `npm run bench -- handover`
 * does that of the API server's: SIGTERM to the next leader. It starts a PostgreSQL that writes to the disk.
 *
 *   --leases N  leases at the same time, each with a leader and a follower (default 10)
 *   --rounds N  how often each leader is ended (default 10)
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Contender } from '../test/rig/contender.js';
import { findPostgresql } from '../test/rig/postgresql.js';
import { prepared } from '../test/postgresql/rig.js';
import type { Side } from './contenders.js';
import { Contest } from './contest.js';
import { YOUNG_SECONDS } from './failover.js';
import { figure, table } from './markdown.js';
import { Progress } from './progress.js';
import { summarise } from './summary.js';

const { values } = parseArgs({
  options: { leases: { type: 'string', default: '10' }, rounds: { type: 'string', default: '10' } },
});
const found = findPostgresql();
if (!found.available) throw new Error(`This needs a PostgreSQL: ${found.reason}`);
const progress = new Progress();
const server = await found.start({ fsync: true });
await prepared(server);

const program = fileURLToPath(new URL('postgresql-contender.js', import.meta.url));
const side: Side = {
  name: 'PostgreSQL lock',
  start: ({ lease, identity }) => {
    const args = [`--lease=${lease}`, `--identity=${identity}`, `--url=${server.url}`];
    return Promise.resolve(new Contender(side.name, identity, [process.execPath, program], args));
  },
};
/** The lock needs none; the other sides do. */
const none = { user: '', kubeconfig: '', tokenFile: '' };
const contests = Array.from(
  { length: Number(values.leases) },
  (_, index) => new Contest(side, `postgresql-${String(index)}`, [none, none]),
);
const took: number[] = [];
let failed = 0;
try {
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    for (const contest of contests) await contest.fill();
    await pause(YOUNG_SECONDS * 1_000);
    for (const contest of contests) {
      const { struckAt, nextLeadsAt } = await contest.strike('SIGTERM');
      if (nextLeadsAt === undefined) failed += 1;
      else took.push(nextLeadsAt - struckAt);
    }
    progress.tell(`round ${String(round)} of ${values.rounds}: ${String(took.length)} leaders ended`);
  }
} finally {
  await Promise.all(contests.map((contest) => contest.end()));
  await server.stop();
}
const { n, p50, p99, max } = summarise(took);
const figures = [p50, p99, max].map(figure);
const head = ['SIGTERM → next leader, ms', 'n', 'p50', 'p99', 'max', 'failed'];
process.stdout.write(table(head, [[side.name, String(n), ...figures, String(failed)]]));
