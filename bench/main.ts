/**
 * `npm run bench -- handover` and `npm run bench -- crash`: ours beside client-go v0.36.3, on one real API server; a
 * hand-over also when every follower's watch breaks just before it, and when every follower's first claim fails;
 * `npm run bench -- calls`: what isLeader() and a gate cost, in nanoseconds;
 * `npm run bench -- spread`: how evenly three replicas lead thirty elections.
 *
 *   --trials N    of each side (default 40)
 *   --leases N    of each side at the same time (default 4)
 *   --json        the figures as JSON
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { clientGoContender } from '../test/rig/contender.js';
import { RealApiServer } from '../test/rig/real-api-server.js';
import { measureCalls } from './calls.js';
import { measureFailover, type FailoverSeries, type Side } from './failover.js';
import { ELECTIONS, measureSpread } from './spread.js';
import { summarise } from './summary.js';

const NAMESPACE = 'bench';
const blows = { handover: 'SIGTERM', crash: 'SIGKILL' } as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    trials: { type: 'string', default: '40' },
    leases: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
});
if (positionals[0] === 'calls') {
  const figures = await measureCalls();
  const lines = Object.entries(figures).map(([what, ns]) => `| ${what} | ${ns.toFixed(0)} |`);
  process.stdout.write(
    values.json ? `${JSON.stringify(figures)}\n` : `| ns a call | |\n|---|---|\n${lines.join('\n')}\n`,
  );
  process.exit(0);
}
if (positionals[0] === 'spread') {
  await benchSpread();
  process.exit(0);
}
const name = positionals[0] as keyof typeof blows;
if (!(name in blows)) {
  process.stderr.write(
    `Say what to measure: npm run bench -- ${[...Object.keys(blows), 'calls', 'spread'].join(' | ')}\n`,
  );
  process.exit(2);
}

const server = await RealApiServer.start();
try {
  await server.createNamespace(NAMESPACE);
  const kubeconfig = await server.writeKubeconfig({ namespace: NAMESPACE });
  const plan = {
    blow: blows[name],
    trials: Number(values.trials),
    leases: Number(values.leases),
    namespace: NAMESPACE,
  };
  let done = 0;
  const series = await measureFailover(server, await sides(kubeconfig), plan, () => {
    done += 1;
    process.stderr.write(`\r${String(done)} trials `);
  });
  process.stderr.write('\n');
  process.stdout.write(values.json ? `${JSON.stringify(report(series), undefined, 2)}\n` : table(series));
} finally {
  await server.stop();
}

async function benchSpread(): Promise<void> {
  const server = await RealApiServer.start();
  try {
    await server.createNamespace(NAMESPACE);
    const figures = [];
    for (const fleet of ['alone', 'shared'] as const)
      figures.push(await measureSpread(server, NAMESPACE, fleet));
    if (values.json) {
      process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
      return;
    }
    const lines = figures.map(({ fleet, loads, moves, tookMs, gaps }) => {
      const cost =
        moves === 0
          ? '|  |  |'
          : `| ${(tookMs / 1000).toFixed(1)} | ${gaps.p50.toFixed(1)} / ${gaps.max.toFixed(1)} |`;
      return `| spread: ${String(fleet === 'shared')} | ${loads.join(', ')} | ${String(moves)} ${cost}`;
    });
    const head = `| ${String(ELECTIONS)} elections, 3 replicas | each leads | moves | in s | nobody led, ms p50 / max |`;
    process.stdout.write(`${head}\n|---|---|---|---|---|\n${lines.join('\n')}\n`);
  } finally {
    await server.stop();
  }
}

async function sides(kubeconfig: string): Promise<Side[]> {
  const clientGo = await clientGoContender();
  const ours = fileURLToPath(new URL('nest-contender.js', import.meta.url));
  const obstructed = fileURLToPath(new URL('obstructed-contender.js', import.meta.url));
  const withObstacle = (name: string, obstacle: string): Side => ({
    name,
    obstructsFollowers: true,
    commandFor: (identity, leaseName) => ({
      program: process.execPath,
      args: [obstructed],
      environment: {
        KUBECONFIG: kubeconfig,
        LEASE_NAMESPACE: NAMESPACE,
        LEASE_NAME: leaseName,
        IDENTITY: identity,
        OBSTACLE: obstacle,
      },
    }),
  });
  const obstacles = [
    withObstacle('elector, watch broke before', 'watch'),
    withObstacle('elector, first claim failed', 'claim'),
  ];
  return [
    ...(name === 'handover' ? obstacles : []),
    {
      name: 'nestjs-leader',
      commandFor: (identity, leaseName) => ({
        program: process.execPath,
        args: [ours],
        environment: {
          KUBECONFIG: kubeconfig,
          LEASE_NAMESPACE: NAMESPACE,
          LEASE_NAME: leaseName,
          IDENTITY: identity,
        },
      }),
    },
    {
      name: 'client-go',
      commandFor: (identity, leaseName) => ({
        program: clientGo,
        args: [
          '--kubeconfig',
          kubeconfig,
          '--namespace',
          NAMESPACE,
          '--lease',
          leaseName,
          '--identity',
          identity,
        ],
        environment: {},
      }),
    },
  ];
}

function report(series: readonly FailoverSeries[]): object {
  return {
    bench: name,
    unit: 'ms',
    node: process.version,
    timing: '15/10/2 s',
    sides: series.map(({ side, fromSignal, fromExpiry }) => ({
      side,
      fromSignal: summarise(fromSignal),
      ...(fromExpiry.length > 0 && { fromExpiry: summarise(fromExpiry) }),
      trials: fromSignal,
    })),
  };
}

function table(series: readonly FailoverSeries[]): string {
  const rows = series.flatMap(({ side, fromSignal, fromExpiry }) => [
    row(`${side}, from ${blows[name]}`, fromSignal),
    ...(fromExpiry.length > 0 ? [row(`${side}, from expiry`, fromExpiry)] : []),
  ]);
  return `| ${name}, ms | n | mean | p50 | p99 | max |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
}

function row(label: string, values: readonly number[]): string {
  const { n, mean, p50, p99, max } = summarise(values);
  return `| ${label} | ${String(n)} | ${[mean, p50, p99, max].map((value) => value.toFixed(1)).join(' | ')} |`;
}
