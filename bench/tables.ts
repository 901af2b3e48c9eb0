/** What each measurement says, as tables. */
import type { FailoverSeries } from './failover.js';
import { figure, seconds, table } from './markdown.js';
import type { Results } from './results.js';
import type { ProcessFigures, ScaleFigures } from './scale.js';
import type { SpreadFigures } from './spread.js';
import { summarise } from './summary.js';

export const tables: { [K in Exclude<keyof Results, 'machine'>]: (of: NonNullable<Results[K]>) => string } = {
  failover: failoverTable,
  scale: scaleTable,
  calls: callsTable,
  spread: spreadTable,
};

function failoverTable(all: readonly FailoverSeries[]): string {
  const rows = all.flatMap(({ side, blow, idleSeconds, fromSignal, fromExpiry }) => {
    const what = `${side}, followers ${String(idleSeconds)} s old`;
    return [
      failoverRow(`${what}, from ${blow}`, fromSignal),
      ...(fromExpiry.length > 0 ? [failoverRow(`${what}, from the lease's expiry`, fromExpiry)] : []),
    ];
  });
  return table(['ms until the next leader', 'n', 'p50', 'p99', 'max', 'mean', 'never'], rows);
}

function failoverRow(what: string, values: readonly (number | null)[]): string[] {
  const came = values.filter((value) => value !== null);
  const { p50, p99, max, mean } = summarise(came);
  const never = values.length - came.length;
  return [
    what,
    String(values.length),
    ...[p50, p99, max, mean].map(figure),
    never === 0 ? '' : String(never),
  ];
}

function scaleTable(all: readonly ScaleFigures[]): string {
  const rows = all.map((one) => [
    `${String(one.elections)}, ${one.side}`,
    one.allLedAfterMs === undefined ? `never; ${String(one.led)} led` : seconds(one.allLedAfterMs),
    ...processCells(one.leading),
    ...processCells(one.following),
    figure(one.serverCpuPercent),
    String(one.timeouts),
    String(one.termsLost),
    one.leading === undefined
      ? '–'
      : one.allLedAgainAfterMs === undefined
        ? `never; ${String(one.ledAgain)} led`
        : seconds(one.allLedAgainAfterMs),
  ]);
  const head = [
    'elections',
    'all led after s',
    'leading: sockets',
    'RSS MB',
    'CPU %',
    'following: sockets',
    'RSS MB',
    'CPU %',
    'API server and etcd CPU %',
    'time-outs',
    'terms lost',
    'all led again after s',
  ];
  return table(head, rows);
}

function processCells(figures: ProcessFigures | undefined): string[] {
  if (figures === undefined) return ['–', '–', '–'];
  return [String(figures.sockets), figures.rssMb.toFixed(0), figures.cpuPercent.toFixed(1)];
}

function callsTable(figures: Readonly<Record<string, number>>): string {
  return table(
    ['', 'ns a call'],
    Object.entries(figures).map(([what, ns]) => [what, ns.toFixed(0)]),
  );
}

function spreadTable(all: readonly SpreadFigures[]): string {
  const rows = all.map(({ fleet, loads, moves, tookMs, gaps }) => [
    `spread: ${String(fleet === 'shared')}`,
    loads.join(', '),
    String(moves),
    moves === 0 ? '' : seconds(tookMs),
    moves === 0 ? '' : `${figure(gaps.p50)} / ${figure(gaps.max)}`,
  ]);
  return table(['3 replicas', 'each leads', 'moves', 'in s', 'nobody led, ms p50 / max'], rows);
}
