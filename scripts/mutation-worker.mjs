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
/** The id of the active mutant; -1: none. One that is reached while the modules are loaded is active from the start. */
let active = Number(process.env.MUTANT ?? -1);
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

let tests = [];
let suite;

/** The tests of a file. What is computed for their tables depends on the active mutant. */
function testsOf({ name, define }) {
  tests = [];
  suite = { name, before: [], after: [] };
  define();
  return tests;
}

export function it(name, ...rest) {
  // Two tables of a suite may have rows of one name.
  const unique = `${suite.name} > ${name} #${tests.length}`;
  tests.push({ name: unique, suite, run: rest.find((one) => typeof one === 'function') });
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

async function measure(files) {
  const coveredNow = () => [...covered.keys()].filter((id) => covered[id] === 1);
  const figures = { atLoad: coveredNow(), files: [], tests: [] };
  for (const file of files) {
    covered.fill(0);
    reached = 0;
    const defined = testsOf(file);
    figures.files.push({ name: file.name, reached, covers: coveredNow() });
    for (const test of defined) {
      covered.fill(0);
      reached = 0;
      const failure = await failureOf(test);
      const { name } = test;
      if (failure === undefined) figures.tests.push({ name, reached, covers: coveredNow() });
      else report({ fails: name, why: String(failure.error).split('\n', 1)[0] });
    }
  }
  report({ figures });
  process.exit(0);
}

/** Looks which test fails with the mutant: those first that killed the mutants before, then the quick ones. */
async function judge(id, files, candidates) {
  active = id;
  const killedBy = definedAnew(files, candidates) ?? (await firstToFail(candidates));
  active = -1;
  report({ killedBy });
}

/** Defines the tests of these files with the active mutant. @returns the file that cannot be */
function definedAnew(files, candidates) {
  for (const file of files) {
    let defined;
    try {
      defined = counting(file.reached, () => new Map(testsOf(file).map((test) => [test.name, test])));
    } catch {
      return file.name;
    }
    // With its suite, whose hooks share variables with it.
    for (const test of candidates) Object.assign(test, defined.get(test.name));
  }
  return undefined;
}

async function firstToFail(candidates) {
  for (const test of candidates) {
    const failure = await counting(test.reached, () => failureOf(test));
    if (failure === undefined) continue;
    kills += 1;
    test.original.lastKill = kills;
    return test.name;
  }
  return undefined;
}
let kills = 0;

/** Runs what reaches mutants so often without a mutant. */
function counting(usually, run) {
  reached = 0;
  mostReached = usually * 10 + RUNAWAY;
  return run();
}

/** @param files the test files, each with the function that defines its tests */
export function start(files) {
  if (measures) return void measure(files);
  const figures = JSON.parse(readFileSync(process.env.FIGURES, 'utf8'));
  const idAtLoad = active;
  active = -1;
  const defined = new Map(files.flatMap(testsOf).map((test) => [test.name, test]));
  const measured = figures.tests.map((figure) => ({
    ...defined.get(figure.name),
    ...figure,
    lastKill: -Infinity,
  }));
  const filesThatCover = (id) =>
    files.flatMap((file) => {
      const figure = figures.files.find(({ name }) => name === file.name);
      return figure.covers.includes(id) ? [{ ...file, ...figure }] : [];
    });
  const recent = ({ lastKill }) => (lastKill > kills - 20 ? lastKill : 0);
  process.on('message', ({ id, most }) => {
    const covering =
      id === idAtLoad
        ? files.map((file, index) => ({ ...file, ...figures.files[index] }))
        : filesThatCover(id);
    const isOf = (test) => covering.some(({ name }) => test.name.startsWith(`${name} > `));
    const candidates = measured
      .filter((test) => test.reached <= most && (test.covers.includes(id) || isOf(test)))
      .map((test) => ({ ...test, original: test }))
      .sort((one, other) => recent(other) - recent(one) || one.reached - other.reached);
    void judge(id, covering, candidates);
  });
  report({ ready: true });
}
