/** The budgets of this package, compared with the results of the run. */
import { IDLE_SECONDS } from '../failover.js';
import { figure, table } from '../markdown.js';
import { leadBoth } from '../tables.js';
import type { Results } from '../results.js';
import { summarise } from '../summary.js';
import { Findings } from './findings.js';

/** Undefined: not measured in this run. */
type Measured = number | undefined;

export function budgets(results: Results): string {
  const rows = all(results).map(([what, most, measured, unit]) => {
    const isKnown = measured !== undefined && !Number.isNaN(measured);
    // Rounded as shown, because a request at the edge of the minute may or may not count.
    const verdict = isKnown ? (roundedAsShown(measured) <= most ? 'kept' : '**missed**') : 'not measured';
    return [what, `≤ ${most.toLocaleString('en-US')}${unit}`, isKnown ? shown(measured, unit) : '–', verdict];
  });
  return table(['', 'budget', 'measured', ''], rows);
}

/** As {@link figure} rounds. */
function roundedAsShown(measured: number): number {
  return measured >= 10 ? Math.round(measured) : Math.round(measured * 10) / 10;
}

function shown(measured: number, unit: string): string {
  return measured === Number.POSITIVE_INFINITY ? 'never' : `${figure(measured)}${unit}`;
}

function all(results: Results): (readonly [what: string, most: number, measured: Measured, unit: string])[] {
  const found = new Findings(results);
  const floor = summarise(results.floor?.putToEventAndPut ?? []);
  const put = summarise(results.floor?.put ?? []);
  const handOver = summarise(found.failover('elector', 'SIGTERM', IDLE_SECONDS));
  const nest = summarise(found.failover('Nest application', 'SIGTERM', IDLE_SECONDS));
  const crash = summarise(found.fromExpiry('elector'));
  const start = found.start('Nest application');
  const bareReady = found.ready('bare Nest application');
  const bare = found.steady('bare Nest application', 'none');
  const [leader, follower] = [
    found.steady('Nest application', 'leader'),
    found.steady('Nest application', 'follower'),
  ];
  const requests = (figures: typeof leader): Measured =>
    figures && Object.values(figures.requestsAMinute).reduce((sum, count) => sum + count, 0);
  const scale = found.scale('elector', 1_000);
  /** A result that was never reached exceeds every budget. */
  const orNever = (value: Measured): Measured =>
    scale === undefined ? undefined : (value ?? Number.POSITIVE_INFINITY);
  const stalls = results.partition?.filter(({ side }) => side === 'elector' || side === 'Nest application');
  return [
    ['hand-over, idle followers, p50', 2.5, handOver.p50 / floor.p50, ' × the limit'],
    ['hand-over, idle followers, p99', 3, handOver.p99 / floor.p99, ' × the limit'],
    ['hand-over of a Nest application, p50, over a bare elector', 3, nest.p50 - handOver.p50, ' ms'],
    ['crash, from the expiry, p50', 2, crash.p50 / put.p50, ' × a PUT'],
    ['crash, from the expiry, p99', 50, crash.p99, ' ms'],
    ['crash by an exception, p50', 200, found.death('nestjs-leader', 'exception'), ' ms'],
    [
      "crash that the pod's status shows, from the status, p50",
      50,
      found.death('nestjs-leader', 'podStatus'),
      ' ms',
    ],
    ["the leader's path stalls: two lead at once", 0, stalls?.filter(leadBoth).length, ''],
    ['a Nest application leads, after a bare one listens', 80, difference(start, bareReady), ' ms'],
    ['memory over a bare Nest application, leader', 12, difference(leader?.rssMb, bare?.rssMb), ' MB'],
    [
      'CPU an hour over a bare Nest application, leader',
      3,
      difference(leader?.cpuSecondsAnHour, bare?.cpuSecondsAnHour),
      ' s',
    ],
    [
      'CPU an hour over a bare Nest application, follower',
      1,
      difference(follower?.cpuSecondsAnHour, bare?.cpuSecondsAnHour),
      ' s',
    ],
    ['requests a minute, leader', 18, requests(leader), ''],
    ['requests a minute, follower', 0, requests(follower), ''],
    ['1,000 elections: all led after', 5, orNever(scale?.allLedAfterMs && scale.allLedAfterMs / 1000), ' s'],
    ['1,000 elections: sockets', 16, orNever(scale?.leading?.sockets), ''],
    ['1,000 elections: memory', 120, orNever(scale?.leading?.rssMb), ' MB'],
    ['1,000 elections: CPU, leading', 20, orNever(scale?.leading?.cpuPercent), ' % of a core'],
    ['1,000 elections: CPU, following', 5, orNever(scale?.following?.cpuPercent), ' % of a core'],
    ['1,000 elections: requests that ran out of time', 0, scale?.timeouts, ''],
    ['1,000 elections: terms lost', 0, scale?.termsLost, ''],
    [
      '1,000 elections: all led again after SIGTERM',
      5,
      orNever(scale?.allLedAgainAfterMs && scale.allLedAgainAfterMs / 1000),
      ' s',
    ],
    ['`isLeader()`', 100, results.calls?.['isLeader'], ' ns'],
    ['gate around a sync call', 150, results.calls?.['gate around a sync call'], ' ns'],
    ['gate around an async call', 300, results.calls?.['gate around an async call'], ' ns'],
  ];
}

function difference(a: Measured, b: Measured): Measured {
  return a === undefined || b === undefined ? undefined : a - b;
}
