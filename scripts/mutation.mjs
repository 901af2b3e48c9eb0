/**
 * `npm run mutation`: changes lib/election in one place at a time, as a mistake would, and looks whether a test of test/election
 * fails. Prints the share of such mutants that are killed for each file, and the survivors. test/mutation/survivors.json lists those
 * that no test should kill, with the reason. Exits with 1 if another mutant survives, or one on the list does not.
 *
 *   --files GLOB    only these files, such as 'lib/election/slots/*' (default: all of lib/election)
 *   --again         only the mutants that survived the last run
 *   --workers N     so many processes (default 2)
 *   --most N        leaves out tests that reach mutants more often than this; 30000 are the quickest two thirds (default: no limit)
 *
 * The mutants of all files are in one bundle with all tests (mutation-operators.mjs), so a process can try one after the other
 * (mutation-worker.mjs).
 */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { clearTimeout, setTimeout } from 'node:timers';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import ts from 'typescript';
import { fail, parsed } from './command-line.mjs';
import { mutate } from './mutation-operators.mjs';

const OUT = resolve('build/mutation');
const LIST = 'test/mutation/survivors.json';
const worker = resolve('scripts/mutation-worker.mjs');
/** Not mutated: lists of names, and the one real clock, whose tests need vitest's fake timers. */
const LEFT_OUT = /\/(index|internal|system-clock)(\.test)?\.ts$/;
/** For a loop that reaches no mutant. A test takes less, also on a busy machine. */
const LONGEST_MS = 120_000;

/** What the signs of a glob are in a regular expression. */
const SIGNS = new Map([
  ['**', '.+'],
  ['*', '[^/]*'],
  ['.', '\\.'],
  ['{', '('],
  [',', '|'],
  ['}', ')'],
]);

const { values } = parsed({
  options: {
    files: { type: 'string', default: 'lib/election/**' },
    again: { type: 'boolean', default: false },
    workers: { type: 'string', default: '2' },
    most: { type: 'string', default: '1e9' },
  },
});
const wanted = new RegExp(`^${values.files.replace(/\*\*|[.*{},]/g, (sign) => SIGNS.get(sign))}$`);

let lastSurvivors;
const { mutants, texts } = allMutants();
const { output } = await bundle();
const figures = await measured(
  createHash('sha256')
    .update(output.map(({ code }) => code).join(''))
    .digest('hex'),
);
const reachedByTests = new Set([...figures.files, ...figures.tests].flatMap(({ covers }) => covers));
const reachedAtLoad = new Set(figures.atLoad);
const chosen = mutants.filter(({ path }) => wanted.test(path));
if (chosen.length === 0) fail(`--files is '${values.files}': no file of lib/election matches it.`);
const results = await judged(chosen.filter((mutant) => !values.again || survivedBefore(mutant)));
process.exitCode = conclude();

function allMutants() {
  const all = [];
  const byPath = new Map();
  for (const path of filesIn('lib/election', '.ts')) {
    const found = mutate(path, readFileSync(path, 'utf8'), all.length);
    all.push(...found.mutants);
    byPath.set(resolve(path), found.text);
  }
  return { mutants: all, texts: byPath };
}

/** Which mutants are reached when the modules are loaded, when a file's tests are defined, and by each test; kept in a file until
 * the code or a test changes. */
async function measured(key) {
  const path = join(OUT, 'figures.json');
  const kept = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  if (kept.key === key) return kept;
  let found;
  const ended = new Promise((done) => {
    start({ MEASURE: '1' }, (line) => {
      if (line.fails === undefined) found = { key, ...line.figures };
      else console.log(`Without a mutant, this test fails, so it is left out: ${line.fails}: ${line.why}`);
    }).once('exit', done);
  });
  await ended;
  if (found === undefined) throw new Error('The tests have not ended without a mutant.');
  writeFileSync(path, JSON.stringify(found));
  return found;
}

/** Whether the last run has found this survivor. */
function survivedBefore({ path, code, part, becomes }) {
  lastSurvivors ??= JSON.parse(readFileSync(join(OUT, 'survivors.json'), 'utf8'));
  return lastSurvivors.some(
    (one) => one.path === path && one.code === code && one.part === part && one.becomes === becomes,
  );
}

/** Which test kills each mutant, by id. */
async function judged(queue) {
  const found = new Map();
  const total = queue.length;
  const work = async () => {
    let child;
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const { id } = mutant;
      let killedBy;
      if (reachedAtLoad.has(id)) {
        const own = await ready({ MUTANT: String(id) });
        killedBy = await verdict(own, id);
        own.kill();
      } else if (reachedByTests.has(id)) {
        child ??= await ready({});
        killedBy = await verdict(child, id);
        if (child.exitCode !== null || child.killed) child = undefined;
      }
      found.set(id, killedBy);
      if (killedBy === undefined) console.log(`survives: ${textOf(mutant)}`);
      if (found.size % 100 === 0) console.log(`${found.size} of ${total}`);
    }
    child?.kill();
  };
  await Promise.all(Array.from({ length: Number(values.workers) }, work));
  return found;
}

/** A worker that has loaded the tests, or has ended. */
function ready(env) {
  return new Promise((done) => {
    const child = start(env, ({ ready: isReady, ...result }) => {
      if (isReady) done(child);
      else child.emit('result', result);
    });
    child.once('exit', () => done(child));
  });
}

/** What the worker answers. It may end, or be ended, without an answer. */
function verdict(child, id) {
  return new Promise((done) => {
    let result = { killedBy: 'the end of the process' };
    if (child.exitCode !== null) return done(result.killedBy);
    const timer = setTimeout(() => {
      result = { killedBy: 'a test that takes too long' };
      child.kill('SIGKILL');
    }, LONGEST_MS);
    const settle = (given = result) => {
      clearTimeout(timer);
      child.removeAllListeners('result').removeAllListeners('exit');
      done(given.killedBy);
    };
    child.once('exit', () => settle());
    child.once('result', (given) => {
      result = given;
      if (given.killedBy !== 'a test that runs on for ever') settle();
    });
    child.send({ id, most: Number(values.most) });
  });
}

/** Starts the bundle. Each line that it writes is an object. */
function start(env, onLine) {
  const child = fork(join(OUT, 'bundle/main.js'), [], {
    env: { ...process.env, ...env, MUTANTS: String(mutants.length), FIGURES: join(OUT, 'figures.json') },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'ipc'],
  });
  let text = '';
  child.stdio[3].setEncoding('utf8').on('data', (chunk) => {
    const lines = `${text}${chunk}`.split('\n');
    text = lines.pop();
    for (const line of lines) onLine(JSON.parse(line));
  });
  return child;
}

/** Prints the score and the survivors. @returns the exit code */
function conclude() {
  const listed = JSON.parse(readFileSync(LIST, 'utf8')).filter(({ file }) => wanted.test(file));
  const survivors = chosen.filter(({ id }) => results.has(id) && results.get(id) === undefined);
  const isThat = ({ path, code, part, becomes }, one) =>
    one.file === path && one.line === code && one.part === part && one.becomes === becomes;
  const isListed = (mutant) => listed.some((one) => isThat(mutant, one));
  const unlisted = survivors.filter((mutant) => !isListed(mutant));
  const stale = values.again ? [] : listed.filter((one) => !survivors.some((mutant) => isThat(mutant, one)));
  const paths = [...new Set(chosen.map(({ path }) => path))];
  for (const path of paths) console.log(score(path, ({ path: one }) => one === path));
  if (paths.length > 1) console.log(score('all', () => true));
  for (const mutant of unlisted) console.log(`\nsurvives, and is not listed in ${LIST}: ${textOf(mutant)}`);
  for (const { file, line, part } of stale)
    console.log(`\nlisted in ${LIST}, but does not survive: ${file}\n  ${line}\n  ${part}`);
  writeFileSync(join(OUT, 'survivors.json'), JSON.stringify(unlisted, null, 2));
  return unlisted.length + stale.length === 0 ? 0 : 1;

  function score(name, isOf) {
    const of = chosen.filter(isOf);
    const tried = of.filter(({ id }) => results.has(id));
    const killed = tried.filter(({ id }) => results.get(id) !== undefined).length;
    const left = tried.filter((mutant) => results.get(mutant.id) === undefined && isListed(mutant)).length;
    const percent = tried.length === 0 ? 100 : (100 * killed) / tried.length;
    return `${name.padEnd(44)} ${percent.toFixed(1)} %: ${killed} of ${tried.length} killed, ${left} listed`;
  }
}

function textOf({ path, line, code, part, becomes }) {
  return `${path}:${line}\n  ${code}\n  ${part}  →  ${becomes || 'nothing'}`;
}

function filesIn(folder, end) {
  return readdirSync(folder, { recursive: true })
    .map((path) => join(folder, path))
    .filter((path) => path.endsWith(end) && !LEFT_OUT.test(path))
    .sort();
}

/** A test file as a function, so that its tests can be defined again: what their tables contain may depend on the mutant. */
function asFunction(path) {
  const source = readFileSync(path, 'utf8');
  const { statements } = ts.createSourceFile(path, source, ts.ScriptTarget.Latest);
  const end = Math.max(0, ...statements.filter(ts.isImportDeclaration).map((one) => one.end));
  return `${source.slice(0, end)}\nexport function define() {${source.slice(end)}\n}`;
}

async function bundle() {
  mkdirSync(OUT, { recursive: true });
  const tests = filesIn('test/election', '.test.ts');
  const isOurs = (id) => /^[./]|^(virtual:|@oxc-project\/)/.test(id);
  const bundled = await rolldown({
    input: { main: 'virtual:main' },
    external: (id, importer) => !isOurs(id) && (id !== 'vitest' || importer === worker),
    platform: 'node',
    transform: { decorator: { legacy: true, emitDecoratorMetadata: true } },
    treeshake: false,
    logLevel: 'silent',
    plugins: [
      {
        name: 'mutants',
        resolveId(id) {
          if (id === 'vitest') return worker;
          return id === 'virtual:main' ? id : undefined;
        },
        load(id) {
          if (id === 'virtual:main') {
            const imports = tests.map(
              (path, index) => `import { define as define${index} } from '${resolve(path)}';`,
            );
            const files = tests.map((path, index) => `{ name: '${path}', define: define${index} }`);
            return `import { start } from '${worker}'; ${imports.join('\n')} start([${files.join(', ')}]);`;
          }
          if (id.endsWith('.test.ts')) return { code: asFunction(id), moduleType: 'ts' };
          const text = texts.get(id);
          return text && { code: `import { __in, __is } from '${worker}';\n${text}`, moduleType: 'ts' };
        },
        transform(code, id) {
          return code.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href));
        },
      },
    ],
  });
  const written = await bundled.write({ dir: join(OUT, 'bundle'), format: 'esm' });
  await bundled.close();
  return written;
}
