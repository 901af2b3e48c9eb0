/**
 * `npm run explore`: runs every schedule of a small fleet, breadth first, and checks what docs/guarantees.md promises after
 * each step. Exits with 1 if something is broken, and tells the shortest schedule that breaks it.
 *
 * Without a scope it explores several, one after the other, each for its share of the time.
 *
 *   --electors N     2 or 3 processes (default 2)
 *   --faults N       how many faults a schedule may have (default 1)
 *   --replies WHEN   prompt: before anything else happens, unless that is a fault; any: in any order (default any)
 *   --clocks HOW     even; bound: as far apart as the timing tolerates; beyond: further (default even)
 *   --depth N        the most steps of a schedule (default: no limit)
 *   --states N       the most states of a scope (default: no limit)
 *   --minutes M      how long to explore (default 4)
 *   --html FILE      a page of the schedule that breaks something
 *   --json           the report as JSON
 *   --package DIR    the built package to run (default build/lib)
 */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { URL, fileURLToPath, pathToFileURL } from 'node:url';
import { checkFolderOf, fail, minutesIn, parsed, wholeNumber } from './command-line.mjs';
import { pageOfStory } from './page-of-story.mjs';

const TIMING = {
  leaseDuration: 4000,
  renewDeadline: 3000,
  retryPeriod: 1000,
  renewInterval: 1000,
  drainTimeout: 2000,
};
/** By how many milliseconds the clocks of the processes move with each tick. */
const CLOCKS = { even: [1000, 1000, 1000], bound: [750, 1000, 1000], beyond: [500, 1000, 1000] };
const REPLIES = { prompt: 'prompt', any: 'anyOrder' };

/** What is explored by default, the smallest first. Those that are not exhausted in minutes are last. */
const SCOPES = [
  { electors: 3, faults: 0, replies: 'any', clocks: 'even' },
  { electors: 2, faults: 1, replies: 'prompt', clocks: 'bound' },
  { electors: 2, faults: 1, replies: 'any', clocks: 'even' },
  { electors: 3, faults: 1, replies: 'prompt', clocks: 'even' },
  { electors: 2, faults: 1, replies: 'any', clocks: 'bound' },
  { electors: 2, faults: 2, replies: 'prompt', clocks: 'even' },
  { electors: 2, faults: 2, replies: 'any', clocks: 'even' },
  { electors: 3, faults: 2, replies: 'prompt', clocks: 'even' },
  { electors: 2, faults: 3, replies: 'prompt', clocks: 'even' },
];

const WHY = {
  exhausted: 'every schedule, of any length',
  depth: 'every schedule up to that length (--depth)',
  states: 'stopped by --states',
  stopped: 'stopped by --minutes',
  broken: 'stopped by what was broken',
};

// Errors are values here, and their stacks take time.
Error.stackTraceLimit = 0;
await main();

async function main() {
  const { values } = parsed({
    options: {
      electors: { type: 'string' },
      faults: { type: 'string' },
      replies: { type: 'string' },
      clocks: { type: 'string' },
      depth: { type: 'string' },
      states: { type: 'string' },
      minutes: { type: 'string', default: '4' },
      html: { type: 'string' },
      json: { type: 'boolean', default: false },
      package: { type: 'string', default: fileURLToPath(new URL('../build/lib', import.meta.url)) },
    },
  });
  const electors = wholeNumber('electors', values.electors, 2, 3);
  const faults = wholeNumber('faults', values.faults, 0, 9);
  oneOf('replies', values.replies, REPLIES);
  oneOf('clocks', values.clocks, CLOCKS);
  const minutes = minutesIn(values.minutes);
  const bounds = {
    depth: wholeNumber('depth', values.depth, 1),
    states: wholeNumber('states', values.states, 1),
  };
  if (values.html !== undefined) await checkFolderOf('html', values.html);
  const isGiven = [electors, faults, values.replies, values.clocks].some((value) => value !== undefined);
  const one = {
    electors: electors ?? 2,
    faults: faults ?? 1,
    replies: values.replies ?? 'any',
    clocks: values.clocks ?? 'even',
  };
  await exploreAll(isGiven ? [one] : SCOPES, { ...values, minutes, bounds });
}

async function exploreAll(scopes, { package: folder, minutes, bounds, json, html }) {
  const module = pathToFileURL(resolve(folder, 'testing/exploration/index.js')).href;
  const { explore, tellStory } = await import(module);
  const endsAt = performance.now() + minutes * 60_000;
  const reports = [];
  for (const [index, words] of scopes.entries()) {
    const scope = scopeOf(words);
    const startedAt = performance.now();
    // What a scope leaves of its share, the later ones have.
    const until = startedAt + (endsAt - startedAt) / (scopes.length - index);
    const { story, ...result } = explore(scope, {
      ...bounds,
      mayGoOn: (progress) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${textOf(words, progress)} `);
        return performance.now() < until;
      },
    });
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    const seconds = (performance.now() - startedAt) / 1000;
    const told = story && {
      ...story.broken,
      moves: story.moves.length,
      lines: tellStory(scope, story.moves),
    };
    const report = { ...words, ...result, seconds, story: told };
    reports.push(report);
    if (!json) print(report);
    if (story === undefined) continue;
    process.exitCode = 1;
    if (html !== undefined) {
      await writeFile(html, await pageOfStory({ package: folder, scope, story }));
      console.error(`The schedule is drawn in ${html}.`);
    }
    break;
  }
  if (json) console.log(JSON.stringify(reports));
}

function scopeOf({ electors, faults, replies, clocks }) {
  return {
    electors,
    faults,
    replies: REPLIES[replies],
    tickMs: CLOCKS[clocks].slice(0, electors),
    timing: TIMING,
  };
}

function print(report) {
  const { story, seconds, ended } = report;
  if (story !== undefined)
    console.log(`${story.lines.join('\n')}\n\n${story.guarantee} broken: ${story.what}.\n`);
  console.log(`${textOf(report, report)}, ${seconds.toFixed(1)} s: ${WHY[ended]}`);
}

function textOf({ electors, faults, replies, clocks }, { states, transitions, depth }) {
  const which =
    (replies === 'prompt' ? ', prompt replies' : '') + (clocks === 'even' ? '' : `, clocks ${clocks}`);
  return (
    `${electors} electors, ${faults} fault${faults === 1 ? '' : 's'}${which}: ` +
    `${states} states, ${transitions} transitions, ${depth} steps long`
  );
}

function oneOf(name, value, known) {
  if (value === undefined || Object.hasOwn(known, value)) return;
  fail(`--${name} is '${value}': it must be one of ${Object.keys(known).join(', ')}.`);
}
