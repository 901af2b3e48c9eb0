/**
 * Runs the tests of test/election against one mutant after the other, for scripts/mutation.mjs, which bundles this file with
 * them. It stands in for `vitest` there: a test takes milliseconds, and a runner that imports the test files again for each
 * mutant takes most of its time for that. What a test expects is checked by vitest's own `expect`.
 *
 * A test that hangs or runs on for ever fails. Both are found by counting, so a busy machine changes no result.
 */
import { readFileSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers';
import { expect } from 'vitest';

export { expect };
/** Only tests that are left out need it. */
export const vi = undefined;

/** The file descriptor for the results. The standard output is the tests'. */
const RESULTS = 3;
/** A test runs on for ever if it reaches mutants so many times more than ten times as often as without a mutant. */
const RUNAWAY = 100_000;
/** A test hangs if in so many turns of the event loop nothing happens and nothing is waited for. */
const IDLE_TURNS = 1000;

const measures = process.env.MEASURE !== undefined;
/** The id of the active mutant; -1: none. */
let active = -1;
/** How often the test has reached a mutant. */
let reached = 0;
let mostReached = Infinity;
/** The mutants that the test has reached; only while that is measured. */
let covered = new Uint8Array(Number(process.env.MUTANTS));

/** Whether the active mutant is one of those from `first` to `last`, which replace the code that asks. */
export function __in(first, last) {
  if (measures) covered.fill(1, first, last + 1);
  reached += 1;
  if (reached > mostReached) stopRunaway();
  return active >= first && active <= last;
}

/** Whether that mutant is active. */
export function __is(id) {
  return active === id;
}

/** The code that runs on may catch an error, so the process ends if that does not help. */
function stopRunaway() {
  if (reached > mostReached + RUNAWAY) {
    report({ killedBy: 'a test that runs on for ever' });
    process.exit(0);
  }
  throw new Error('The test runs on for ever.');
}

function report(result) {
  writeSync(RESULTS, `${JSON.stringify(result)}\n`);
}

const tests = [];
let suite;

/** The tests that are defined from now on are those of a file. */
export function startFile(name) {
  suite = { name, before: [], after: [] };
}

export function it(name, ...rest) {
  tests.push({ name: `${suite.name} > ${name}`, suite, run: rest.find((one) => typeof one === 'function') });
}

export function describe(name, ...rest) {
  const outer = suite;
  suite = { name: `${outer.name} > ${name}`, before: [...outer.before], after: [...outer.after] };
  rest.find((one) => typeof one === 'function')();
  suite = outer;
}

export const beforeEach = (hook) => void suite.before.push(hook);
export const afterEach = (hook) => void suite.after.unshift(hook);

for (const define of [it, describe]) {
  define.each =
    (rows) =>
    (name, ...rest) => {
      const run = rest.find((one) => typeof one === 'function');
      for (const [index, row] of rows.entries()) {
        define(`${name} [${index}]`, () => (Array.isArray(row) ? run(...row) : run(row)));
      }
    };
}

/** The error that nobody has handled. */
let unhandled;
for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error) => {
    unhandled = { error };
  });
}

/** What the test fails with; undefined: it passes. */
async function failureOf(test) {
  unhandled = undefined;
  const running = outcomeOf(test);
  let ended = false;
  void running.then(() => (ended = true));
  const outcome = await Promise.race([running, hang(() => ended)]);
  await turn();
  await turn();
  return outcome.failure ?? unhandled;
}

async function outcomeOf({ suite: { before, after }, run }) {
  try {
    try {
      for (const hook of before) await hook();
      await run();
    } finally {
      for (const hook of after) await hook();
    }
    return {};
  } catch (error) {
    return { failure: { error } };
  }
}

/** Settles when nothing has happened, and nothing was waited for, in several turns of the event loop; or when the test has ended. */
async function hang(ended) {
  for (let idle = 0, last = -1; idle < IDLE_TURNS && !ended(); last = reached) {
    await turn();
    idle = reached === last && resources() === 0 ? idle + 1 : 0;
  }
  return { failure: { error: new Error('The test hangs.') } };
}

/** How many timers and requests of the test there are. The pipe is ours. */
function resources() {
  return process.getActiveResourcesInfo().filter((one) => one !== 'PipeWrap' && one !== 'Immediate').length;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function measure() {
  const figures = [];
  for (const test of tests) {
    covered.fill(0);
    reached = 0;
    const failure = await failureOf(test);
    const { name } = test;
    if (failure === undefined) {
      figures.push({ name, reached, covers: [...covered.keys()].filter((id) => covered[id] === 1) });
    } else report({ fails: name, why: String(failure.error).split('\n', 1)[0] });
  }
  report({ figures });
  process.exit(0);
}

/** Runs the tests that reach a mutant until one fails: those first that killed the mutants before, then the quick ones. */
async function judge(id, candidates) {
  active = id;
  for (const test of candidates) {
    reached = 0;
    mostReached = test.reached * 10 + RUNAWAY;
    const failure = await failureOf(test);
    mostReached = Infinity;
    if (failure === undefined) continue;
    active = -1;
    kills += 1;
    test.lastKill = kills;
    report({ killedBy: test.name });
    return;
  }
  active = -1;
  report({});
}
let kills = 0;

/** Called when all tests are defined. */
export function start() {
  if (measures) return void measure();
  const { figures } = JSON.parse(readFileSync(process.env.FIGURES, 'utf8'));
  const byName = new Map(tests.map((test) => [test.name, test]));
  const measured = figures.map((figure) => ({ ...byName.get(figure.name), ...figure, lastKill: -Infinity }));
  const recent = ({ lastKill }) => (lastKill > kills - 20 ? lastKill : 0);
  process.on('message', ({ id, most }) => {
    const candidates = measured
      .filter(({ covers, reached: cost }) => cost <= most && covers.includes(id))
      .sort((one, other) => recent(other) - recent(one) || one.reached - other.reached);
    void judge(id, candidates);
  });
  report({ ready: true });
}
