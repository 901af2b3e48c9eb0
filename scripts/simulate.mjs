/**
 * `npm run simulate -- --seeds N --from S`: simulates fleets of replicas under every kind of fault, each from its
 * seed, and checks G1 to G7 after every step. Exits with 1 if one is violated, and prints how to repeat it.
 *
 * It also counts how often elections got into the situations of lib/testing/simulation/marks.ts. A run of 3000 seeds or more
 * must reach every one of them, and exits with 1 if it does not, unless --faults, --rates, --size or --leases narrow it.
 *
 *   --seeds N        the number of seeds (default 1000)
 *   --from S         the first seed (default 1)
 *   --seed S         this seed alone: --seeds 1 --from S
 *   --html FILE      a page of the first seed that fails, or else of the first: what each process saw and sent, and the faults
 *   --faults A,B     only these kinds of faults (default: all)
 *   --rates LOW,HIGH the slowest and the fastest rate of clocks (default: what the timing tolerates)
 *   --size N         the largest number of replicas (default 9)
 *   --leases N       how many lease durations the faults last (default 20)
 *   --workers N      threads (default: one per processor)
 *   --marks          print how often each situation was reached, the rarest first
 *   --require-marks  every situation must be reached, whatever the other options are
 *   --json           the report as JSON
 *   --package DIR    the built package to run (default build/lib)
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { URL, fileURLToPath, pathToFileURL } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { checkFolderOf, fail, parsed, wholeNumber } from './command-line.mjs';
import { pageOfSeed } from './page-of-seed.mjs';

/** How many seeds a thread takes at a time. */
const BATCH = 25;
/** How many failing seeds are shown with their traces. */
const SHOWN = 3;
/** How many of the rarest marks are shown. */
const RAREST = 5;
/** So many seeds must reach every mark. */
const SEEDS_FOR_MARKS = 3000;

if (isMainThread) await main();
else await work();

async function main() {
  const { values } = parsed({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      html: { type: 'string' },
      faults: { type: 'string' },
      rates: { type: 'string' },
      size: { type: 'string' },
      leases: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      marks: { type: 'boolean', default: false },
      'require-marks': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      package: { type: 'string', default: fileURLToPath(new URL('../build/lib', import.meta.url)) },
    },
  });
  const module = pathToFileURL(resolve(values.package, 'testing/index.js')).href;
  const { faultKinds } = await import(module);
  const faults = values.faults?.split(',');
  for (const kind of faults ?? []) {
    if (!faultKinds.includes(kind))
      fail(`--faults names '${kind}', which is not one of ${faultKinds.join(', ')}.`);
  }
  const rates = values.rates?.split(',').map(rate);
  if (rates !== undefined && rates.length !== 2)
    fail(`--rates is '${values.rates}': it must be the slowest and the fastest rate, as in 0.9,1.1.`);
  if (values.html !== undefined) await checkFolderOf('html', values.html);
  const options = {
    faults,
    rates,
    size: wholeNumber('size', values.size, 1),
    leases: wholeNumber('leases', values.leases, 1),
  };
  const seeds = values.seed === undefined ? wholeNumber('seeds', values.seeds, 1) : 1;
  const from =
    values.seed === undefined ? wholeNumber('from', values.from, 0) : wholeNumber('seed', values.seed, 0);
  const report = await runAll({
    module,
    options,
    seeds,
    from,
    workers: wholeNumber('workers', values.workers, 1),
  });
  const isWhole = Object.values(options).every((value) => value === undefined);
  const mustReach = values['require-marks'] || (isWhole && seeds >= SEEDS_FOR_MARKS);
  const missed = mustReach ? Object.keys(report.marks).filter((mark) => report.marks[mark] === 0) : [];
  if (values.json) console.log(JSON.stringify(report));
  else print(report, { args: process.argv.slice(2), allMarks: values.marks });
  if (missed.length > 0)
    console.error(
      `No election has got into ${missed.length === 1 ? 'this situation' : 'these situations'}:\n  ${missed.join('\n  ')}\n` +
        `Run more seeds, or let the simulation bring it about (lib/testing/simulation/adversary.ts).`,
    );
  if (values.html !== undefined) {
    const seed = report.failed[0]?.seed ?? from;
    await writeFile(values.html, await pageOfSeed({ package: values.package, options, seed }));
    console.error(`Seed ${seed} is drawn in ${values.html}.`);
  }
  process.exitCode = report.failed.length > 0 || missed.length > 0 ? 1 : 0;
}

async function runAll({ module, options, seeds, from, workers }) {
  const sum = {
    seeds: 0,
    steps: 0,
    terms: 0,
    faults: {},
    features: {},
    marks: {},
    failed: [],
    lostWithoutFencing: 0,
    refusedByFencing: 0,
  };
  const startedAt = performance.now();
  let next = from;
  const take = () => {
    const count = Math.min(BATCH, from + seeds - next);
    next += count;
    return { from: next - count, seeds: count };
  };
  const add = (report) => {
    for (const what of ['seeds', 'steps', 'terms', 'lostWithoutFencing', 'refusedByFencing'])
      sum[what] += report[what];
    for (const [kind, count] of report.faults) sum.faults[kind] = (sum.faults[kind] ?? 0) + count;
    for (const [kind, count] of report.features) sum.features[kind] = (sum.features[kind] ?? 0) + count;
    for (const [mark, count] of report.marks) sum.marks[mark] = (sum.marks[mark] ?? 0) + count;
    sum.failed.push(
      ...report.failed.map((seed) => ({
        ...seed,
        faults: Object.fromEntries(seed.faults),
        features: [...seed.features],
        marks: Object.fromEntries(seed.marks),
      })),
    );
    if (process.stderr.isTTY)
      process.stderr.write(`\r${sum.seeds} of ${seeds} seeds, ${sum.failed.length} failed `);
  };
  const threads = Array.from({ length: Math.min(workers, Math.ceil(seeds / BATCH)) }, () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { module, options } });
    return new Promise((done, failed) => {
      const give = () => {
        const batch = take();
        if (batch.seeds > 0) worker.postMessage(batch);
        else void worker.terminate().then(done);
      };
      worker.on('error', failed);
      worker.on('message', (report) => {
        add(report);
        give();
      });
      give();
    });
  });
  await Promise.all(threads);
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  sum.failed.sort((a, b) => a.seed - b.seed);
  return { ...sum, seconds: (performance.now() - startedAt) / 1000 };
}

async function work() {
  const { module, options } = workerData;
  const { simulate } = await import(module);
  parentPort.on('message', async (batch) => {
    parentPort.postMessage(await simulate({ ...options, ...batch }));
  });
}

function print(report, { args, allMarks }) {
  for (const { seed, trace, violations } of report.failed.slice(0, SHOWN)) {
    console.log(trace.join('\n'));
    for (const { guarantee, at, what } of violations)
      console.log(`${at.toFixed(1).padStart(10)}  ${guarantee} broken: ${what}`);
    const same = args.filter(
      (arg, index) =>
        !/^--(seeds|seed|from)\b/.test(arg) && !/^--(seeds|seed|from)$/.test(args[index - 1] ?? ''),
    );
    console.log(`\nSeed ${seed} again: npm run simulate -- --seeds 1 --from ${[seed, ...same].join(' ')}\n`);
  }
  if (report.failed.length > SHOWN)
    console.log(
      `Other failed seeds: ${report.failed
        .slice(SHOWN)
        .map(({ seed }) => seed)
        .join(' ')}\n`,
    );
  const faults = Object.entries(report.faults).sort(([a], [b]) => a.localeCompare(b));
  console.log(`faults by kind: ${faults.map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  const features = Object.entries(report.features).sort(([a], [b]) => a.localeCompare(b));
  console.log(`fleets with: ${features.map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  printMarks(Object.entries(report.marks), allMarks);
  console.log(
    `writes: ${report.lostWithoutFencing} lost without fencing, none with; ${report.refusedByFencing} refused by token`,
  );
  console.log(
    `${report.seeds} seeds, ${report.steps} steps, ${report.terms} terms, ` +
      `${faults.reduce((total, [, count]) => total + count, 0)} faults, ${report.seconds.toFixed(1)} s: ` +
      `${report.failed.length} violations`,
  );
}

function printMarks(marks, all) {
  const rarestFirst = marks.toSorted(([, a], [, b]) => a - b);
  if (all) for (const [mark, count] of rarestFirst) console.log(`${String(count).padStart(9)}  ${mark}`);
  const reached = rarestFirst.filter(([, count]) => count > 0);
  const rarest = reached.slice(0, RAREST).map(([mark, count]) => `${mark} (${count})`);
  console.log(`reached ${reached.length} of ${marks.length} marks; rarest: ${rarest.join('; ')}`);
}

function rate(value) {
  const read = Number(value);
  if (!Number.isFinite(read) || read < 0) fail(`--rates is '${value}': it must be a number, at least 0.`);
  return read;
}
