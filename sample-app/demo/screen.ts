import type { Fleet } from './fleet.js';
import { alignColumns } from './closing-table.js';
import { machineNow } from './machine-clock.js';
import { showDuration, showTime } from './show-time.js';

const LINES_OF_HISTORY = 12;

/** The live picture of a fleet, as text. */
export function picture(fleet: Fleet): string {
  const now = machineNow();
  const leader = fleet.leader;
  const rows = [
    ['', 'replica', 'process', 'leads', 'since', 'token', 'jobs run'],
    ...fleet.replicas.map((replica, place) => {
      const leads = leader?.replica === replica;
      return [
        String(place + 1),
        replica.identity,
        replica.state,
        leads ? '● leader' : '',
        leads ? showDuration(now - leader.claim.from) : '',
        leads ? String(leader.claim.token) : '',
        String(fleet.chronicle.jobsOf(replica.identity)),
      ];
    }),
  ];
  const history = fleet.chronicle.transitions
    .slice(-LINES_OF_HISTORY)
    .map(({ at, text }) => `${showTime(at)}  ${text}`);
  return [alignColumns(rows), '', ...history].join('\n');
}
