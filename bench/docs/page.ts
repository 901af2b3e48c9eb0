/** Makes docs/performance.md and its pictures from the results of one run. */
import { format } from 'prettier';
import type { Blow } from '../contest.js';
import { IDLE_SECONDS, YOUNG_SECONDS } from '../failover.js';
import { duration, figure, table } from '../markdown.js';
import { QUIET_LOAD } from '../machine.js';
import type { Results } from '../results.js';
import type { ScaleFigures } from '../scale.js';
import type { SteadyFigures } from '../steady.js';
import { summarise } from '../summary.js';
import {
  callsTable,
  deathsTable,
  failoverTable,
  floorTable,
  leadBoth,
  partitionTable,
  profilesTable,
  scaleTable,
  spreadTable,
  startTable,
  steadyTable,
} from '../tables.js';
import { atTenThousand } from './at-ten-thousand.js';
import { barsPicture, type Bar } from './bars-picture.js';
import { budgets } from './budgets.js';
import type { Colour } from './drawing.js';
import { Findings } from './findings.js';
import { handOverPicture, type Curve } from './hand-over-picture.js';
import { scalePicture } from './scale-picture.js';

/** The contents of the files, by their paths relative to docs/. */
export async function pages(results: Results): Promise<ReadonlyMap<string, string>> {
  const page = await format(text(results), { parser: 'markdown', printWidth: 130, proseWrap: 'preserve' });
  return new Map([
    ['performance.md', page],
    ['performance/hand-over.svg', handOver(results)],
    ['performance/scale.svg', scalePicture('Many elections in one process', results.scale ?? [])],
    ['performance/memory.svg', memory(results)],
  ]);
}

function handOver(results: Results): string {
  const found = new Findings(results);
  const curves: Curve[] = [
    { name: "the machine's limit", colour: 'floor', values: results.floor?.putToEventAndPut ?? [] },
    ...(
      [
        ['elector', 'nestjs-leader, bare elector', 'elector'],
        ['Nest application', 'nestjs-leader in Nest', 'nest'],
        ['client-go', 'client-go', 'client-go'],
      ] as const satisfies readonly (readonly [string, string, Colour])[]
    ).map(([side, name, colour]) => ({
      name,
      colour,
      values: found.failover(side, 'SIGTERM', IDLE_SECONDS),
    })),
  ];
  return handOverPicture(
    `From SIGTERM of the leader until the next leads (followers idle for ${String(IDLE_SECONDS)} s)`,
    curves.filter(({ values }) => values.length > 0),
  );
}

function memory(results: Results): string {
  const found = new Findings(results);
  const bars = (
    [
      ['bare Nest application', 'none', 'a Nest application without an election', 'bare'],
      ['Nest application', 'leader', 'the same, leading', 'nest'],
      ['Nest application', 'follower', 'the same, following', 'nest'],
      ['elector', 'leader', 'a bare elector in Node, leading', 'elector'],
      ['@codedependant', 'leader', '@codedependant in Node, leading', 'codedependant'],
      ['client-go', 'leader', 'client-go in a Go program, leading', 'client-go'],
    ] as const
  ).flatMap(([side, role, name, colour]): Bar[] => {
    const figures = found.steady(side, role);
    return figures === undefined ? [] : [{ name, colour, value: figures.rssMb }];
  });
  return barsPicture('Memory of one process (RSS)', bars, (value) => `${value.toFixed(0)} MB`);
}

function text(results: Results): string {
  const { machine, floor, failover = [], crashes, start, steady, partition, scale, calls, spread } = results;
  return `# Performance

<!-- Made by \`npm run bench:docs\` of bench/results.json. Changes belong there, or into bench/docs/. -->

One run of \`npm run bench\` measured all of this on ${machine.date.slice(0, 10)}: ours, client-go ${machine.clientGo} and the npm package
@codedependant/kubernetes-leader-election, side by side on one real kube-apiserver (${machine.apiServer}, its etcd without fsync, TLS over
loopback), timing 15/10/2 s, Node ${machine.node.slice(1)}, ${String(machine.cores)} cores (${machine.cpu}). The load average before was ${machine.loadBefore.toFixed(2)}${machine.loadBefore > QUIET_LOAD ? ': other work ran at the same time, and the figures are worse than on a quiet machine' : ''}.
Compare side by side: the absolute figures are this machine's. "The limit" is what the same requests take without any election.

${atAGlance(results)}
![Hand-over](performance/hand-over.svg)

![Many elections](performance/scale.svg)

![Memory](performance/memory.svg)

## The limit

Requests over \`node:http2\` and TLS on sessions that are open and warm. A hand-over cannot take less than one PUT (the leader's
release), its event on a watch, and one PUT (the follower's claim): the last line.

${floor ? floorTable(floor) : ''}
## Hand-over and crash

\`npm run bench -- handover --trials 400\`, \`npm run bench -- crash\`. Each lease has two processes, a leader and a follower. All
processes are started before anything is measured. Then the leaders are struck one after the other, and each time is counted until the
follower says that it leads, both by the machine's monotonic clock. Followers are ${String(YOUNG_SECONDS)} s old, or have been idle for
${String(IDLE_SECONDS)} s: by then an API server has closed the HTTP/1.1 connections that nothing used. The expiry is the last renewTime in the
Lease plus its duration. "÷ floor" compares a hand-over with PUT → event, PUT, and a crash, from the expiry, with one PUT. Below 100
trials the p99 is the maximum. For two sides something goes wrong 2 ms before the SIGTERM: the follower's watch breaks, or its first claim fails.

${failoverTable(failover, floor)}
## Kinds of death

\`npm run bench -- crash\`, timing 15/10/2 s. A replica is a Nest application; a container is a PID namespace of its own. There is no
kubelet: the measurement writes the status of the pod. In a cluster [the kubelet adds about a second](crashes.md#the-status-of-its-pod).
Times include the start of the process where they count from it.

${crashes ? deathsTable(crashes) : ''}
The choices of \`timing\`: for how long a term lasts when the API server stops answering, how long a crash leaves nobody leading (medians;
what is [proven](crashes.md) waits for nothing), and what the leader sends while nothing happens.

${crashes ? profilesTable(crashes) : ''}
## Start

\`npm run bench -- start\`. Ready is an application that listens, or an elector that begins. Ours are given an address, as in a pod, or a
kubeconfig.

${start ? startTable(start) : ''}
## Steady

\`npm run bench -- steady\`. Nothing happens. Requests are counted in the API server's audit log, CPU time and memory come from
Linux. "Over bare" is what a leader election adds to the same Nest application.

${steady ? steadyTable(steady) : ''}
## The leader's path stalls

\`npm run bench -- partition\`. A proxy before the leader holds everything, and closes nothing. A leader must be told to stop before
anyone else may lead, that is before the lease runs out: a negative figure.

${partition ? partitionTable(partition) : ''}
## Many elections

\`npm run bench -- scale\`. One process takes part in so many elections, from its start until it leads them all; then a second process
follows in all of them. CPU time, sockets and memory are taken while one leads and the other follows, then the first gets SIGTERM.
client-go's client has its limit of requests switched off. Nothing else runs on the API server.

${scale ? scaleTable(scale) : ''}
**Memory depends on the container's limit.** While there is memory to spare, Node lets its heap grow to several times what lives in
it. How far it may grow, Node decides by the memory limit of the container, and without a limit by the memory of the machine. So a
process with hundreds of elections should have a limit. "512 MiB" is an elector with the heap that Node chooses in a container with
that limit, set here by \`--max-old-space-size=256 --max-semi-space-size=1\`: it is collected more often, which costs CPU time. If your
application needs a higher limit, set \`NODE_OPTIONS=--max-semi-space-size=2\`: that saves 30 to 90 MB, and costs little CPU time.

\`npm run bench -- scale --elections 1000 --hold 600\` looks at ten minutes.

## A call

\`npm run bench -- calls\`, in a process that uses AsyncLocalStorage. A gate is what \`@OnlyWhenLeader()\` puts around a method.
The limit is what no gate can do without: both clocks are read, \`AsyncLocalStorage.run()\` calls the method, and the end of its
promise is noted.

${calls ? callsTable(calls) : ''}
## Sharing out

\`npm run bench -- spread\`: one replica leads thirty elections, then two more start. Without \`spread\`, as with client-go, it keeps
them all.

${spread ? spreadTable(spread) : ''}
## Budgets

What this package allows itself, in the same run.

${budgets(results)}
## What 10,000 elections cost the API server and etcd

${atTenThousand()}${measuredLoad(scale ?? [])}
## Measure again

\`\`\`sh
npm run bench          # a quarter of an hour on two cores; needs Linux and Go, which builds the API server once
npm run bench:docs     # makes this page of bench/results.json
\`\`\`
`;
}

function atAGlance(results: Results): string {
  const found = new Findings(results);
  const floor = results.floor && {
    handOver: summarise(results.floor.putToEventAndPut),
    put: summarise(results.floor.put),
  };
  const both = (values: readonly number[]): string => {
    const { p50, p99 } = summarise(values);
    return values.length === 0 ? '–' : `${figure(p50)} / ${figure(p99)} ms`;
  };
  const failover = (side: string, blow: Blow, age: number): string => both(found.failover(side, blow, age));
  const scaled = (side: string): ScaleFigures | undefined => found.scale(side, 1_000);
  const [ours, go] = [scaled('elector'), scaled('client-go')];
  const bare = found.steady('bare Nest application', 'none');
  const steady = (of: (figures: SteadyFigures) => string, side: string): string =>
    (['leader', 'follower'] as const)
      .map((role) => found.steady(side, role))
      .map((figures) => (figures === undefined ? '–' : of(figures)))
      .join(' / ');
  const overlaps = (side: string): string => {
    const trials = (results.partition ?? []).filter((one) => one.side === side);
    return `${String(trials.filter(leadBoth).length)} of ${String(trials.length)}`;
  };
  const used = (figures: ScaleFigures | undefined): string =>
    figures?.leading === undefined
      ? '–'
      : `${String(figures.leading.sockets)} sockets, ${figure(figures.leading.rssMb)} MB, ${figure(figures.leading.cpuPercent)} % of a core`;
  const following = (figures: ScaleFigures | undefined): string =>
    figures?.following === undefined ? '–' : `${figure(figures.following.cpuPercent)} % of a core`;
  const led = (figures: ScaleFigures | undefined): string =>
    figures?.allLedAfterMs === undefined ? 'never' : duration(figures.allLedAfterMs);
  const again = (figures: ScaleFigures | undefined): string =>
    figures?.allLedAgainAfterMs === undefined ? 'never' : duration(figures.allLedAgainAfterMs);
  const rows = [
    [
      `SIGTERM → next leader, followers idle for ${String(IDLE_SECONDS)} s, p50 / p99`,
      failover('elector', 'SIGTERM', IDLE_SECONDS),
      failover('client-go', 'SIGTERM', IDLE_SECONDS),
      floor ? `${figure(floor.handOver.p50)} / ${figure(floor.handOver.p99)} ms, the limit` : '',
    ],
    ['— of a whole Nest application', failover('Nest application', 'SIGTERM', IDLE_SECONDS), '', ''],
    [
      'SIGKILL → next leader, from the expiry of the lease, p50 / p99',
      both(found.fromExpiry('elector')),
      both(found.fromExpiry('client-go')),
      floor ? `${figure(floor.put.p50)} / ${figure(floor.put.p99)} ms, one PUT` : '',
    ],
    [
      'an uncaught exception → next leader, p50',
      duration(found.death('nestjs-leader', 'exception')),
      duration(found.death('client-go', 'exception')),
      '',
    ],
    [
      'process start → leads a new lease',
      `${figure(found.start('Nest application'))} ms, a Nest application`,
      `${figure(found.start('client-go'))} ms, a Go program`,
      `${figure(found.ready('bare Nest application'))} ms, a bare Nest application listens`,
    ],
    ["only the leader's path stalls: two lead at once", overlaps('elector'), overlaps('client-go'), ''],
    [
      'requests a minute, leader / follower',
      steady(({ requestsAMinute }) => figure(sum(Object.values(requestsAMinute))), 'Nest application'),
      steady(({ requestsAMinute }) => figure(sum(Object.values(requestsAMinute))), 'client-go'),
      '',
    ],
    [
      'CPU an hour, leader / follower',
      `${steady((one) => figure(one.cpuSecondsAnHour), 'Nest application')} s, in Nest`,
      `${steady((one) => figure(one.cpuSecondsAnHour), 'client-go')} s`,
      `${figure(bare?.cpuSecondsAnHour)} s, a bare Nest application`,
    ],
    [
      'memory, leader / follower',
      `${steady((one) => figure(one.rssMb), 'Nest application')} MB, in Nest`,
      `${steady((one) => figure(one.rssMb), 'client-go')} MB`,
      `${figure(bare?.rssMb)} MB, a bare Nest application`,
    ],
    ['1,000 elections in one process: all led after', led(ours), led(go), ''],
    ['— leading them', used(ours), used(go), ''],
    ['— following them', following(ours), following(go), ''],
    ['— SIGTERM → all led again by another', again(ours), again(go), ''],
    ['`isLeader()`', `${figure(results.calls?.['isLeader'])} ns`, '', ''],
  ];
  return table(['', 'nestjs-leader', 'client-go', 'to compare'], rows);
}

function measuredLoad(scale: readonly ScaleFigures[]): string {
  const loads = scale.filter(
    ({ side, elections, serverCpuPercent }) =>
      elections === 1_000 && ['elector', 'client-go'].includes(side) && serverCpuPercent !== undefined,
  );
  if (loads.length === 0) return '';
  const words = loads.map(
    ({ side, serverCpuPercent }) => `${figure(serverCpuPercent)} % for ${side === 'elector' ? 'ours' : side}`,
  );
  return `
Measured, with 1,000 elections and two replicas: the API server and etcd together used, of one core: ${words.join(', ')}.
`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
