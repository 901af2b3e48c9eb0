/** The results of each measurement as tables. */
import type { Death, DeathFigures } from './deaths.js';
import type { FailoverSeries } from './failover.js';
import type { FloorFigures } from './floor.js';
import { duration, figure, table } from './markdown.js';
import type { Partition } from './partition.js';
import type { Figures } from './results.js';
import type { ProcessFigures, ScaleFigures } from './scale.js';
import type { SpreadFigures } from './spread.js';
import type { StartFigures } from './start.js';
import type { SteadyFigures } from './steady.js';
import { summarise } from './summary.js';

/** The tables of all measurements that were made. */
export function allTables(figures: Figures): string[] {
  const { floor, failover, crashes, start, steady, partition, scale, calls, spread } = figures;
  return [
    ...(floor ? [floorTable(floor)] : []),
    ...(failover ? [failoverTable(failover, floor)] : []),
    ...(crashes ? [deathsTable(crashes), profilesTable(crashes)] : []),
    ...(start ? [startTable(start)] : []),
    ...(steady ? [steadyTable(steady)] : []),
    ...(partition ? [partitionTable(partition)] : []),
    ...(scale ? [scaleTable(scale)] : []),
    ...(calls ? [callsTable(calls)] : []),
    ...(spread ? [spreadTable(spread)] : []),
  ];
}

export function floorTable({ get, put, putToEvent, putToEventAndPut }: FloorFigures): string {
  const rows = [
    ['GET', get],
    ['PUT', put],
    ['PUT → watch event', putToEvent],
    ['PUT → watch event, PUT of who has seen it', putToEventAndPut],
  ] as const;
  return table(
    ['the floor, ms', 'n', 'p50', 'p99', 'max'],
    rows.map(([what, values]) => {
      const { n, p50, p99, max } = summarise(values);
      return [what, String(n), ...[p50, p99, max].map((value) => value.toFixed(2))];
    }),
  );
}

/** With multiples of the floor: for a hand-over, of PUT → event, PUT; for a crash, counted from the expiry, of one PUT. */
export function failoverTable(all: readonly FailoverSeries[], floor: FloorFigures | undefined): string {
  const rows = all.flatMap(({ side, blow, idleSeconds, fromSignal, fromExpiry }) => {
    const who = `${side}, followers ${String(idleSeconds)} s old`;
    if (blow === 'SIGTERM') return [failoverRow(`${who}, from SIGTERM`, fromSignal, floor?.putToEventAndPut)];
    return [
      failoverRow(`${who}, from SIGKILL`, fromSignal, undefined),
      failoverRow(`${who}, from the expiry`, fromExpiry, floor?.put),
    ];
  });
  const head = ['ms until the next leader', 'n', 'p50', 'p99', 'max', 'p50 ÷ floor', 'p99 ÷ floor', 'never'];
  return table(head, rows);
}

function failoverRow(
  what: string,
  values: readonly (number | null)[],
  floor: readonly number[] | undefined,
): string[] {
  const came = values.filter((value) => value !== null);
  const { p50, p99, max } = summarise(came);
  const limit = floor && summarise(floor);
  const never = values.length - came.length;
  return [
    what,
    String(values.length),
    ...[p50, p99, max].map(figure),
    limit === undefined ? '' : figure(p50 / limit.p50),
    limit === undefined ? '' : figure(p99 / limit.p99),
    never === 0 ? '' : String(never),
  ];
}

/** What the table says of each kind of death, and from when it counts. */
const DEATHS: readonly (readonly [Death, string])[] = [
  ['exception', 'an uncaught exception (Go: SIGQUIT)'],
  ['sameContainer', 'SIGKILL, the same container starts again: from its start'],
  ['podStatus', "SIGKILL, the pod's status says so: from the status"],
  ['unknown', 'SIGKILL, and nothing tells'],
  ['allGone', 'all replicas gone for longer than a lease: from the start of one'],
];

/** Median and maximum of each kind of death, beside client-go. */
export function deathsTable({ deaths }: DeathFigures): string {
  const cell = (side: string, death: Death): string[] => {
    const values = deaths.find(
      (one) => one.side === side && one.death === death && one.timing === 'standard',
    );
    return timesOf(values?.untilNext ?? []);
  };
  const rows = DEATHS.map(([death, what]) => [
    what,
    ...cell('nestjs-leader', death),
    ...cell('client-go', death),
  ]);
  return table(
    ['the leader dies by; until the next leads', 'n', 'p50', 'max', 'client-go: n', 'p50', 'max'],
    rows,
  );
}

export function profilesTable({ deaths, profiles }: DeathFigures): string {
  const rows = profiles.map(({ timing, survivesMs, requestsAMinute }) => {
    const p50 = (death: Death): string => {
      const values = deaths.find(
        (one) => one.side === 'nestjs-leader' && one.death === death && one.timing === timing,
      );
      return timesOf(values?.untilNext ?? [])[1] ?? '–';
    };
    const survives = survivesMs.filter((value) => value !== null);
    return [
      `\`${timing}\``,
      survives.length === 0 ? '–' : duration(Math.min(...survives)),
      p50('exception'),
      p50('sameContainer'),
      p50('unknown'),
      figure(requestsAMinute),
    ];
  });
  const head = [
    '`timing`',
    'survives an outage of',
    'by exception',
    'same container',
    'node lost',
    'requests a minute',
  ];
  return table(head, rows);
}

function timesOf(values: readonly (number | null)[]): string[] {
  const came = values.filter((value) => value !== null);
  if (values.length === 0) return ['–', '–', '–'];
  if (came.length === 0) return [String(values.length), 'never', 'never'];
  const { p50, max } = summarise(came);
  const late = came.length === values.length ? duration(max) : 'never';
  return [String(values.length), duration(p50), late];
}

export function startTable(all: readonly StartFigures[]): string {
  const bare = all.find(({ leads }) => leads.length === 0);
  const base = bare && summarise(bare.ready).p50;
  const rows = all.map(({ side, ready, leads }) => {
    const { n, p50 } = summarise(ready);
    const led = summarise(leads);
    const after = base === undefined || leads.length === 0 ? undefined : led.p50 - base;
    return [side, String(n), figure(p50), figure(led.p50), figure(led.max), over(side, after)];
  });
  return table(
    [
      'start, ms from the start of the process',
      'n',
      'ready p50',
      'leads p50',
      'leads max',
      'after a bare one is ready',
    ],
    rows,
  );
}

export function steadyTable(all: readonly SteadyFigures[]): string {
  const bare = all.find(({ role }) => role === 'none');
  const rows = all.map(({ side, role, processes, cpuSecondsAnHour, rssMb, requestsAMinute }) => [
    role === 'none' ? side : `${side}, ${role}`,
    String(processes),
    figure(cpuSecondsAnHour),
    over(side, bare && cpuSecondsAnHour - bare.cpuSecondsAnHour),
    figure(rssMb),
    over(side, bare && rssMb - bare.rssMb),
    Object.entries(requestsAMinute)
      .map(([verb, count]) => `${figure(count)} ${verb}`)
      .join(', '),
  ]);
  return table(
    ['steady', 'processes', 'CPU s an hour', 'over bare', 'RSS MB', 'over bare', 'requests a minute'],
    rows,
  );
}

/** The difference from the bare application is only meaningful for an application that is otherwise the same. */
function over(side: string, figures: number | undefined): string {
  return side.startsWith('Nest') ? figure(figures) : '';
}

export function partitionTable(all: readonly Partition[]): string {
  const rows = [...new Set(all.map(({ side }) => side))].map((side) => {
    const trials = all.filter((one) => one.side === side);
    const told = trials.flatMap((one) => one.told ?? []);
    const next = trials.flatMap((one) => one.nextLeads ?? []);
    const both = trials.filter((one) => leadBoth(one)).length;
    return [
      side,
      String(trials.length),
      told.length === 0 ? 'never' : duration(summarise(told).p50),
      told.length < trials.length ? 'never' : duration(Math.max(...told)),
      next.length === 0 ? 'never' : duration(summarise(next).p50),
      `${String(both)} of ${String(trials.length)}`,
    ];
  });
  const head = [
    "only the leader's path stalls; from the expiry",
    'n',
    'told to stop, p50',
    'latest',
    'next leads, p50',
    'two led at once',
  ];
  return table(head, rows);
}

/** Whether the next leader led before the work of the first was told to stop. */
export function leadBoth({ told, nextLeads }: Partition): boolean {
  return nextLeads !== null && (told === null || told > nextLeads);
}

export function scaleTable(all: readonly ScaleFigures[]): string {
  const rows = all.map((one) => [
    `${one.elections.toLocaleString('en-US')}, ${one.side}`,
    one.allLedAfterMs === undefined ? `never; ${String(one.led)} led` : duration(one.allLedAfterMs),
    ...processCells(one.leading),
    ...processCells(one.following),
    figure(one.serverCpuPercent),
    String(one.timeouts),
    one.leading === undefined ? '–' : String(one.termsLost),
    ledAgain(one),
  ]);
  const head = [
    'elections',
    'all led after',
    'leading: sockets',
    'RSS MB',
    'CPU %',
    'following: sockets',
    'RSS MB',
    'CPU %',
    'API server and etcd, CPU %',
    'time-outs',
    'terms lost',
    'all led again after',
  ];
  return table(head, rows);
}

function ledAgain({ leading, allLedAgainAfterMs, ledAgain }: ScaleFigures): string {
  if (leading === undefined) return '–';
  return allLedAgainAfterMs === undefined ? `never; ${String(ledAgain)} led` : duration(allLedAgainAfterMs);
}

function processCells(figures: ProcessFigures | undefined): string[] {
  if (figures === undefined) return ['–', '–', '–'];
  return [String(figures.sockets), figures.rssMb.toFixed(0), figure(figures.cpuPercent)];
}

export function callsTable(figures: Readonly<Record<string, number>>): string {
  const rows = Object.entries(figures).map(([what, ns]) => [what, ns.toFixed(0)]);
  return table(['a call', 'ns'], rows);
}

export function spreadTable(all: readonly SpreadFigures[]): string {
  const rows = all.map(({ fleet, loads, moves, tookMs, gaps }) => [
    `spread: ${String(fleet === 'shared')}`,
    loads.join(', '),
    String(moves),
    moves === 0 ? '' : duration(tookMs),
    moves === 0 ? '' : `${figure(gaps.p50)} / ${figure(gaps.max)}`,
  ]);
  return table(['30 elections, 3 replicas', 'each leads', 'moves', 'in', 'nobody led, ms p50 / max'], rows);
}
