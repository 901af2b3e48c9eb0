/**
 * `npm run track-record [-- COMMIT …]`: shows again that the bugs of docs/track-record.md were there. For each entry of
 * test/track-record.json, or for those mended by the given commits, it runs one test three times, each time in a temporary worktree:
 *
 *   before   the code before the commit that mended the bug, with the tests of that commit: the test must run and fail
 *   mended   that commit: the same test must pass, so it is the code that made it fail, and neither the packages nor the machine
 *   now      HEAD: the test that keeps the bug away must pass
 *
 * The worktree has today's packages, as hard links. Exits with 1 if a run ends otherwise.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearTimeout, setTimeout } from 'node:timers';
import { URL, fileURLToPath } from 'node:url';

/** Bounds an old test that never ends. */
const LONGEST_RUN = 120_000;
/** Where the configuration of every commit writes the results. */
const RESULTS = 'build/test-results/test.json';

const root = fileURLToPath(new URL('..', import.meta.url));
const entries = chosen(JSON.parse(await readFile(join(root, 'test/track-record.json'), 'utf8')));
const folder = await mkdtemp(join(tmpdir(), 'track-record-'));
const worktree = join(folder, 'worktree');
let unexpected = 0;
/** Ends the command that runs. */
let stop = () => undefined;
let interrupted = false;
process.once('SIGINT', () => {
  interrupted = true;
  stop();
});
try {
  await git(root, 'worktree', 'add', '--quiet', '--detach', worktree, 'HEAD');
  const head = await git(worktree, 'rev-parse', 'HEAD');
  await must('cp', ['-al', join(root, 'node_modules'), join(worktree, 'node_modules')]);
  // Vite writes its cache here. As hard links, it would be that of the repository.
  await rm(join(worktree, 'node_modules/.vite'), { recursive: true, force: true });
  for (const { mended, test, now = test } of entries) {
    console.log(`${mended} ${await git(worktree, 'log', '-1', '--format=%s', mended)}`);
    await checkOut(`${mended}^`);
    await git(worktree, 'checkout', mended, '--', 'test');
    expect('before', 'fails', await resultOf(test));
    await checkOut(mended);
    expect('mended', 'passes', await resultOf(test));
    await checkOut(head);
    expect('now', 'passes', await resultOf(now));
  }
} finally {
  interrupted = false;
  await rm(folder, { recursive: true, force: true });
  await git(root, 'worktree', 'prune');
}
console.log(
  unexpected === 0
    ? `${entries.length} bugs were there before their commit, and are not there now.`
    : `${unexpected} runs ended otherwise than they should.`,
);
process.exitCode = unexpected === 0 ? 0 : 1;

function chosen(all) {
  const commits = process.argv.slice(2);
  for (const commit of commits) {
    if (!all.some(({ mended }) => mended === commit)) {
      console.error(
        `test/track-record.json has no entry for '${commit}'. It has: ${all.map(({ mended }) => mended).join(', ')}.`,
      );
      process.exit(1);
    }
  }
  return all.filter(({ mended }) => commits.length === 0 || commits.includes(mended));
}

function expect(run, should, result) {
  const as = result === should;
  if (!as) unexpected += 1;
  console.log(`  ${run.padEnd(6)} ${result}${as ? '' : `: it should be '${should}'`}`);
}

/** Leaves nothing of an earlier commit in the worktree, except the packages. */
async function checkOut(commit) {
  await git(worktree, 'checkout', '--quiet', '--force', '--detach', commit);
  await git(worktree, 'clean', '-fdqx', '--exclude=node_modules');
}

/** What the tests of this file whose names contain `name` do. A file that cannot be loaded, or has no such test, fails nothing. */
async function resultOf({ file, name }) {
  const pattern = name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const { output, late } = await run(worktree, 'node', [
    'node_modules/vitest/vitest.mjs',
    'run',
    file,
    '-t',
    pattern,
    '--maxWorkers=1',
  ]);
  if (late) return `runs longer than ${LONGEST_RUN} ms`;
  const results = await readFile(join(worktree, RESULTS), 'utf8').catch(() => '');
  if (results === '') return `cannot be run\n${output}`;
  const { numFailedTests, numPassedTests } = JSON.parse(results);
  if (numFailedTests > 0) return 'fails';
  return numPassedTests > 0 ? 'passes' : `runs no test\n${output}`;
}

async function git(directory, ...args) {
  const output = await must('git', ['-C', directory, ...args]);
  return output.trim();
}

async function must(command, args) {
  const { output, code } = await run(root, command, args);
  if (code !== 0)
    throw new Error(
      `'${command} ${args.join(' ')}' failed. A clone with the whole history is needed.\n${output}`,
    );
  return output;
}

/** Runs a command in a process group of its own, so that it ends with all its children. */
async function run(cwd, command, args) {
  const child = spawn(command, args, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += String(bytes)));
  let late = false;
  stop = () => process.kill(-child.pid, 'SIGKILL');
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, LONGEST_RUN);
  const code = await new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', done);
  });
  clearTimeout(timer);
  stop = () => undefined;
  if (interrupted) throw new Error('Interrupted.');
  return { output, code, late };
}
