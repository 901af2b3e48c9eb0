/**
 * `npm run bench` measures everything, ours beside client-go, and writes bench/results.json, of which `npm run bench:docs`
 * makes docs/performance.md. `npm run bench -- <measurement>` makes one measurement and prints its tables:
 *
 *   handover   SIGTERM to the next leader, followers young and followers idle for longer than 100 s
 *   crash      SIGKILL to the next leader
 *   scale      1 to 1,000 elections in one process
 *   calls      what isLeader() and a gate cost
 *   spread     how evenly three replicas lead thirty elections
 *
 *   --trials N     handover, crash: of each side (default 40)
 *   --leases N     handover, crash: of each side at the same time (default 20)
 *   --idle N       handover: only with followers that old, in seconds
 *   --elections N  scale: only that many
 *   --hold N       scale: for how many seconds all are led and followed (default 15)
 *   --json         the figures as JSON
 */
import { parseArgs } from 'node:util';
import { measureCalls } from './calls.js';
import { clientGo, codedependant, elector, nest, obstructed, prepareContenders } from './contenders.js';
import { IDLE_SECONDS, measureFailover, YOUNG_SECONDS, type Entry, type Round } from './failover.js';
import { loadNow, machineWith } from './machine.js';
import { Progress } from './progress.js';
import type { Results } from './results.js';
import { measureScale, type ScaleFigures } from './scale.js';
import { measureSpread } from './spread.js';
import { inSurroundings, type Surroundings } from './surroundings.js';
import { tables } from './tables.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    trials: { type: 'string', default: '40' },
    leases: { type: 'string', default: '20' },
    idle: { type: 'string' },
    elections: { type: 'string' },
    hold: { type: 'string', default: '15' },
    json: { type: 'boolean', default: false },
  },
});

type Figures = Omit<Results, 'machine'>;

const progress = new Progress();
const measurements: Readonly<Record<string, () => Promise<Figures>>> = {
  handover: () => inSurroundings((surroundings) => failover(surroundings, 'SIGTERM')),
  crash: () => inSurroundings((surroundings) => failover(surroundings, 'SIGKILL')),
  scale: () => inSurroundings(scale),
  calls: async () => ({ calls: await measureCalls() }),
  spread: () => inSurroundings(spread),
};

const measure = measurements[positionals[0] ?? ''];
if (measure === undefined) {
  process.stderr.write(`Say what to measure: npm run bench -- ${Object.keys(measurements).join(' | ')}\n`);
  process.exit(2);
}
await prepareContenders();
const loadBefore = loadNow(progress);
const figures = await measure();
process.stdout.write(
  values.json
    ? `${JSON.stringify({ machine: machineWith('', loadBefore), ...figures }, undefined, 2)}\n`
    : print(figures),
);

async function failover(surroundings: Surroundings, blow: Round['blow']): Promise<Figures> {
  const leases = Number(values.leases);
  const ages = values.idle === undefined ? [YOUNG_SECONDS, IDLE_SECONDS] : [Number(values.idle)];
  const times = Math.ceil(Number(values.trials) / leases);
  const rounds = (blow === 'SIGKILL' ? [YOUNG_SECONDS] : ages).flatMap((idleSeconds) =>
    Array.from({ length: times }, () => ({ blow, idleSeconds })),
  );
  const once = (_: Round, index: number): boolean => index === 0;
  const entries: Entry[] = [
    ...[elector, nest, clientGo].map((side) => ({ side: side(surroundings), leases })),
    ...codedependant(surroundings).map((side) => ({ side, leases: 2, takesPartIn: once })),
    ...(blow === 'SIGTERM' ? (['watch', 'claim'] as const) : []).map((obstacle) => ({
      side: obstructed(surroundings, obstacle),
      leases: Math.min(leases, 5),
      takesPartIn: ({ idleSeconds }: Round) => idleSeconds < IDLE_SECONDS,
    })),
  ];
  return { failover: await measureFailover(surroundings, entries, rounds, progress) };
}

async function scale(surroundings: Surroundings): Promise<Figures> {
  const sizes = values.elections === undefined ? [1, 10, 100, 1_000] : [Number(values.elections)];
  const figures: ScaleFigures[] = [];
  for (const elections of sizes) {
    for (const side of [elector(surroundings), clientGo(surroundings)]) {
      progress.show(`scale: ${String(elections)} elections, ${side.name}`);
      figures.push(await measureScale(surroundings, side, elections, Number(values.hold)));
    }
    progress.tell(`scale: ${String(elections)} elections`);
  }
  return { scale: figures };
}

async function spread({ server, namespace }: Surroundings): Promise<Figures> {
  const figures = [];
  for (const fleet of ['alone', 'shared'] as const) {
    progress.show(`spread: ${fleet}`);
    figures.push(await measureSpread(server, namespace, fleet));
  }
  progress.tell('spread');
  return { spread: figures };
}

function print(figures: Figures): string {
  return [
    ...(figures.failover ? [tables.failover(figures.failover)] : []),
    ...(figures.scale ? [tables.scale(figures.scale)] : []),
    ...(figures.calls ? [tables.calls(figures.calls)] : []),
    ...(figures.spread ? [tables.spread(figures.spread)] : []),
  ].join('\n');
}
