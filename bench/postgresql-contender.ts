/** A bare elector on the PostgreSQL lock of docs/recipes/postgresql-lock.md. */
import { parseArgs } from 'node:util';
import { LeaseElector, resolveElectionOptions } from 'nestjs-leader/election';
import { PostgresqlLeaseLock } from '../test/postgresql/postgresql-lease-lock.js';

const { values } = parseArgs({
  options: { lease: { type: 'string' }, identity: { type: 'string' }, url: { type: 'string' } },
});
const { lease = 'contended', identity = 'postgresql', url } = values;

const stop = new AbortController();
process.once('SIGTERM', () => {
  stop.abort();
});
const lock = new PostgresqlLeaseLock({ connectionString: url }, lease);
const options = resolveElectionOptions({ leaseName: lease }, { leaseNamespace: 'none', identity });
say('ready');
await new LeaseElector({ lock, options }).run(stop.signal, (event) => {
  if (event.type === 'startedLeading') say('started');
  if (event.type === 'stoppedLeading') say('stopped');
  if (event.type === 'newLeader') say('leader', event.identity);
});
lock.close();

/** As the other contenders. */
function say(event: string, leader = ''): void {
  const monotonicNs = process.hrtime.bigint().toString();
  process.stdout.write(`${JSON.stringify({ event, identity, leader, lease, monotonicNs })}\n`);
}
